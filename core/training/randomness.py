"""Seeded random draws on the CPU, so that a clip is the same on every machine whatever renders it."""

from __future__ import annotations

import torch
from torch import Tensor


class Draws:
    """Random tensors from one seeded generator, in call order."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Uniform in [low, high)."""
        return torch.rand(*shape, generator=self.generator) * (high - low) + low

    def normal(self, *shape: int) -> Tensor:
        """Standard normal."""
        return torch.randn(*shape, generator=self.generator)

    def chance(self, probability: float, *shape: int) -> Tensor:
        """Booleans, true with ``probability``."""
        return torch.rand(*shape, generator=self.generator) < probability

    def integer(self, high: int, *shape: int) -> Tensor:
        """Integers in [0, high)."""
        return torch.randint(high, shape, generator=self.generator)
