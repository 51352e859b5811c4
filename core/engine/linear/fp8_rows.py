"""Products of float8 rows with float8 weights, a scale for each row of both.

On NVIDIA GPUs from compute capability 8.9 this is ``torch._scaled_mm``; elsewhere the same values are
multiplied in a wider type. Scales stand outside the sums: y = (x w^T) * x_scale * w_scale + bias.
Shape letters: M rows, K inputs, N outputs.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from core.engine.ops.rows import FP8, Rows, plain_rows

STEP = 16
"""Inputs and outputs must be multiples of it."""
LOWEST_CAPABILITY = (8, 9)
SCALED_DTYPE = torch.bfloat16
"""What ``_scaled_mm`` gives for scales by row on all GPUs."""
# Fast accumulation keeps fewer bits of the sums. Its error may be this part of what float8 costs anyway.
ALLOWED_PART = 0.25


def fp8_fits(inputs: int, outputs: int, stored: torch.dtype) -> bool:
    """Whether a weight [outputs, inputs] of this dtype can be multiplied as it is."""
    return stored == FP8 and inputs % STEP == 0 and outputs % STEP == 0


def fp8_product(
    rows: Rows, weight: Tensor, scale: Tensor, bias: Tensor | None, dtype: torch.dtype, *, fast: bool = True
) -> Tensor:
    """Rows [M, K] float8_e4m3fn with scales, weight the same [N, K] with float32 scales [N] -> [M, N].

    Args:
        bias: [N] of any float dtype.
        dtype: of the result. On a GPU the product itself is rounded to bfloat16.
        fast: add up in the tensor cores' short accumulators (``measured_fast_accumulation`` chooses).
    """
    if has_fp8_products(rows.values.device):
        return _on_gpu(rows, weight, scale, bias, fast).to(dtype)
    if rows.values.device.type == "cuda":
        weight_float = Rows(weight, scale).to_float(dtype)
        return F.linear(rows.to_float(dtype), weight_float, None if bias is None else bias.to(dtype))
    return plain_fp8_product(rows, weight, scale, bias, dtype)


def plain_fp8_product(
    rows: Rows, weight: Tensor, scale: Tensor, bias: Tensor | None, dtype: torch.dtype
) -> Tensor:
    """The same, added up in float32 and rounded once: the reference."""
    assert rows.scale is not None
    with torch.autocast(rows.values.device.type, enabled=False):
        out = rows.values.float() @ weight.float().T
        out.mul_(rows.scale[:, None]).mul_(scale)
        return (out if bias is None else out.add_(bias)).to(dtype)


def has_fp8_products(device: torch.device) -> bool:
    """Whether the device multiplies float8 values itself."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= LOWEST_CAPABILITY


def measured_fast_accumulation(device: torch.device) -> bool:
    """Whether fast accumulation is accurate enough on this device, by a product with 13,824 inputs."""
    fast, exact, quantised = accumulation_errors(device)
    return fast <= max(exact, ALLOWED_PART * quantised)


@torch.no_grad()
def accumulation_errors(device: torch.device, inputs: int = 13824) -> tuple[float, float, float]:
    """Relative errors (norms) of a product of normal values on a device.

    Returns:
        With fast accumulation, without it (both against the exact product of the same float8 values), and
        what rounding the values to float8 costs.
    """
    random = torch.Generator(device).manual_seed(0)
    x, w = (torch.randn(256, inputs, generator=random, device=device) for _ in range(2))
    rows, weight = plain_rows(x, "fp8", torch.float32), plain_rows(w, "fp8", torch.float32)
    assert weight.scale is not None
    exact = rows.to_float(torch.float64) @ weight.to_float(torch.float64).T
    wanted = x.double() @ w.double().T
    found = [
        _relative(fp8_product(rows, weight.values, weight.scale, None, torch.float32, fast=fast), exact)
        for fast in (True, False)
    ]
    return found[0], found[1], _relative(exact, wanted)


def _on_gpu(rows: Rows, weight: Tensor, scale: Tensor, bias: Tensor | None, fast: bool) -> Tensor:
    assert rows.scale is not None
    if _scales_by_row(rows.values.device):
        return torch._scaled_mm(
            rows.values,
            weight.T,
            scale_a=rows.scale[:, None],
            scale_b=scale[None, :],
            bias=None if bias is None else bias.to(SCALED_DTYPE),
            out_dtype=SCALED_DTYPE,
            use_fast_accum=fast,
        )
    one = torch.ones((), device=rows.values.device)
    out = torch._scaled_mm(
        rows.values, weight.T, scale_a=one, scale_b=one, out_dtype=SCALED_DTYPE, use_fast_accum=fast
    )
    out.mul_(rows.scale[:, None]).mul_(scale)
    return out if bias is None else out.add_(bias)


@cache
def _scales_by_row(device: torch.device) -> bool:
    """Some builds of torch (Windows) know scales for whole matrices only."""
    values = torch.zeros(STEP, STEP, dtype=FP8, device=device)
    scale = torch.ones(STEP, device=device)
    try:
        torch._scaled_mm(
            values, values.T, scale_a=scale[:, None], scale_b=scale[None, :], out_dtype=SCALED_DTYPE
        )
    except (RuntimeError, ValueError, NotImplementedError):
        return False
    return True


def _relative(found: Tensor, exact: Tensor) -> float:
    return float((found.double() - exact).norm() / exact.norm())
