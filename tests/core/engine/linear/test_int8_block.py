"""Blocks of 8-bit integers: the stored values, their product, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.engine.linear.int8_block import (
    CHUNK_ROWS,
    dequantise_blocks,
    int8_linear,
    quantise_blocks,
)
from core.errors import BadCheckpoint, BadSetting
from core.evaluation.golden.base import load
from core.evaluation.golden.kind_int8_linear import check

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "int8_a.safetensors"


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_golden() -> None:
    rows = list(check(load(GOLDEN)))
    assert len(rows) == 18
    assert [row for row in rows if not row.passed] == []


@pytest.mark.parametrize("spoilt", ["case0.out.int8_weight", "case1.out.y", "case2.out.x_scale"])
def test_the_golden_notices_a_small_difference(spoilt: str) -> None:
    golden = load(GOLDEN)
    tensor = golden.tensors[spoilt]
    if tensor.dtype == torch.int8:
        tensor[:, 0] += torch.where(tensor[:, 0] < 127, 1, -1).to(torch.int8)
    else:
        tensor.mul_(1.02)
    assert [row.tensor for row in check(golden) if not row.passed] == [spoilt]


def test_the_largest_magnitude_saturates_on_the_positive_side_only() -> None:
    x = torch.zeros(1, 256)
    x[0, 0], x[0, 1], x[0, 130] = 2.0, -2.0, -0.5
    values, scale = quantise_blocks(x)
    assert (values[0, 0], values[0, 1], values[0, 130]) == (127, -128, -128)
    assert scale.tolist() == [[2 / 128, 0.5 / 128]]


def test_a_block_of_zeros_stays_zero() -> None:
    values, scale = quantise_blocks(torch.zeros(128, 128))
    assert not values.any()
    assert torch.isfinite(scale).all()
    assert not dequantise_blocks(values, scale).any()


@pytest.mark.parametrize("shape", [(136, 256), (128, 128), (8, 130), (CHUNK_ROWS + 72, 128)])
def test_weights_come_back_within_a_step_of_their_block(shape: tuple[int, int]) -> None:
    weight = normal(*shape)
    weight[: shape[0] // 2] *= 100
    values, scale = quantise_blocks(weight)
    step = scale.repeat_interleave(128, 0)[: shape[0]].repeat_interleave(128, 1)[:, : shape[1]]
    error = (dequantise_blocks(values, scale) - weight).abs()
    assert (error <= step * 1.0001).all()  # half a step, and a whole one for the saturated maximum
    assert (error <= step / 2).double().mean() > 0.99
    half = dequantise_blocks(values, scale, torch.bfloat16)
    assert torch.equal(half, dequantise_blocks(values, scale).bfloat16())


def test_chunks_of_rows_do_not_show() -> None:
    x = normal(CHUNK_ROWS + 200, 128)
    values, scale = quantise_blocks(x)
    assert torch.equal(values[CHUNK_ROWS:], quantise_blocks(x[CHUNK_ROWS:])[0])
    assert scale.shape == (CHUNK_ROWS // 128 + 2, 1)
    weight, weight_scale = quantise_blocks(normal(16, 128, seed=1))
    whole = int8_linear(x.bfloat16(), weight, weight_scale)
    assert torch.equal(whole[CHUNK_ROWS:], int8_linear(x[CHUNK_ROWS:].bfloat16(), weight, weight_scale))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_layer_is_close_to_the_float_one(dtype: torch.dtype) -> None:
    x, weight, bias = normal(2, 70, 384).to(dtype), normal(64, 384, seed=1), normal(64, seed=2)
    exact = torch.nn.functional.linear(x.float(), weight, bias)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = int8_linear(x, *quantise_blocks(weight), bias)
    assert ours.dtype == dtype
    assert ours.shape == (2, 70, 64)
    error = (ours.float() - exact).norm() / exact.norm()
    assert error < 0.02
    assert torch.equal(ours, int8_linear(x, *quantise_blocks(weight), bias))  # autocast changes nothing


def test_float32_activations_are_refused() -> None:
    weight, scale = quantise_blocks(normal(8, 128))
    with pytest.raises(BadSetting, match="float32"):
        int8_linear(normal(4, 128), weight, scale)


@pytest.mark.parametrize(("outputs", "inputs"), [(8, 120), (12, 128)])
def test_shapes_that_kernels_cannot_take_are_refused(outputs: int, inputs: int) -> None:
    weight, scale = quantise_blocks(normal(outputs, inputs))
    with pytest.raises(BadCheckpoint, match=f"{inputs} inputs and {outputs} outputs"):
        int8_linear(normal(4, inputs).bfloat16(), weight, scale)


def test_scales_of_another_shape_are_refused() -> None:
    weight, _ = quantise_blocks(normal(136, 128))
    with pytest.raises(BadCheckpoint, match=r"\(136, 128\) has scales of shape \(1, 1\)"):
        int8_linear(normal(4, 128).bfloat16(), weight, torch.ones(1, 1))
