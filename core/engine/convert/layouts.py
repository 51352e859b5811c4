"""What a weight becomes in each layout that the converter writes, and how far the values move.

- ``bf16``: everything bfloat16.
- ``fp8``: float8_e4m3fn with one float32 ``scale_weight`` beside each weight, and a marker for the file.
- ``int8``: TurboDiffusion's blocks of 128 x 128, ``int8_weight`` and ``scale``.

Only the linear layers of the transformer's blocks are quantised, as published files do. Embeddings, time,
head, norms and SteadyDancer's condition modules stay in 16 bits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor

from core.engine.convert.writer import Slot
from core.engine.linear.int8_block import (
    BLOCK,
    OUTPUT_STEP,
    dequantise_blocks,
    quantise_blocks,
    scale_shape,
)

Target = Literal["fp8", "int8", "bf16"]
TARGETS: Final[tuple[Target, ...]] = ("fp8", "int8", "bf16")
FP8: Final = torch.float8_e4m3fn
FP8_MAX: Final = 448.0
MARKER: Final = "scaled_fp8"
# Work is done in parts, so that its by-products stay small: rows of matrices, values of other tensors.
ROWS: Final = 2 * BLOCK
PART_VALUES: Final = 1 << 20
_LINEAR: Final = re.compile(
    r"blocks\.\d+\.(?:(?:self_attn|cross_attn)\.(?:q|k|v|o|k_img|v_img)|ffn\.[02])\.weight"
)


@dataclass(frozen=True)
class Change:
    """Squared sums over a weight: of its error and of itself."""

    error: float
    total: float


def is_quantised_to(name: str, shape: tuple[int, ...], target: Target) -> bool:
    """Whether the weight is stored in 8 bits."""
    if target == "bf16" or len(shape) != 2 or not _LINEAR.fullmatch(name):
        return False
    return target == "fp8" or (shape[1] % BLOCK == 0 and shape[0] % OUTPUT_STEP == 0)


def slots_for(name: str, shape: tuple[int, ...], target: Target, kept: torch.dtype) -> list[Slot]:
    """The tensors that a weight is stored as; ``kept`` is its dtype where it stays float."""
    if not is_quantised_to(name, shape, target):
        return [Slot(name, kept, shape)]
    owner = name.removesuffix(".weight")
    if target == "fp8":
        return [Slot(name, FP8, shape), Slot(f"{owner}.scale_weight", torch.float32, ())]
    return [
        Slot(f"{owner}.int8_weight", torch.int8, shape),
        Slot(f"{owner}.scale", torch.float32, scale_shape(*shape)),
    ]


def quantised(name: str, weight: Tensor, target: Target) -> tuple[dict[str, Tensor], Change]:
    """The stored tensors of a float32 weight [N, K] by name, and how far its values moved."""
    owner = name.removesuffix(".weight")
    if target == "fp8":
        values, scale = quantise_fp8(weight)
        change = _change(weight, lambda rows: values[rows].float() * scale)
        return {name: values, f"{owner}.scale_weight": scale}, change
    values, scale = quantise_blocks(weight)
    change = _change(
        weight, lambda rows: dequantise_blocks(values[rows], scale[rows.start // BLOCK : rows.stop // BLOCK])
    )
    return {f"{owner}.int8_weight": values, f"{owner}.scale": scale}, change


def quantise_fp8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """weight float32 [N, K] -> float8_e4m3fn [N, K] and its scale, a float32 scalar; largest value at 448."""
    largest = max((rows.abs().max() for rows in torch.split(weight, ROWS)), default=torch.zeros(()))
    scale = torch.where(largest > 0, largest / FP8_MAX, torch.ones(()))
    values = torch.empty(weight.shape, dtype=FP8)
    for start in range(0, len(weight), ROWS):
        rows = slice(start, start + ROWS)
        values[rows] = (weight[rows] / scale).clamp_(-FP8_MAX, FP8_MAX).to(FP8)
    return values, scale


def marker() -> Mapping[str, Tensor]:
    """The tensor that says that a file holds scaled float8 weights."""
    return {MARKER: torch.zeros(2, dtype=FP8)}


def rounded(weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Change]:
    """A float tensor in another float dtype, and how far its values moved."""
    values = weight.to(dtype)
    rows, back = weight.reshape(-1, 1), values.reshape(-1, 1)
    return values, _change(rows, lambda part: back[part].float(), step=PART_VALUES)


def _change(weight: Tensor, restored: Callable[[slice], Tensor], step: int = ROWS) -> Change:
    """Sums in parts of rows, so that no second float32 copy of a large weight is needed."""
    error = total = 0.0
    for start in range(0, len(weight), step):
        rows = slice(start, start + step)
        part = weight[rows].float()
        total += float(part.square().sum(dtype=torch.float64))
        error += float(part.sub(restored(rows)).square_().sum(dtype=torch.float64))
    return Change(error, total)
