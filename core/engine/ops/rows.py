"""A matrix whose rows are ready for a product, and how they are made small.

Shape letters: M rows (tokens of all batch entries), K inputs, N outputs.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

RowKind = Literal["float", "fp8", "int8"]
FP8 = torch.float8_e4m3fn
FP8_MAX = 448.0
INT8_MAX = 127.0
SMALLEST_SCALE = 1e-12
"""Scale of a row of zeros, so that nothing is divided by zero."""


class Rows(NamedTuple):
    """Rows for a product: the true matrix is ``values * scale[:, None]``.

    Attributes:
        values: [M, K], a float dtype, float8_e4m3fn or int8.
        scale: float32 [M]; None for plain floats.
    """

    values: Tensor
    scale: Tensor | None = None

    @property
    def kind(self) -> RowKind:
        """What the values are."""
        if self.values.dtype == FP8:
            return "fp8"
        return "int8" if self.values.dtype == torch.int8 else "float"

    def to_float(self, dtype: torch.dtype) -> Tensor:
        """The matrix [M, K]: multiplied in float32, rounded once to ``dtype``."""
        if self.scale is None:
            return self.values.to(dtype)
        return (self.values.float() * self.scale[:, None]).to(dtype)


class Norm(NamedTuple):
    """A layer norm over the width: (x - mean) / sqrt(var + eps) * weight + bias, float32 inside.

    For a modulated norm ``weight`` is 1 + scale and ``bias`` the shift; both float32 [K].
    """

    weight: Tensor
    bias: Tensor
    eps: float


def plain_rows(x: Tensor, kind: RowKind, dtype: torch.dtype) -> Rows:
    """x [M, K] of any float dtype -> rows, in plain torch: what the kernels must equal.

    ``float`` rounds once to ``dtype``. fp8 scales a row's largest magnitude to 448, int8 to 127 and rounds
    half to even; scales are at least 1e-12.
    """
    if kind == "float":
        return Rows(x.to(dtype))
    x = x.float()
    top = FP8_MAX if kind == "fp8" else INT8_MAX
    scale = (x.abs().amax(dim=1) / top).clamp_min(SMALLEST_SCALE)
    scaled = (x / scale[:, None]).clamp(-top, top)
    return Rows(scaled.to(FP8) if kind == "fp8" else scaled.round().to(torch.int8), scale)
