"""Linear layers of every format made from the same float weights, so that formats can be compared."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from core.engine.linear.int8_block import quantise_blocks
from core.engine.linear.quantised import Int8BlockLinear, Int8RowLinear, QuantisedLinear, ScaledFp8Linear
from core.engine.ops.rows import plain_rows

LayerKind = Literal["16 bits", "float32", "fp8 rows", "int8 rows", "int8 blocks"]
SPREAD = 0.02
"""Of weights, about as in trained networks."""


def empty_layer(
    kind: LayerKind, inputs: int, outputs: int, bias: bool, dtype: torch.dtype
) -> QuantisedLinear:
    """A quantised layer without values, on torch's default device."""
    sizes = (inputs, outputs, bias, dtype)
    if kind == "fp8 rows":
        return ScaledFp8Linear(*sizes, scales=outputs, matmul="fp8")
    if kind == "int8 rows":
        return Int8RowLinear(*sizes, matmul="int8")
    if kind == "int8 blocks":
        return Int8BlockLinear(*sizes, matmul="int8")
    raise ValueError(kind)


def fill_layer(layer: QuantisedLinear, weight: Tensor) -> None:
    """Quantise ``weight`` [out, in] of any float dtype into the layer."""
    if isinstance(layer, Int8BlockLinear):
        layer.fill(*quantise_blocks(weight.float()))
        return
    rows = plain_rows(weight, "fp8" if isinstance(layer, ScaledFp8Linear) else "int8", torch.float32)
    layer.fill(rows.values, rows.scale)


def layer_of(kind: LayerKind, weight: Tensor, bias: Tensor) -> nn.Module:
    """A layer with these values, in their dtype where it is not quantised."""
    outputs, inputs = weight.shape
    if kind in ("16 bits", "float32"):
        with torch.device("meta"):
            plain = nn.Linear(inputs, outputs)
        plain.weight, plain.bias = (nn.Parameter(values, requires_grad=False) for values in (weight, bias))
        return plain
    with torch.device("meta"):
        layer = empty_layer(kind, inputs, outputs, True, weight.dtype)
    layer.bias = nn.Parameter(bias, requires_grad=False)
    fill_layer(layer, weight)
    return layer
