"""GELU and rounding in one kernel equal the plain form."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from core.engine.ops import activated
from core.engine.ops.activated import gelu_rows
from core.engine.ops.rows import RowKind, plain_rows
from tests.core.engine.ops.rows_checks import poisoned, same_rows, skip_without_fp8

KINDS: list[RowKind] = ["float", "fp8", "int8"]


@pytest.fixture
def device(kernel_device: torch.device, monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """Where the kernels run; the plain form must not."""
    monkeypatch.setattr(activated, "plain_rows", None)
    return kernel_device


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(3, 37), (2, 1152), (2, 2777), (1, 13824)], ids=str)
def test_gelu_equals_torch(
    shape: tuple[int, int],
    kind: RowKind,
    device: torch.device,
    float_dtype: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    skip_without_fp8(device, kind)
    h = (3 * torch.randn(shape, generator=torch.Generator().manual_seed(0))).to(device, float_dtype)
    with poisoned(monkeypatch):
        rows = gelu_rows(h, kind, float_dtype)
    same_rows(rows, plain_rows(F.gelu(h.float(), approximate="tanh"), kind, float_dtype))


def test_gelu_at_large_and_small_inputs(device: torch.device) -> None:
    """No overflow becomes NaN; small results keep their digits."""
    ends = [0.0, 1e-20, 1e-3, 0.5, 1.0, 3.0, 5.0, 9.0, 100.0, 6e4, 1e15, 1e30]
    h = torch.tensor([[*ends, *(-end for end in ends)]], device=device)
    want = F.gelu(h.double(), approximate="tanh").float()
    torch.testing.assert_close(gelu_rows(h, "float", torch.float32).values, want, rtol=3e-6, atol=2e-7)


def test_gelu_keeps_nan(device: torch.device) -> None:
    h = torch.ones(2, 40, device=device)
    h[0, 3] = float("nan")
    scale = gelu_rows(h, "int8", torch.float16).scale
    assert scale is not None
    assert scale.isnan().tolist() == [True, False]


@pytest.mark.parametrize("kind", KINDS)
def test_plain_form_is_used_without_triton(kind: RowKind) -> None:
    h = torch.randn(3, 40, generator=torch.Generator().manual_seed(0))
    want = plain_rows(F.gelu(h, approximate="tanh"), kind, torch.bfloat16)
    same_rows(gelu_rows(h, kind, torch.bfloat16), want)
