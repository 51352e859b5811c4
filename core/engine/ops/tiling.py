"""Row kernels: when they are used, how a row is cut into tiles, and what they write into.

One program of a row kernel keeps whole rows of K elements in its registers.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from core.engine.ops import triton_support
from core.engine.ops.rows import FP8, RowKind, Rows
from core.errors import EngineError

FLOATS = (torch.float32, torch.float16, torch.bfloat16)
FP8_CAPABILITY = (8, 9)
WIDEST = 32768
"""Wider rows do not fit into the registers of one program."""
WIDE = 8192
THREADS_IN_WARP = 32
ACCESS_BYTES = 16


class Tiling(NamedTuple):
    """``tiles`` tiles of ``tile`` elements (a power of two) cover a row; ``warps`` warps work on it."""

    tile: int
    tiles: int
    warps: int


def tiling(width: int, element_bytes: int) -> Tiling:
    """Tiles for a row whose widest streamed elements have ``element_bytes``: 16 bytes a thread and tile.

    5120 is five tiles of 1024 and 13,824 seven of 2048 (4 % idle), where one power of two would leave
    38 % and 16 % of the lanes without work.
    """
    tile = min(1024 if width <= WIDE else 2048, triton_support.power_of_two(width))
    warps = tile * element_bytes // (ACCESS_BYTES * THREADS_IN_WARP)
    return Tiling(tile, -(-width // tile), max(1, warps))


def by_kernel(kind: RowKind, *tensors: Tensor | None) -> bool:
    """Whether a row kernel can take these tensors: all on one device with Triton, plain floats, no gradients.

    Args:
        kind: of the rows that are written.
        tensors: what the kernel reads, the one with the rows first; None for what is not there.
    """
    given = [tensor for tensor in tensors if tensor is not None]
    first = given[0]
    if not triton_support.usable(first.device) or not 0 < first.shape[-1] <= WIDEST or first.numel() == 0:
        return False
    if any(tensor.device != first.device or tensor.dtype not in FLOATS for tensor in given):
        return False
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given):
        return False
    if kind == "fp8" and first.device.type == "cuda":
        return torch.cuda.get_device_capability(first.device) >= FP8_CAPABILITY
    return True


def empty_rows(rows: int, width: int, kind: RowKind, dtype: torch.dtype, device: torch.device) -> Rows:
    """Rows [rows, width] to be written: of ``dtype`` for floats, else 8 bits with a scale for each row."""
    if kind == "float":
        return Rows(torch.empty(rows, width, dtype=dtype, device=device))
    values = torch.empty(rows, width, dtype=FP8 if kind == "fp8" else torch.int8, device=device)
    return Rows(values, torch.empty(rows, dtype=torch.float32, device=device))


def require_shape(name: str, tensor: Tensor | None, shape: tuple[int, ...]) -> None:
    """Raises ``EngineError`` where a tensor is there and of another shape."""
    if tensor is not None and tuple(tensor.shape) != shape:
        given = tuple(tensor.shape)
        raise EngineError(f"{name} has the shape {given}, not {shape}.", value=given, limit=shape)
