"""Norm, residual and rounding kernels equal the plain form."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.engine.ops import normed
from core.engine.ops.normed import add_gated, add_norm_rows, norm_rows, quantise_rows
from core.engine.ops.rows import SMALLEST_SCALE, Norm, RowKind, plain_rows
from core.errors import EngineError
from tests.core.engine.ops.rows_checks import poisoned, same_rows, skip_without_fp8

KINDS: list[RowKind] = ["float", "fp8", "int8"]
# Less than a tile, the mini's width, the 14B's, and a ragged end of several tiles.
SHAPES = [(3, 37), (2, 320), (1, 5120), (2, 2777)]


@pytest.fixture
def device(kernel_device: torch.device, monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """Where the kernels run; the plain form must not."""
    monkeypatch.setattr(normed, "plain_rows", None)
    return kernel_device


def random(*shape: int, device: torch.device, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(device, dtype)


def norm_of(width: int, device: torch.device) -> Norm:
    weight = 1 + 0.3 * random(width, device=device, seed=1)
    return Norm(weight, 0.5 * random(width, device=device, seed=2), 1e-6)


def plain_norm(x: Tensor, norm: Norm) -> Tensor:
    return F.layer_norm(x, [x.shape[1]], norm.weight, norm.bias, norm.eps)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_norm_equals_layer_norm(
    shape: tuple[int, int], kind: RowKind, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_without_fp8(device, kind)
    x = random(*shape, device=device) * 3 + 5  # a mean that a one-pass variance would lose digits to
    kept, norm = x.clone(), norm_of(shape[1], device)
    with poisoned(monkeypatch):
        rows = norm_rows(x, norm, kind, torch.float32)
    same_rows(rows, plain_rows(plain_norm(x, norm), kind, torch.float32))
    assert torch.equal(x, kept)


def test_float_rows_take_the_asked_dtype(
    device: torch.device, float_dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, norm = random(3, 320, device=device), norm_of(320, device)
    with poisoned(monkeypatch):
        rows = norm_rows(x, norm, "float", float_dtype)
    same_rows(rows, plain_rows(plain_norm(x, norm), "float", float_dtype))


@pytest.mark.parametrize("gated", [True, False], ids=["gate", "no gate"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2, 320), (2, 2777)], ids=str)
def test_update_is_added_before_the_norm(
    shape: tuple[int, int],
    kind: RowKind,
    gated: bool,
    device: torch.device,
    float_dtype: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    skip_without_fp8(device, kind)
    around = random(shape[0] + 2, shape[1], device=device)
    before, x = around.clone(), around[1:-1]
    update = random(*shape, device=device, dtype=float_dtype, seed=3)
    gate = random(shape[1], device=device, seed=4) if gated else None
    norm = norm_of(shape[1], device)
    want = x + (update if gate is None else gate * update)
    with poisoned(monkeypatch):
        rows = add_norm_rows(x, update, gate, norm, kind, torch.float16)
    torch.testing.assert_close(x, want, rtol=1e-6, atol=1e-6)
    assert torch.equal(around[0], before[0])
    assert torch.equal(around[-1], before[-1])
    same_rows(rows, plain_rows(plain_norm(want, norm), kind, torch.float16))


@pytest.mark.parametrize("shape", [(2, 3, 320), (3, 2777), (1, 5120)], ids=str)
def test_gated_update_is_added_in_place(
    shape: tuple[int, ...], device: torch.device, float_dtype: torch.dtype
) -> None:
    x = random(*shape, device=device)
    update = random(*shape, device=device, dtype=float_dtype, seed=3)
    gate = random(shape[-1], device=device, seed=4)
    want = x + gate * update
    assert add_gated(x, update, gate) is x
    torch.testing.assert_close(x, want, rtol=1e-6, atol=1e-6)
    add_gated(x, update, None)
    torch.testing.assert_close(x, want + update, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["fp8", "int8"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_quantised_rows_equal_the_plain_ones(
    shape: tuple[int, int],
    kind: RowKind,
    device: torch.device,
    float_dtype: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    skip_without_fp8(device, kind)
    wide = random(shape[0], shape[1] + 16, device=device, dtype=float_dtype)
    x = wide[:, 8:-8]  # rows apart
    with poisoned(monkeypatch):
        rows = quantise_rows(x, kind, float_dtype)
    same_rows(rows, plain_rows(x, kind, float_dtype))


@pytest.mark.parametrize("kind", ["fp8", "int8"])
def test_ties_round_to_even(kind: RowKind, device: torch.device) -> None:
    """A row whose scale is one shows the rounding alone: ties, carries and the smallest steps."""
    skip_without_fp8(device, kind)
    if kind == "int8":
        values = [127.0, -126.5, -0.5, 0.5, 1.5, 2.5, -3.5, 125.5, 0.49, -0.51]
    else:
        half_steps = [n * 2.0**-10 for n in range(18)]
        values = [448.0, -447.0, 15.6, 31.0, 17.0, 19.0, -127.5, 0.0156, *half_steps]
    x = torch.tensor([values, [-value for value in values]], device=device)
    got, want = quantise_rows(x, kind, x.dtype), plain_rows(x, kind, x.dtype)
    assert torch.equal(got.values.float(), want.values.float())
    assert got.scale is not None
    assert (got.scale == 1).all()


@pytest.mark.parametrize("kind", ["fp8", "int8"])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_wrong_numbers_reach_the_scale(kind: RowKind, wrong: float, device: torch.device) -> None:
    """int8 has no NaN: the guard sees it by the scale. Rows of zeros stay zeros."""
    skip_without_fp8(device, kind)
    x = random(4, 2777, device=device)
    x[1, 2776], x[2] = wrong, 0
    rows = quantise_rows(x, kind, x.dtype)
    assert rows.scale is not None
    assert rows.scale.isfinite().tolist() == [True, False, True, True]
    assert rows.scale[2] == torch.tensor(SMALLEST_SCALE)
    assert not rows.values[2].float().any()


def test_rows_beyond_32_bits(device: torch.device) -> None:
    if device.type == "cpu":
        pytest.skip("takes 4 GiB")
    apart = torch.zeros(2 * 2**30 + 320, device=device, dtype=torch.float16).as_strided((3, 320), (2**30, 1))
    apart[2] = random(320, device=device)
    same_rows(quantise_rows(apart, "int8", apart.dtype), plain_rows(apart, "int8", apart.dtype))


@pytest.mark.parametrize("kind", KINDS)
def test_plain_form_is_used_without_triton(kind: RowKind) -> None:
    cpu = torch.device("cpu")
    x, update, gate = (random(*shape, device=cpu) for shape in ((3, 40), (3, 40), (40,)))
    norm, want = norm_of(40, cpu), x + gate * update
    rows = add_norm_rows(x, update, gate, norm, kind, torch.bfloat16)
    assert torch.equal(x, want)
    same_rows(rows, plain_rows(plain_norm(want, norm), kind, torch.bfloat16))
    same_rows(quantise_rows(x, kind, torch.bfloat16), plain_rows(x, kind, torch.bfloat16))
    assert torch.equal(add_gated(x, update, gate), want + gate * update)


def test_gradients_go_through_the_plain_form(kernel_device: torch.device) -> None:
    x = random(2, 40, device=kernel_device).requires_grad_()
    norm_rows(x, norm_of(40, kernel_device), "float", torch.float32).values.square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().max() > 0


def test_no_rows_are_no_launch(kernel_device: torch.device) -> None:
    x = random(0, 40, device=kernel_device)
    assert norm_rows(x, norm_of(40, kernel_device), "float", torch.float16).values.shape == (0, 40)


def test_shapes_are_checked() -> None:
    cpu = torch.device("cpu")
    x = random(3, 40, device=cpu)
    with pytest.raises(EngineError, match="update"):
        add_norm_rows(x, x[:2], None, norm_of(40, cpu), "float", torch.float32)
    with pytest.raises(EngineError, match="weight"):
        norm_rows(x, norm_of(39, cpu), "float", torch.float32)
    with pytest.raises(EngineError, match="gate"):
        add_gated(x, x, x[0, :39])
