"""Linear layers of the blocks' three shapes in every number format; rows come quantised."""

from __future__ import annotations

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from core.engine.ops.rows import Rows
from core.evaluation.bench.cases import Bed, Case, Work, relative
from core.evaluation.bench.layers import SPREAD, LayerKind, layer_of
from core.evaluation.bench.report import Absent

LAYERS: tuple[LayerKind, ...] = ("fp8 rows", "int8 rows", "int8 blocks")
BYTES = {"float": 2, "fp8": 1, "int8": 1}
BLOCK = 128


def linear_cases() -> list[Case]:
    """Each shape in 16 bits and in the 8-bit formats."""
    shapes = ("D D", "D F", "F D")
    kinds: tuple[LayerKind, ...] = ("16 bits", *LAYERS)
    return [
        Case("linear", f"{kind} {shape.replace(' ', ' -> ')}", partial(linear, kind=kind, shape=shape))
        for shape in shapes
        for kind in kinds
    ]


def linear(bed: Bed, kind: LayerKind, shape: str) -> Work:
    """x W^T + b; x and the result move once, the weight is read once."""
    from core.engine.linear.products import product, rows_kind
    from core.engine.ops.normed import quantise_rows

    widths = {"D": bed.config.dim, "F": bed.config.ffn_dim}
    inputs, outputs = (widths[letter] for letter in shape.split())
    x = bed.normal(bed.tokens, inputs)
    weight, bias = (
        bed.normal(outputs, inputs, spread=SPREAD, seed=1),
        bed.normal(outputs, spread=SPREAD, seed=2),
    )
    if kind == "int8 blocks" and inputs % BLOCK:
        raise Absent(f"{inputs} inputs are no multiple of {BLOCK}")
    at = bed.sample()
    layer = layer_of(kind, weight, bias)
    taken, stored = rows_kind(layer), 2 if isinstance(layer, nn.Linear) else 1
    rows = quantise_rows(x, taken, bed.dtype)
    expected = F.linear(x[at].float(), weight.float(), bias.float())
    if rows.values is not x:
        del x
    return Work(
        partial(product, rows, layer, bed.dtype),
        partial(_error, at, expected),
        float(rows.values.numel() * BYTES[taken] + bed.tokens * outputs * 2 + inputs * outputs * stored),
        2.0 * bed.tokens * inputs * outputs,
        kind != "16 bits",
        _note(kind, rows),
    )


def _error(at: Tensor, expected: Tensor, out: Tensor) -> float:
    return relative(out[at], expected)


def _note(kind: LayerKind, rows: Rows) -> str:
    if kind == "int8 blocks":
        return "quantises by itself"
    return "" if kind == "16 bits" or rows.values.dtype.itemsize == 1 else "dequantised: sizes do not fit"
