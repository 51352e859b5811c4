"""Ways to compute that are held against float32, and how a transformer is made to compute by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from core.engine.attention.backends import (
    BACKENDS,
    FP8_CAPABILITY,
    SAGE,
    BackendName,
    capability_of,
    open_backend,
)
from core.engine.attention.dense import HALVES, TENSOR_CORE_WIDTHS, within
from core.engine.attention.kinds import KINDS
from core.engine.fast.recipe import Recipe, accelerate
from core.engine.linear.products import choose_products
from core.engine.models.attention import Attend
from core.engine.ops.pack8 import ValueKind
from core.errors import BadSetting
from core.evaluation.bench.layers import LayerKind
from core.evaluation.bench.report import Absent

Projection = Literal["none", "zero", "random"]
REFERENCE, BASELINE = "float32, plain", "bf16, plain"
SHARES = (0.50, 0.25, 0.15, 0.10)
OWN = "pirouette8"


FUSED = Recipe(fused=True)


@dataclass(frozen=True)
class Variant:
    """A way to compute.

    Attributes:
        name: of its row.
        layers: format of the blocks' linear layers.
        recipe: of the blocks.
        values: our own dense 8-bit attention instead of the recipe's, with values of this kind.
        projection: of sparse-linear attention, which nobody trained: zero leaves the sparse branch alone.
        fast_accumulation: of fp8 products.
        caching: a cache of forwards; ``none`` for none.
        long: whether it takes the larger number of steps, as caches do.
    """

    name: str
    layers: LayerKind = "16 bits"
    recipe: Recipe = FUSED
    values: ValueKind | None = None
    projection: Projection = "none"
    fast_accumulation: bool = True
    caching: str = "none"
    long: bool = False

    @property
    def is_base(self) -> bool:
        """Whether others are held against it."""
        return self.name.startswith((REFERENCE, BASELINE))


def attentions() -> list[Variant]:
    """Every dense kernel, and our own 8-bit one with both kinds of values; all else in fused bf16."""
    dense = [Variant(f"bf16, {name}", recipe=_dense(name)) for name in BACKENDS if name not in ("sdpa", OWN)]
    kinds: tuple[ValueKind, ...] = ("fp8", "half")
    own = [Variant(f"bf16, {OWN}, {_VALUES[values]}", values=values) for values in kinds]
    return [*dense, *own]


_VALUES = {"fp8": "fp8 values", "half": "16-bit values"}


def _dense(name: BackendName) -> Recipe:
    if name == "flash3":
        return Recipe("flash3", dense=name, fused=True)
    return Recipe("sage" if name in SAGE else "sdpa", dense=name, fused=True)


def sparse(
    kind: Literal["sparse", "sla", "sagesla"],
    topk: float,
    projection: Projection = "none",
    layers: LayerKind = "16 bits",
    *,
    references: bool = False,
) -> Variant:
    """Sparse attention in fused blocks; the name says all of it."""
    parts = [_LAYERS[layers], f"{kind} {topk:.2f}"]
    parts += [f"{projection} proj_l"] if projection != "none" else []
    parts += ["references dense"] if references else []
    recipe = Recipe(kind, topk=topk, dense_references=references, fused=True)
    return Variant(", ".join(parts), layers, recipe, projection=projection)


_LAYERS: dict[LayerKind, str] = {
    "16 bits": "bf16",
    "fp8 rows": "fp8 rows",
    "int8 rows": "int8 rows",
    "int8 blocks": "int8 blocks",
    "float32": "float32",
}


def chosen(variants: Sequence[Variant], words: Sequence[str]) -> list[Variant]:
    """Those with one of the words in their name and what they are held against; all without words.

    Raises:
        BadSetting: a word that is in none.
    """
    for word in words:
        if not any(word in variant.name for variant in variants):
            raise BadSetting(
                f"There is no variant with {word} in its name.",
                value=word,
                limit="; ".join(variant.name for variant in variants),
            )
    wanted = [one for one in variants if not words or any(word in one.name for word in words)]
    lengths = {False} | {one.long for one in wanted}
    return [one for one in variants if one in wanted or (one.is_base and one.long in lengths)]


@torch.no_grad()
def put(transformer: Any, variant: Variant, device: torch.device) -> None:
    """Let a ``SteadyDancerTransformer`` of the variant's layers compute by it.

    Raises:
        Absent: its attention kernel is not here.
    """
    recipe = variant.recipe
    if not KINDS[recipe.attention].sparse:
        opened = open_backend(recipe.dense, device)
        if opened.attend is None:
            raise Absent(opened.problem)
    if variant.projection == "zero":
        for name, parameter in transformer.named_parameters():
            if "proj_l" in name:
                parameter.zero_()
    accelerate(transformer, recipe, device)
    choose_products(transformer, fast_accumulation=variant.fast_accumulation)
    if variant.values is not None:
        attend = own_attention(variant.values, device)
        for block in transformer.blocks:
            block.self_attn.attend = attend


def own_attention(values: ValueKind, device: torch.device) -> Attend:
    """Our dense 8-bit attention, on a processor by its plain form; raises ``Absent`` where fp8 is not."""
    from core.engine.ops.attention8 import attend8

    if device.type == "cuda" and values == "fp8" and capability_of(device) < FP8_CAPABILITY:
        raise Absent("fp8 products need compute capability 8.9")

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend8(q, k, v, values=values)

    return within(run, HALVES, TENSOR_CORE_WIDTHS)
