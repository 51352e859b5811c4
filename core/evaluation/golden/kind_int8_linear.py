"""Golden kind ``int8_linear``: blocks of 8-bit weights and activations, their product, the whole layer."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from core.engine.linear.int8_block import int8_linear, int8_product, quantise_blocks
from core.evaluation.golden.base import GoldenFile, Row, compare

# The reference divides approximately, so a few values at a rounding boundary may fall on the other side.
OFF_BY_ONE = 0.001


def check(golden: GoldenFile) -> Iterator[Row]:
    """caseN.in.{x, weight, bias} -> caseN.out.{int8_weight, scale, x_int8, x_scale, y_float32_nobias, y}."""
    for case in golden.cases():
        x, weight, bias = (golden.tensors[f"{case}.in.{name}"] for name in ("x", "weight", "bias"))
        (w_int8, w_scale), (x_int8, x_scale) = quantise_blocks(weight), quantise_blocks(x)
        integers = {"int8_weight": w_int8, "x_int8": x_int8}
        for name, ours in integers.items():
            yield _integers(f"{case}.out.{name}", ours, golden.tensors[f"{case}.out.{name}"])
        floats = {
            "scale": (w_scale, "scale"),
            "x_scale": (x_scale, "scale"),
            "y_float32_nobias": (int8_product(x_int8, x_scale, w_int8, w_scale), "y_float32_nobias"),
        }
        for name, (ours, rule) in floats.items():
            allowed = golden.tolerance[rule]
            key = f"{case}.out.{name}"
            yield compare(key, ours, golden.tensors[key], allowed.get("atol", 0.0), allowed["rtol"])
        y = int8_linear(x, w_int8, w_scale, bias)
        yield _one_unit(f"{case}.out.y", y, golden.tensors[f"{case}.out.y"])


def _integers(name: str, ours: Tensor, theirs: Tensor) -> Row:
    """Off by at most one, and that in at most a thousandth of the entries."""
    row = compare(name, ours, theirs, 1.0)
    words = f"off by 1 in {OFF_BY_ONE:.1%}"
    same_kind = ours.dtype == theirs.dtype
    few = row.passed and float((ours != theirs).double().mean()) <= OFF_BY_ONE
    return Row(row.tensor, row.max_abs_error, words, same_kind and few)


def _one_unit(name: str, ours: Tensor, theirs: Tensor) -> Row:
    """Equal, or neighbours in the output's dtype."""
    row = compare(name, ours, theirs, float("inf"))
    if not row.passed or ours.dtype != theirs.dtype:
        return Row(row.tensor, row.max_abs_error, "one unit in the last place", False)
    upper = torch.nextafter(theirs, torch.full_like(theirs, float("inf")))
    lower = torch.nextafter(theirs, torch.full_like(theirs, float("-inf")))
    near = bool(((ours >= lower) & (ours <= upper)).all())
    return Row(row.tensor, row.max_abs_error, "one unit in the last place", near)
