"""What the machine reaches at best: a long copy, and square products. Floors are computed from these."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.engine.ops.rows import FP8
from core.evaluation.bench.timing import Run, measure

COPY_BYTES = {"cuda": 4 * 2**30, "cpu": 2**24}
SIDE = {"cuda": 8192, "cpu": 256}
FP8_FROM = (8, 9)
REPEATS, BUDGET_S = 7, 0.3


@dataclass(frozen=True)
class Ceilings:
    """Bytes a second (read plus written), operations a second of 16-bit and of 8-bit products."""

    copy: float
    product: float
    product8: float

    def floor_s(self, moved_bytes: float, flops: float, *, eight_bit: bool) -> float:
        """The least time of work that moves and computes so much."""
        return max(moved_bytes / self.copy, flops / (self.product8 if eight_bit else self.product))

    def data(self) -> dict[str, float]:
        """For the report, in the units of the table."""
        return {
            "copy_GB_s": self.copy / 1e9,
            "product_TFLOP_s": self.product / 1e12,
            "product8_TFLOP_s": self.product8 / 1e12,
        }


def find_ceilings(device: torch.device, dtype: torch.dtype) -> Ceilings:
    """Measure them; where 8-bit products are missing, those of 16 bits count for both."""
    copy = _copy_rate(device)
    side = SIDE[device.type]
    flops = 2 * side**3
    a, b = (_normal(side, device).to(dtype) for _ in range(2))
    product = flops / _seconds(lambda: a @ b, device)
    eight = _product8(a, b, device)
    return Ceilings(copy, product, product if eight is None else flops / _seconds(eight, device))


def _copy_rate(device: torch.device) -> float:
    size_bytes = COPY_BYTES[device.type]
    if device.type == "cuda":
        size_bytes = min(size_bytes, torch.cuda.mem_get_info(device)[0] // 4)
    source, target = (torch.ones(size_bytes // 4, device=device) for _ in range(2))
    return 2 * size_bytes / _seconds(lambda: target.copy_(source), device)


def _product8(a: Tensor, b: Tensor, device: torch.device) -> Run | None:
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < FP8_FROM:
        return None
    left, right = a.to(FP8), b.t().contiguous().to(FP8).t()
    one = torch.ones((), device=device)
    return lambda: torch._scaled_mm(
        left, right, scale_a=one, scale_b=one, out_dtype=a.dtype, use_fast_accum=True
    )


def _normal(side: int, device: torch.device) -> Tensor:
    generator = torch.Generator(device).manual_seed(5)
    return torch.randn(side, side, generator=generator, device=device)


def _seconds(run: Run, device: torch.device) -> float:
    run()
    return measure(run, device, REPEATS, BUDGET_S).median_s
