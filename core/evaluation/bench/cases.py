"""What a kernel's row is made from: inputs, the call, its error, its floor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.engine.models.config import TransformerConfig
from core.engine.ops.rows import Rows

SEED = 11
ROWS_CHECKED = 256


@dataclass(frozen=True)
class Work:
    """One thing to time.

    Attributes:
        run: the call.
        check: relative error of what the first ``run`` gave, against float32.
        moved_bytes: the least that must be read and written.
        flops: operations of its products (a multiplication and an addition are two).
        eight_bit: whether those are 8-bit products.
        note: for the table.
    """

    run: Callable[[], Any]
    check: Callable[[Any], float] | None = None
    moved_bytes: float = 0.0
    flops: float = 0.0
    eight_bit: bool = False
    note: str = ""


@dataclass(frozen=True)
class Bed:
    """Where and at which sizes; inputs are random and never zero.

    Attributes:
        dtype: of 16-bit inputs.
    """

    config: TransformerConfig
    tokens: int
    device: torch.device
    dtype: torch.dtype

    def normal(
        self, *shape: int, dtype: torch.dtype | None = None, spread: float = 1.0, seed: int = 0
    ) -> Tensor:
        """N(0, spread) of 16 bits unless told otherwise."""
        generator = torch.Generator(self.device).manual_seed(SEED + seed)
        kind = dtype or self.dtype
        return torch.empty(shape, dtype=kind, device=self.device).normal_(0, spread, generator=generator)

    def sample(self, count: int = ROWS_CHECKED) -> Tensor:
        """Indices of tokens that are checked, the first and the last among them."""
        count = min(count, self.tokens)
        return torch.linspace(0, self.tokens - 1, count, device=self.device).round().long()

    @property
    def heads_shape(self) -> tuple[int, int, int, int]:
        """[1, L, N, d]."""
        return (1, self.tokens, self.config.num_heads, self.config.head_dim)


@dataclass(frozen=True)
class Case:
    """A named row, for each number of tokens; ``ours`` False for other people's kernels."""

    group: str
    name: str
    make: Callable[[Bed], Work]
    ours: bool = True


def relative(found: Tensor, expected: Tensor) -> float:
    """||found - expected|| / ||expected||, in float32."""
    found, expected = found.float(), expected.float()
    return float((found - expected).norm() / expected.norm().clamp_min(1e-30))


def rows_at(rows: Rows, at: Tensor) -> Tensor:
    """Some rows as float32; 8-bit floats cannot be indexed, their bytes can."""
    values = rows.values
    picked = values.view(torch.uint8)[at].view(values.dtype) if values.dtype.itemsize == 1 else values[at]
    return Rows(picked, None if rows.scale is None else rows.scale[at]).to_float(torch.float32)
