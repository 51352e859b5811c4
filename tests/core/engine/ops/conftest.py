"""Kernels run by Triton's interpreter on processors, or compiled where there is a GPU; the tests are the same."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from core.engine.ops import triton_support

# Triton reads it when it is imported and when a kernel is defined.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture
def kernel_device() -> Iterator[torch.device]:
    """Where kernels run here; skips where Triton is missing (macOS, Windows)."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not triton_support.usable(device):
        pytest.skip("Triton is not here")
    yield device


def float_dtypes() -> list[torch.dtype]:
    """The interpreter's bfloat16 products are wrong."""
    more = [torch.bfloat16] if torch.cuda.is_available() else []
    return [torch.float32, torch.float16, *more]


@pytest.fixture(params=float_dtypes(), ids=str)
def float_dtype(request: pytest.FixtureRequest) -> torch.dtype:
    """Of inputs: float32, float16, and bfloat16 on a GPU."""
    dtype: torch.dtype = request.param
    return dtype
