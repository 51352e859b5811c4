"""Comparing rows that a kernel wrote with those of the plain form."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from core.engine.ops.rows import FP8, RowKind, Rows

TOLERANCE = {torch.float32: 3e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}
GUARD = 64


@contextmanager
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """New tensors are full of NaN or 77, and so is what lies behind them: it must stay so."""
    buffers: list[Tensor] = []
    empty = torch.empty

    def poisoned_empty(*shape: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        size = torch.Size(shape)
        buffer = empty(size.numel() + GUARD, dtype=dtype, device=device)
        if dtype == FP8:
            buffer.view(torch.uint8).fill_(0x7F)
        else:
            buffer.fill_(float("nan") if dtype.is_floating_point else 77)
        buffers.append(buffer[size.numel() :])
        return buffer[: size.numel()].view(size)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "empty", poisoned_empty)
        yield
    assert buffers, "nothing was written into a new tensor"
    assert all(untouched(guard).all() for guard in buffers)


def untouched(guard: Tensor) -> Tensor:
    """Where the poison is still there."""
    if guard.element_size() == 1:
        return guard.view(torch.uint8) == (0x7F if guard.dtype == FP8 else 77)
    return guard.isnan() if guard.dtype.is_floating_point else guard == 77


def same_rows(got: Rows, want: Rows) -> None:
    """Floats within their rounding; 8-bit codes at most one step apart, and that at ties only."""
    assert got.kind == want.kind
    assert got.values.dtype == want.values.dtype
    assert got.values.shape == want.values.shape
    if want.scale is None:
        near = TOLERANCE[want.values.dtype]
        torch.testing.assert_close(got.values, want.values, rtol=near, atol=near)
        return
    assert got.scale is not None
    torch.testing.assert_close(got.scale, want.scale, rtol=2e-6, atol=0)
    apart = (order(got.values) - order(want.values)).abs()
    assert apart.max() <= 1
    assert (apart > 0).sum() <= max(2, apart.numel() // 1000)


def order(codes: Tensor) -> Tensor:
    """Codes as integers in the order of their values; both fp8 zeros are 0."""
    if codes.dtype == torch.int8:
        return codes.int()
    bits = codes.view(torch.uint8).int()
    return torch.where(bits >= 128, 128 - bits, bits)


def skip_without_fp8(device: torch.device, kind: RowKind) -> None:
    """GPUs have fp8 from capability 8.9."""
    if kind == "fp8" and device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 9):
        pytest.skip("this GPU has no fp8")
