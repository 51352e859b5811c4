"""Kernels run by Triton's interpreter on processors, compiled on a GPU; the tests are the same."""

from __future__ import annotations

import pytest
import torch

from core.engine.ops import triton_support
from tests.fakes import interpreter


@pytest.fixture
def kernel_device(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """Where kernels run here; skips where Triton is missing (macOS, Windows)."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        monkeypatch.setenv(triton_support.INTERPRET, "1")
    if not triton_support.usable(device):
        pytest.skip("Triton is not here")
    if device.type == "cpu":
        interpreter.mend(monkeypatch)
    return device


def float_dtypes() -> list[torch.dtype]:
    """The interpreter's bfloat16 products are wrong."""
    more = [torch.bfloat16] if torch.cuda.is_available() else []
    return [torch.float32, torch.float16, *more]


@pytest.fixture(params=float_dtypes(), ids=str)
def float_dtype(request: pytest.FixtureRequest) -> torch.dtype:
    """Of inputs: float32, float16, and bfloat16 on a GPU."""
    dtype: torch.dtype = request.param
    return dtype


@pytest.fixture(params=[dtype for dtype in float_dtypes() if dtype.itemsize == 2], ids=str)
def half_dtype(request: pytest.FixtureRequest) -> torch.dtype:
    """As ``float_dtype`` without float32, where the interpreter takes long."""
    dtype: torch.dtype = request.param
    return dtype
