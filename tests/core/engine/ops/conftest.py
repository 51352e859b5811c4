"""Kernels run by Triton's interpreter on processors, compiled on a GPU; the tests are the same."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch

from core.engine.ops import triton_support

# Triton reads it when it is imported and when a kernel is defined, so it is set before either. Other tests of
# this process are not changed by it: they compute on the processor without Triton.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture
def kernel_device(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """Where kernels run here; skips where Triton is missing (macOS, Windows)."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        monkeypatch.setenv(triton_support.INTERPRET, "1")
    if not triton_support.usable(device):
        pytest.skip("Triton is not here")
    if device.type == "cpu":
        let_loops_count(monkeypatch)
    return device


def let_loops_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 2.4 on numpy takes no array of one value for a number, which Triton 3.6 has as bounds of loops."""
    from triton.runtime import interpreter

    patch = interpreter._patch_lang_tensor

    def patched(tensor: Any, scope: Any) -> None:
        patch(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    monkeypatch.setattr(interpreter, "_patch_lang_tensor", patched)


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
