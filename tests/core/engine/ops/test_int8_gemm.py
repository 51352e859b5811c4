"""Kernels of 8-bit integers: products with scales by row and by block, and the scales of blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.engine.linear import int8_block
from core.engine.linear.int8_rows import int8_rows_product
from core.engine.ops import int8_gemm
from core.engine.ops.int8_gemm import Tiles, multiply_blocks, multiply_rows
from core.engine.ops.rows import Rows, plain_rows
from core.errors import EngineError
from core.evaluation.golden.base import load
from core.evaluation.golden.kind_int8_linear import _one_unit

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "int8_a.safetensors"
# Small tiles, so that odd sizes meet edges of all kinds in little time.
SMALL = Tiles(height=32, width=64, depth=32, warps=4, group=2)


@pytest.fixture(autouse=True)
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs begin as something that no test expects."""
    empty = torch.empty

    def poisoned_empty(*args: object, **kwargs: object) -> Tensor:
        out: Tensor = empty(*args, **kwargs)  # type: ignore[call-overload]
        return out.fill_(77) if out.dtype == torch.int8 else out.fill_(float("nan"))

    monkeypatch.setattr(torch, "empty", poisoned_empty)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def unit(dtype: torch.dtype) -> float:
    """A little more than half a step of a dtype, relative."""
    return max(0.51 * torch.finfo(dtype).eps, 1e-6)


@pytest.mark.parametrize(("persistent", "tma"), [(False, False), (False, True), (True, True)])
@pytest.mark.parametrize(("rows", "outputs", "inputs"), [(1, 16, 16), (35, 80, 80), (67, 48, 32)])
def test_products_by_row(
    rows: int,
    outputs: int,
    inputs: int,
    persistent: bool,
    tma: bool,
    kernel_device: torch.device,
    float_dtype: torch.dtype,
) -> None:
    skip_descriptors_where_none_are(tma, kernel_device)
    x = plain_rows(normal(rows, inputs) * torch.logspace(-3, 3, rows)[:, None], "int8", torch.float32)
    w = plain_rows(normal(outputs, inputs, seed=1), "int8", torch.float32)
    assert x.scale is not None
    assert w.scale is not None
    left = x.scale.to(kernel_device)
    x = Rows(x.values.to(kernel_device), left)
    weight, scale = w.values.to(kernel_device), w.scale.to(kernel_device)
    tiles = replace(SMALL, persistent=persistent, descriptors=tma)
    for bias in (None, normal(outputs, seed=2).to(kernel_device, float_dtype)):
        found = multiply_rows(x, weight, scale, bias, float_dtype, tiles)
        sums = (x.values.double() @ weight.double().T) * left.double()[:, None] * scale.double()
        wanted = sums if bias is None else sums + bias.double()
        largest = sums.abs() + (wanted - sums).abs()
        assert found.dtype == float_dtype
        assert ((found.double() - wanted).abs() <= unit(float_dtype) * largest + 1e-7).all()


def test_the_default_tiles_and_layers_take_the_kernel(kernel_device: torch.device) -> None:
    x = plain_rows(normal(37, 48).to(kernel_device), "int8", torch.float32)
    w = plain_rows(normal(32, 48, seed=1).to(kernel_device), "int8", torch.float32)
    assert w.scale is not None
    ours = int8_rows_product(x, w.values, w.scale, None, torch.float16)
    plain = int8_rows_product(x, w.values, w.scale, None, torch.float16, "torch")
    torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-6)
    assert multiply_rows(Rows(x.values[:0], x.scale), w.values, w.scale, None, torch.float16).shape == (0, 32)


def test_sums_do_not_overflow(kernel_device: torch.device) -> None:
    values = torch.full((3, 13824), -128, dtype=torch.int8, device=kernel_device)
    ones = torch.ones(16, device=kernel_device)
    weight = torch.full((16, 13824), 127, dtype=torch.int8, device=kernel_device)
    tiles = Tiles(height=16, width=16, depth=512, warps=4)
    found = multiply_rows(Rows(values, ones[:3]), weight, ones, None, torch.float32, tiles)
    assert set(found.flatten().tolist()) == {-128.0 * 127 * 13824}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(128, 128), (130, 256), (1, 320), (300, 200)])
def test_blocks_are_quantised_as_the_plain_form_does(
    shape: tuple[int, int], dtype: torch.dtype, kernel_device: torch.device
) -> None:
    x = normal(*shape)
    x[: shape[0] // 2] *= 50
    x[:, :2] = torch.tensor([1000.0, -1000.0])
    if shape[1] > 128:
        x[:, 128:256] = 0
    x = x.to(kernel_device, dtype)
    values, scales = int8_gemm.quantise_blocks(x)
    expected, expected_scales = int8_block.quantise_blocks(x)
    assert torch.equal(values, expected)
    assert torch.equal(scales, expected_scales)


def test_halves_are_rounded_to_even(kernel_device: torch.device) -> None:
    x = torch.arange(-64, 64, dtype=torch.float32).div(2).repeat(128, 1)
    x[0, 0] = -128
    values, scales = int8_gemm.quantise_blocks(x.to(kernel_device))
    assert scales.tolist() == [[1.0]]
    assert values[1].tolist() == [round(k / 2) for k in range(-64, 64)]


@pytest.mark.parametrize("tma", [False, True])
@pytest.mark.parametrize(("rows", "outputs", "inputs"), [(1, 8, 128), (35, 136, 256), (130, 24, 128)])
def test_products_by_block(
    rows: int, outputs: int, inputs: int, tma: bool, kernel_device: torch.device, float_dtype: torch.dtype
) -> None:
    skip_descriptors_where_none_are(tma, kernel_device)
    x, weight = normal(rows, inputs), normal(outputs, inputs, seed=1)
    x[: rows // 2] *= 30
    weight[:, :128] *= 0.01
    x8, x_scale, w8, w_scale = (
        part.to(kernel_device)
        for part in (*int8_block.quantise_blocks(x), *int8_block.quantise_blocks(weight))
    )
    exact = int8_block.int8_product(x8, x_scale, w8, w_scale)
    tiles = replace(SMALL, depth=128, descriptors=tma)
    for bias in (None, normal(outputs, seed=2).to(kernel_device)):
        found = multiply_blocks(x8, x_scale, w8, w_scale, bias, float_dtype, tiles)
        rounded = exact.to(float_dtype)
        wanted = rounded if bias is None else rounded + bias.to(float_dtype)
        # An fma rounds once where the plain form rounds twice, so few results fall to the neighbour.
        torch.testing.assert_close(found, wanted, rtol=2 * torch.finfo(float_dtype).eps, atol=1e-3)
        assert float((found != wanted).double().mean()) < (0.01 if float_dtype != torch.float32 else 1.0)


def test_golden(kernel_device: torch.device) -> None:
    """The whole layer. The interpreter cuts bfloat16 off instead of rounding it, so only float16 results."""
    golden = load(GOLDEN)
    for case in golden.cases():
        x, weight, bias = (
            golden.tensors[f"{case}.in.{name}"].to(kernel_device) for name in ("x", "weight", "bias")
        )
        quantised = [int8_gemm.quantise_blocks(tensor) for tensor in (weight, x)]
        names = (("int8_weight", "scale"), ("x_int8", "x_scale"))
        for (values, scales), (value_name, scale_name) in zip(quantised, names, strict=True):
            off = values.cpu().int() - golden.tensors[f"{case}.out.{value_name}"].int()
            assert int(off.abs().max()) <= 1
            assert float((off != 0).double().mean()) <= 1e-3
            torch.testing.assert_close(scales.cpu(), golden.tensors[f"{case}.out.{scale_name}"])
        if kernel_device.type == "cpu" and x.dtype == torch.bfloat16:
            continue
        y = int8_block.int8_linear(x, *quantised[0], bias)
        assert _one_unit("y", y.cpu(), golden.tensors[f"{case}.out.y"]).passed


def test_shapes_that_do_not_fit_are_refused(kernel_device: torch.device) -> None:
    values = torch.zeros(4, 24, dtype=torch.int8, device=kernel_device)
    ones = torch.ones(4, device=kernel_device)
    with pytest.raises(EngineError, match="8-bit product"):
        multiply_rows(Rows(values, ones), values, ones, None, torch.float32)
    with pytest.raises(EngineError, match="8-bit product"):
        multiply_blocks(values, ones[None], values, ones[None], None, torch.float16)


def skip_descriptors_where_none_are(tma: bool, device: torch.device) -> None:
    if tma and device.type == "cuda" and torch.cuda.get_device_capability(device) < (9, 0):
        pytest.skip("no tensor memory accelerator")
