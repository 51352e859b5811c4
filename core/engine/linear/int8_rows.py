"""Products of int8 rows with int8 weights, a scale for each row of both.

The integers are added up exactly, the scales stand outside: y = (x w^T) * x_scale * w_scale + bias.
Shape letters: M rows, K inputs, N outputs.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from core.engine.ops import triton_support
from core.engine.ops.rows import Rows

Int8Engine = Literal["triton", "torch"]
STEP = 16
"""Inputs and outputs must be multiples of it."""
# Rows that torch multiplies at once: it gives 32-bit integers, four bytes a value.
ROWS_AT_ONCE = 16384
# ``torch._int_mm`` takes more rows than this.
FEWEST_ROWS = 17


def int8_fits(inputs: int, outputs: int) -> bool:
    """Whether a weight [outputs, inputs] can be multiplied as it is."""
    return inputs % STEP == 0 and outputs % STEP == 0


def int8_rows_product(
    rows: Rows,
    weight: Tensor,
    scale: Tensor,
    bias: Tensor | None,
    dtype: torch.dtype,
    engine: Int8Engine = "triton",
) -> Tensor:
    """Rows [M, K] int8 with scales, weight int8 [N, K] with float32 scales [N] -> [M, N] in ``dtype``.

    Args:
        bias: [N] of any float dtype; added in float32, before the one rounding.
        engine: our kernel, or ``torch._int_mm`` and what remains in plain torch. Both are exact.
    """
    device = rows.values.device
    if engine == "triton" and triton_support.usable(device):
        from core.engine.ops.int8_gemm import multiply_rows

        return multiply_rows(rows, weight, scale, bias, dtype)
    assert rows.scale is not None
    out = torch.empty((len(rows.values), len(weight)), dtype=dtype, device=device)
    for start in range(0, len(out), ROWS_AT_ONCE):
        span = slice(start, start + ROWS_AT_ONCE)
        sums = _sums(rows.values[span], weight).float()
        sums.mul_(rows.scale[span, None]).mul_(scale)
        out[span] = sums if bias is None else sums.add_(bias)
    return out


def _sums(x: Tensor, weight: Tensor) -> Tensor:
    """Exact sums of products [M, N]: int32 on a GPU, else float64, which holds them all."""
    if x.device.type != "cuda":
        with torch.autocast(x.device.type, enabled=False):
            return x.double() @ weight.double().T
    if len(x) < FEWEST_ROWS:
        padded = torch.zeros((FEWEST_ROWS, x.shape[1]), dtype=torch.int8, device=x.device)
        padded[: len(x)] = x
        return torch._int_mm(padded, weight.T)[: len(x)]
    return torch._int_mm(x, weight.T)
