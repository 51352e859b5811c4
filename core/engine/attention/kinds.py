"""The kinds of self-attention that a plan can name, and what each of them means for a user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

AttentionKind = Literal["sdpa", "flash3", "sage", "sla", "sagesla", "sparse"]
ATTENTION_KINDS: Final[tuple[AttentionKind, ...]] = get_args(AttentionKind)


@dataclass(frozen=True)
class KindFacts:
    """What a kind is.

    Attributes:
        label: for people.
        exact: whether it is softmax(q k^T / sqrt(d)) v up to rounding in 16 bits.
        sparse: whether most blocks of keys are left out; a share of them, top-k, is kept.
        trained: whether it needs weights that were trained for it: with others it gives another picture.
    """

    label: str
    exact: bool = False
    sparse: bool = False
    trained: bool = False


KINDS: Final[Mapping[AttentionKind, KindFacts]] = MappingProxyType(
    {
        "sdpa": KindFacts("exact, PyTorch", exact=True),
        "flash3": KindFacts("exact, FlashAttention-3", exact=True),
        "sage": KindFacts("8 bits"),
        "sla": KindFacts("sparse-linear, 16 bits", sparse=True, trained=True),
        "sagesla": KindFacts("sparse-linear, 8 bits", sparse=True, trained=True),
        "sparse": KindFacts("block-sparse without training, approximate", sparse=True),
    }
)
