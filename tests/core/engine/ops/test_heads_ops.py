"""RMS norm and rotation in one kernel equal the plain form."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.engine.models.rope import RopeTable, apply_rope, rope_table
from core.engine.ops import heads
from core.engine.ops.heads import norm_heads
from core.errors import EngineError
from tests.core.engine.ops.rows_checks import TOLERANCE, poisoned

EPS = 1e-6
GRID = (2, 1, 1)
# Heads and their width: the 14B's, the mini's, ones that tiles cut, and the narrowest.
HEADS = [(40, 128), (5, 64), (45, 24), (5, 24), (3, 6)]


@pytest.fixture
def device(kernel_device: torch.device, monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """Where the kernels run; the plain form must not."""
    monkeypatch.setattr(heads, "_plain", None)
    return kernel_device


def random(*shape: int, device: torch.device, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(device, dtype)


def expected(x: Tensor, weight: Tensor, count: int, rope: RopeTable | None) -> Tensor:
    normed = F.rms_norm(x.float(), [x.shape[2]], weight.float(), EPS).unflatten(-1, (count, -1))
    return (normed if rope is None else apply_rope(normed, rope)).to(x.dtype)


def close(got: Tensor, want: Tensor) -> None:
    near = TOLERANCE[want.dtype]
    assert got.is_contiguous()
    torch.testing.assert_close(got, want, rtol=near, atol=near)


@pytest.mark.parametrize("rotated", [True, False], ids=["rope", "no rope"])
@pytest.mark.parametrize("shape", HEADS, ids=str)
def test_heads_equal_norm_and_rotation(
    shape: tuple[int, int],
    rotated: bool,
    device: torch.device,
    float_dtype: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count, head = shape
    x = random(2, 2, count * head, device=device, dtype=float_dtype)
    weight = 1 + 0.3 * random(count * head, device=device, dtype=float_dtype, seed=1)
    rope = rope_table(GRID, head, device) if rotated else None
    with poisoned(monkeypatch):
        got = norm_heads(x, weight, EPS, count, rope)
    close(got, expected(x, weight, count, rope))


def test_heads_of_a_part_of_a_wider_tensor(device: torch.device, float_dtype: torch.dtype) -> None:
    """One product may give q, k and v; tokens and batch entries then lie apart."""
    wide = random(2, 5, 3 * 320, device=device, dtype=float_dtype)
    x, weight, rope = wide[:, 1:3, 320:640], random(320, device=device), rope_table(GRID, 64, device)
    close(norm_heads(x, weight, EPS, 5, rope), expected(x, weight, 5, rope))
    turned = x.transpose(1, 2).contiguous().transpose(1, 2)  # channels apart
    close(norm_heads(turned, weight, EPS, 5, rope), expected(x, weight, 5, rope))


def test_plain_form_goes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "TOKENS_AT_ONCE", 1)
    cpu = torch.device("cpu")
    x, weight, rope = random(2, 2, 120, device=cpu), random(120, device=cpu), rope_table(GRID, 24, cpu)
    close(norm_heads(x, weight, EPS, 5, rope), expected(x, weight, 5, rope))
    assert norm_heads(x[:, :0], weight, EPS, 5, None).shape == (2, 0, 5, 24)


def test_shapes_are_checked() -> None:
    cpu = torch.device("cpu")
    x, weight, rope = random(2, 2, 120, device=cpu), random(120, device=cpu), rope_table(GRID, 24, cpu)
    with pytest.raises(EngineError, match="weight"):
        norm_heads(x, weight[1:], EPS, 5, None)
    with pytest.raises(EngineError, match="heads"):
        norm_heads(x, weight, EPS, 7, None)
    with pytest.raises(EngineError, match="cosine"):
        norm_heads(x[:, :1], weight, EPS, 5, rope)
