"""Quantised linear layers: their weights are what the file says, their products what a plain layer gives."""

from __future__ import annotations

from collections.abc import Callable

import gguf
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from gguf import GGMLQuantizationType as Type
from torch import Tensor, nn

from core.engine.linear import gguf_blocks
from core.engine.linear.gguf_blocks import DECODERS, dequantise_gguf
from core.engine.linear.int8_block import quantise_blocks
from core.engine.linear.quantised import (
    GgufEmbedding,
    GgufLinear,
    Int8BlockLinear,
    Int8RowLinear,
    QuantisedLinear,
    ScaledFp8Linear,
)
from core.errors import BadCheckpoint
from tests.fakes.tiny_gguf import quantise

INPUTS, OUTPUTS = 256, 48
SIZES = (INPUTS, OUTPUTS, True, torch.float32)
Maker = Callable[[Tensor], QuantisedLinear]


def weight(rows: int = OUTPUTS) -> Tensor:
    return torch.randn(rows, INPUTS, generator=torch.Generator().manual_seed(0)) / 16


def fp8(values: Tensor, stored: torch.dtype = torch.float8_e4m3fn, rows: bool = False) -> QuantisedLinear:
    largest = torch.finfo(stored).max
    scale = (values.abs().amax(dim=1) if rows else values.abs().amax().view(1)) / largest
    layer = ScaledFp8Linear(*SIZES, stored, len(scale))
    layer.fill((values / scale[:, None]).to(stored), scale)
    return layer


def int8_rows(values: Tensor) -> QuantisedLinear:
    scale = values.abs().amax(dim=1) / 127
    layer = Int8RowLinear(*SIZES)
    layer.fill((values / scale[:, None]).round().to(torch.int8), scale)
    return layer


def int8_blocks(values: Tensor) -> QuantisedLinear:
    layer = Int8BlockLinear(*SIZES)
    layer.fill(*quantise_blocks(values))
    return layer


def gguf_layer(kind: str) -> Maker:
    def make(values: Tensor) -> QuantisedLinear:
        layer = GgufLinear(*SIZES, kind)
        layer.fill(torch.from_numpy(quantise(values.numpy(), Type[kind]).reshape(-1).copy()), None)
        return layer

    return make


# Largest error of a weight over the largest weight: half a step of each format.
LAYERS: dict[str, tuple[Maker, float]] = {
    "fp8 e4m3": (fp8, 0.036),
    "fp8 e5m2": (lambda values: fp8(values, torch.float8_e5m2), 0.072),
    "fp8 rows": (lambda values: fp8(values, rows=True), 0.036),
    "int8 rows": (int8_rows, 0.004),
    "int8 blocks": (int8_blocks, 0.008),
    "Q8_0": (gguf_layer("Q8_0"), 0.005),
    "Q6_K": (gguf_layer("Q6_K"), 0.02),
    "Q5_K": (gguf_layer("Q5_K"), 0.04),
    "Q4_K": (gguf_layer("Q4_K"), 0.08),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_holds_its_weight_within_the_formats_step(name: str) -> None:
    make, tolerance = LAYERS[name]
    held = make(weight()).dequantise(torch.float32)
    assert held.dtype == torch.float32
    assert float((held - weight()).abs().max() / weight().abs().max()) <= tolerance


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_product_is_that_of_a_plain_layer(name: str, dtype: torch.dtype) -> None:
    layer = LAYERS[name][0](weight())
    assert layer.bias is not None
    layer.bias.data.copy_(torch.linspace(-1, 1, OUTPUTS))
    x = torch.randn(2, 3, INPUTS, generator=torch.Generator().manual_seed(1)).to(dtype)
    expected = F.linear(x, layer.dequantise(dtype), layer.bias.to(dtype))
    assert torch.equal(layer(x), expected)
    assert layer(x).dtype == dtype


@pytest.mark.parametrize("name", LAYERS)
def test_autocast_decides_what_is_computed_in(name: str) -> None:
    layer = LAYERS[name][0](weight())
    x = torch.randn(3, INPUTS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x), layer(x.bfloat16()))
        assert layer(x).dtype == torch.bfloat16


@pytest.mark.parametrize("name", LAYERS)
def test_a_weight_is_rounded_once(name: str) -> None:
    layer = LAYERS[name][0](weight())
    for dtype in (torch.bfloat16, torch.float16):
        assert torch.equal(layer.dequantise(dtype), layer.dequantise(torch.float32).to(dtype))


@pytest.mark.parametrize("name", LAYERS)
def test_another_dtype_or_device_leaves_the_stored_data_alone(name: str) -> None:
    layer = LAYERS[name][0](weight())
    before = {key: (value.dtype, value.clone()) for key, value in layer.named_buffers()}
    model = nn.Sequential(layer).to(torch.bfloat16).to("cpu", torch.float16).half()
    assert layer.bias is not None
    assert layer.bias.dtype == torch.float16
    for key, value in layer.named_buffers():
        assert value.dtype == before[key][0]
        assert torch.equal(value.view(torch.uint8), before[key][1].view(torch.uint8))
    model.to("meta")
    assert all(value.is_meta and value.dtype == before[key][0] for key, value in layer.named_buffers())


def test_other_data_than_announced_is_refused() -> None:
    layer = ScaledFp8Linear(*SIZES)
    data = torch.zeros(OUTPUTS, INPUTS).to(torch.float8_e4m3fn)
    for wrong in (
        (data[1:], torch.ones(1)),
        (data.to(torch.float8_e5m2), torch.ones(1)),
        (data, torch.ones(2)),
        (data, None),
    ):
        with pytest.raises(BadCheckpoint, match="256 inputs and 48 outputs"):
            layer.fill(*wrong)
    layer.fill(data, torch.ones(1))


def test_float8_without_a_scale_counts_as_it_is() -> None:
    layer = ScaledFp8Linear(*SIZES, scales=0)
    layer.fill(weight().to(torch.float8_e4m3fn), None)
    assert torch.equal(layer.dequantise(torch.float32), weight().to(torch.float8_e4m3fn).float())


def test_products_of_8_bit_integers_stay_near_the_float_ones() -> None:
    plain, exact = Int8BlockLinear(*SIZES), Int8BlockLinear(*SIZES, "int8")
    for layer in (plain, exact):
        layer.fill(*quantise_blocks(weight()))
    x = torch.randn(300, INPUTS, generator=torch.Generator().manual_seed(1)).bfloat16()
    error = (exact(x) - plain(x)).float().norm() / plain(x).float().norm()
    assert 0 < float(error) < 0.015
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(exact(x.float()), exact(x))
    with pytest.raises(BadCheckpoint, match="cannot be computed"):
        Int8BlockLinear(100, 8, False, torch.float32, "int8")


@pytest.mark.parametrize("kind", DECODERS)
def test_gguf_blocks_are_what_the_gguf_package_reads_to_the_last_bit(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    size_bytes, values, _ = DECODERS[kind]
    raw = np.random.default_rng(0).integers(0, 256, (37, size_bytes), dtype=np.uint8)
    with np.errstate(all="ignore"):
        expected = torch.from_numpy(gguf.quants.dequantize(raw, Type[kind])).reshape(-1)
    assert gguf.GGML_QUANT_SIZES[Type[kind]] == (values, size_bytes)
    for chunk in (1 << 23, 5 * values):  # at once, and in pieces that do not divide
        monkeypatch.setattr(gguf_blocks, "CHUNK_VALUES", chunk)
        found = dequantise_gguf(torch.from_numpy(raw), kind)
        assert torch.equal(found.nan_to_num(7.0), expected.nan_to_num(7.0))


def test_unknown_or_broken_blocks_are_refused() -> None:
    with pytest.raises(BadCheckpoint, match="IQ4_XS"):
        dequantise_gguf(torch.zeros(136, dtype=torch.uint8), "IQ4_XS")
    with pytest.raises(BadCheckpoint, match="35 bytes"):
        dequantise_gguf(torch.zeros(35, dtype=torch.uint8), "Q8_0")
    with pytest.raises(BadCheckpoint, match="IQ4_XS"):
        GgufLinear(*SIZES, "IQ4_XS")


def test_a_table_gives_its_rows() -> None:
    table = GgufEmbedding(OUTPUTS, INPUTS, torch.bfloat16, "Q6_K")
    table.fill(torch.from_numpy(quantise(weight().numpy(), Type.Q6_K).reshape(-1).copy()))
    whole = dequantise_gguf(table.data, "Q6_K", torch.bfloat16).view(OUTPUTS, INPUTS)
    ids = torch.tensor([[0, 47, 3], [3, 3, 1]])
    assert torch.equal(table(ids), whole[ids])
    with pytest.raises(BadCheckpoint, match="table"):
        table.fill(table.data[1:])
