"""Products of ready rows: what the layer itself gives, for every kind, with LoRAs and without."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engine.linear import int8_rows
from core.engine.linear.fp8_rows import accumulation_errors, measured_fast_accumulation
from core.engine.linear.lora_adapter import LoraAdapter, adapter_of
from core.engine.linear.products import choose_products, product, rows_kind
from core.engine.linear.quantised import (
    GgufLinear,
    Int8BlockLinear,
    Int8RowLinear,
    QuantisedLinear,
    ScaledFp8Linear,
)
from core.engine.loading.lora import Delta, Difference, LowRank
from core.engine.ops.rows import Rows, plain_rows
from core.errors import BadCheckpoint, EngineError

INPUTS, OUTPUTS, ROWS = 320, 48, 37
SIZES = (INPUTS, OUTPUTS, True, torch.float32)
CPU = torch.device("cpu")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def made(kind: str, scales: int, matmul: str) -> QuantisedLinear:
    """An empty layer of float8 or int8 rows."""
    if kind == "fp8":
        return ScaledFp8Linear(*SIZES, scales=scales, matmul=matmul)
    return Int8RowLinear(*SIZES, scales=scales, matmul=matmul)


def filled(kind: str, matmul: str = "dequantise") -> nn.Module:
    """A layer whose weight is ``normal / 18``, quantised by row."""
    weight = normal(OUTPUTS, INPUTS, seed=1) / 18
    layer: nn.Linear | QuantisedLinear
    if kind == "float":
        layer = nn.Linear(INPUTS, OUTPUTS).requires_grad_(False)
        layer.weight.data.copy_(weight)
    else:
        narrow = plain_rows(weight, "fp8" if kind == "fp8" else "int8", torch.float32)
        layer = made(kind, OUTPUTS, matmul)
        layer.fill(narrow.values, narrow.scale)
    assert layer.bias is not None
    layer.bias.data.copy_(torch.linspace(-1, 1, OUTPUTS))
    return layer


def exact(layer: nn.Module, rows: Rows) -> Tensor:
    """In float64 from the values as they are stored."""
    assert isinstance(layer, nn.Linear | QuantisedLinear)
    weight = layer.weight if isinstance(layer, nn.Linear) else layer.dequantise(torch.float64)
    assert weight is not None
    assert layer.bias is not None
    return F.linear(rows.to_float(torch.float64), weight.double(), layer.bias.double())


KINDS = [("float", "dequantise", "float"), ("fp8", "dequantise", "float"), ("int8", "dequantise", "float")]
KINDS += [("fp8", "fp8", "fp8"), ("int8", "int8", "int8")]


@pytest.mark.parametrize(("kind", "matmul", "rows"), KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_a_product_of_rows_is_what_the_layer_gives(
    kind: str, matmul: str, rows: str, dtype: torch.dtype
) -> None:
    layer, x = filled(kind, matmul).to(dtype), normal(ROWS, INPUTS).to(dtype)
    assert rows_kind(layer) == rows
    ready = plain_rows(x, rows_kind(layer), dtype)
    found = product(ready, layer, dtype)
    assert found.dtype == dtype
    assert torch.equal(found, layer(x))
    error = (found.double() - exact(layer, ready)).norm() / exact(layer, ready).norm()
    assert error < (1e-6 if dtype == torch.float32 else 4e-3)


@pytest.mark.parametrize("kind", ["fp8", "int8"])
@torch.no_grad()
def test_eight_bit_products_are_near_the_float_layers(kind: str) -> None:
    x = normal(2, 3, INPUTS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = filled(kind, kind)(x)
    assert found.dtype == torch.bfloat16
    wanted = filled("float")(x)
    assert (found - wanted).norm() / wanted.norm() < (0.05 if kind == "fp8" else 0.02)


@pytest.mark.parametrize("kind", ["fp8", "int8"])
def test_one_scale_counts_for_every_output(kind: str) -> None:
    layer = made(kind, 1, kind)
    data = plain_rows(normal(OUTPUTS, INPUTS), "fp8" if kind == "fp8" else "int8", torch.float32).values
    layer.fill(data, torch.tensor([0.5]))
    x = plain_rows(normal(4, INPUTS), layer.rows_kind, torch.float32)
    torch.testing.assert_close(layer.multiply(x, torch.float32), exact(layer, x).float())
    with pytest.raises(BadCheckpoint, match="announced"):
        layer.fill(data, torch.ones(3))
    layer.rows_kind = "float"  # a more careful recipe: it is dequantised from now on, filled again or not
    layer.fill(data, torch.tensor([0.5]))
    wide = Rows(normal(4, INPUTS))
    found = layer.multiply(wide, torch.float32)
    assert (found - exact(layer, wide)).norm() < 1e-6 * found.norm()


def test_values_without_a_scale_count_as_they_are() -> None:
    layer = ScaledFp8Linear(*SIZES, torch.float8_e4m3fn, 0, "fp8")
    layer.fill(normal(OUTPUTS, INPUTS).to(torch.float8_e4m3fn), None)
    assert layer.scale is not None
    assert layer.scale.tolist() == [1.0] * OUTPUTS


def test_what_cannot_be_multiplied_in_eight_bits_is_dequantised() -> None:
    layers = [
        ScaledFp8Linear(INPUTS, OUTPUTS, False, torch.float32, torch.float8_e5m2, 1, "fp8"),
        ScaledFp8Linear(INPUTS, 8, False, torch.float32, matmul="fp8"),
        Int8RowLinear(100, OUTPUTS, False, torch.float32, matmul="int8"),
        Int8RowLinear(INPUTS, OUTPUTS, False, torch.float32, matmul="fp8"),
        Int8BlockLinear(256, 8, False, torch.float32, "int8"),  # it quantises by itself
        GgufLinear(256, 8, False, torch.float32),
    ]
    assert [rows_kind(layer) for layer in layers] == ["float"] * len(layers)


def test_rows_of_another_kind_are_made_over() -> None:
    x = normal(ROWS, INPUTS)
    narrow = filled("fp8", "fp8")
    assert torch.equal(product(Rows(x), narrow, torch.float32), narrow(x))
    rows = plain_rows(x, "int8", torch.float32)
    wide = filled("fp8")
    assert torch.equal(product(rows, wide, torch.float32), wide(rows.to_float(torch.float32)))
    with pytest.raises(EngineError, match="GELU"):
        product(Rows(x), nn.GELU(), torch.float32)


@pytest.mark.parametrize(("kind", "matmul", "rows"), KINDS)
@torch.no_grad()
def test_loras_are_added_once(kind: str, matmul: str, rows: str) -> None:
    layer, x = filled(kind, matmul), normal(ROWS, INPUTS)
    plain = layer(x)
    deltas: list[tuple[Delta, float]] = [
        (LowRank(normal(3, INPUTS, seed=2), normal(OUTPUTS, 3, seed=3), 0.25), 0.5),
        (LowRank(normal(2, INPUTS, seed=4), normal(OUTPUTS, 2, seed=5), 1.0), -0.1),
        (Difference(normal(OUTPUTS, INPUTS, seed=6) / 30), 0.3),
    ]
    bias = [(Difference(normal(OUTPUTS, seed=7)), 2.0)]
    LoraAdapter(deltas, bias, None, CPU, rows_kind(layer)).attach(layer)
    total = torch.zeros(OUTPUTS, INPUTS)
    for delta, strength in deltas:
        delta.add_to(total, strength)
    expected = plain + F.linear(x, total, 2.0 * bias[0][0].values)
    by_hook = layer(x)
    by_rows = product(plain_rows(x, rows_kind(layer), torch.float32), layer, torch.float32)
    difference = (expected - plain).norm()
    assert (by_hook - expected).norm() < 1e-5 * difference
    assert (by_rows - expected).norm() < {"float": 1e-5, "int8": 0.02, "fp8": 0.06}[rows] * difference
    adapter = adapter_of(layer)
    assert adapter is not None
    assert (adapter.narrow is None) == (rows == "float")
    adapter.detach(layer)
    assert torch.equal(layer(x), plain)


@torch.no_grad()
def test_integer_sums_are_exact_and_rows_are_taken_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.full((5, 13824), 127, dtype=torch.int8)
    rows, ones = Rows(values, torch.ones(5)), torch.ones(16)
    weight = torch.full((16, 13824), 127, dtype=torch.int8)
    weight[:, 0] = 126
    for step in (int8_rows.ROWS_AT_ONCE, 2):
        monkeypatch.setattr(int8_rows, "ROWS_AT_ONCE", step)
        found = int8_rows.int8_rows_product(rows, weight, ones, None, torch.float64)
        assert set(found.flatten().tolist()) == {float(torch.tensor(127 * 127 * 13824 - 127).float())}


def test_accumulation_is_measured() -> None:
    fast, slow, quantised = accumulation_errors(CPU, 512)
    assert fast == slow < 1e-5
    assert 0.02 < quantised < 0.05
    assert measured_fast_accumulation(CPU)


def test_measured_choices_reach_all_layers() -> None:
    narrow, integer = filled("fp8", "fp8"), filled("int8", "int8")
    module = nn.Sequential(narrow, nn.Sequential(integer), filled("float"))
    for choice in (False, True):
        choose_products(module, fast_accumulation=choice)
        assert vars(narrow)["fast_accumulation"] is choice
        assert "engine" not in vars(integer)
    choose_products(module, int8_engine="torch")
    assert vars(integer)["engine"] == "torch"
    assert vars(narrow)["fast_accumulation"] is True
