"""The whole state of a sampler between two steps: what it needs to go on in another process.

A velocity that keeps tensors from step to step (a cache of forwards) will add them to the same state under
names that begin with ``velocity.``, and find them there again before its first forward. Such names belong
into the table of what a state consists of, too, so that a file without them is not gone on with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

LATENTS = "latents"
GENERATOR = "generator"
VELOCITY = "velocity."


@dataclass(frozen=True)
class SamplerState:
    """What a sampler has after ``step`` steps.

    Attributes:
        step: steps done, at least 1. All of them are done where nothing but ``latents`` is left.
        tensors: by name; references to what the sampler works with, which nobody changes in place.
    """

    step: int
    tensors: Mapping[str, Tensor]


Keep = Callable[[SamplerState], None]


class TensorSpec(NamedTuple):
    """What a tensor of a state has to be."""

    dtype: torch.dtype
    shape: tuple[int, ...]


def generator_spec() -> TensorSpec:
    """The state of a CPU generator: bytes."""
    state = torch.Generator().get_state()
    return TensorSpec(state.dtype, tuple(state.shape))
