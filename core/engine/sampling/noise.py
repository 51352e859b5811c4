"""Seeded noise, always drawn on the CPU so that one seed means one video on every device.

Upstream draws from a generator on the CUDA device, so the same seed gives another noise there (spec 3.3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from core.errors import BadSetting

SEED_LIMIT = 2**63

# Noise for a step, counted from 0, of the shape and on the device of the given tensor.
StepNoise = Callable[[int, Tensor], Tensor]


def seeded(seed: int) -> torch.Generator:
    """A CPU generator; raises ``BadSetting`` for a seed outside 0 .. 2^63 - 1."""
    if not 0 <= seed < SEED_LIMIT:
        raise BadSetting(
            "The seed is out of range.",
            value=seed,
            limit=f"0 to {SEED_LIMIT - 1}",
            action="Choose another seed.",
        )
    return torch.Generator(device="cpu").manual_seed(seed)


def standard_normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Standard normal float32 noise of this shape on the CPU, for latents [16, T, H, W]."""
    return torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")


def fresh_noise(generator: torch.Generator | None, _step: int, like: Tensor) -> Tensor:
    """A ``StepNoise`` that draws from a CPU generator; raises ``ValueError`` where there is none."""
    if generator is None:
        raise ValueError("a sampler that draws noise at every step needs a generator")
    return standard_normal(tuple(like.shape), generator).to(like.device)


def given_noise(noise: Sequence[Tensor]) -> StepNoise:
    """A ``StepNoise`` that takes what is given for each step."""
    return lambda step, like: noise[step].to(like.device)
