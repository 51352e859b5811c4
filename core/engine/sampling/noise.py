"""Seeded noise, always drawn on the CPU so that one seed means one video on every device.

Upstream draws from a generator on the CUDA device, so the same seed gives another noise there (spec 3.3).
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.errors import BadSetting

SEED_LIMIT = 2**63


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
