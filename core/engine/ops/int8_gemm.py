"""Products of 8-bit integers by our own kernels: scales by row, or by blocks of 128 x 128.

Shape letters: M rows of activations, N outputs, K inputs. Only to be called where ``triton_support.usable``
says so; plain forms are ``linear.int8_rows`` and ``linear.int8_block``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from core.engine.ops.rows import Rows
from core.errors import EngineError

BLOCK: Final = 128
HOPPER: Final = (9, 0)
# GPUs without Hopper's asynchronous copies, and those with less shared memory, which come after it.
CONSUMER_BLACKWELL: Final = (12, 0)


@dataclass(frozen=True)
class Tiles:
    """How a product is cut: one program computes ``height`` x ``width`` outputs, ``depth`` of K at a time.

    Attributes:
        warps, stages: of a program, and of its pipeline of loads.
        group: rows of tiles that are worked on side by side.
        persistent: one program for each multiprocessor takes tile after tile.
        descriptors: load through the tensor memory accelerator (capability 9 and up).
    """

    height: int = 128
    width: int = 128
    depth: int = 128
    warps: int = 8
    stages: int = 3
    group: int = 8
    persistent: bool = False
    descriptors: bool = False


# Shared memory: (256 + 128) x 128 bytes a stage, 192 of 227 KiB; no registers spilled.
HOPPER_ROWS: Final = Tiles(height=256, stages=4, descriptors=True)
# A float32 and an int32 sum for each output: 160 registers, three programs a multiprocessor.
HOPPER_BLOCKS: Final = Tiles(height=64, warps=4, descriptors=True)
OTHER_ROWS: Final = Tiles(depth=64)
OTHER_BLOCKS: Final = Tiles(height=64, warps=4, stages=2)


def multiply_rows(
    rows: Rows,
    weight: Tensor,
    scale: Tensor,
    bias: Tensor | None,
    dtype: torch.dtype,
    tiles: Tiles | None = None,
) -> Tensor:
    """Rows [M, K] int8 with scales, weight int8 [N, K] with float32 scales [N] -> [M, N] in ``dtype``.

    The integers' sums are exact; scales and bias are float32, then it is rounded once. K a multiple of 16.

    Raises:
        EngineError: shapes that do not fit.
    """
    from core.engine.ops.jit.int8_gemm import rows_kernel

    x, (outputs, inputs) = rows.values.contiguous(), weight.shape
    if rows.scale is None or x.shape[1] != inputs or inputs % 16 or len(scale) != outputs:
        raise _unfit(x, weight, "rows with scales, K a multiple of 16, a scale for each output")
    tiles = tiles or _rows_tiles(x.device)
    out = torch.empty((len(x), outputs), dtype=dtype, device=x.device)
    count = -(-len(x) // tiles.height) * -(-outputs // tiles.width)
    if tiles.persistent and x.device.type == "cuda":
        count = min(count, torch.cuda.get_device_properties(x.device).multi_processor_count)
    if count:
        rows_kernel[(count,)](
            *_sources(x, weight, tiles),
            out,
            rows.scale.contiguous(),
            scale,
            bias,
            len(x),
            outputs,
            inputs,
            HEIGHT=tiles.height,
            WIDTH=tiles.width,
            DEPTH=tiles.depth,
            GROUP=tiles.group,
            EVEN=inputs % tiles.depth == 0,
            PERSISTENT=tiles.persistent,
            TMA=tiles.descriptors,
            num_warps=tiles.warps,
            num_stages=tiles.stages,
        )
    return out


def multiply_blocks(
    x: Tensor,
    x_scale: Tensor,
    weight: Tensor,
    scale: Tensor,
    bias: Tensor | None,
    dtype: torch.dtype,
    tiles: Tiles | None = None,
) -> Tensor:
    """x int8 [M, K] times weight int8 [N, K], both scaled by blocks of 128 x 128 -> [M, N] in ``dtype``.

    TurboDiffusion's arithmetic: float32 sums over the slices of K in order, rounded, then the bias in
    ``dtype``. The tiles' sides are at most a block.

    Raises:
        EngineError: shapes that do not fit.
    """
    from core.engine.ops.jit.int8_gemm import blocks_kernel

    x, (outputs, inputs) = x.contiguous(), weight.shape
    tiles = tiles or _blocks_tiles(x.device)
    if x.shape[1] != inputs or inputs % BLOCK or BLOCK % tiles.height or BLOCK % tiles.width:
        raise _unfit(x, weight, "K a multiple of 128, tiles that divide 128")
    out = torch.empty((len(x), outputs), dtype=dtype, device=x.device)
    count = -(-len(x) // tiles.height) * -(-outputs // tiles.width)
    if count:
        blocks_kernel[(count,)](
            *_sources(x, weight, tiles),
            out,
            x_scale,
            scale.contiguous(),
            bias,
            len(x),
            outputs,
            inputs,
            HEIGHT=tiles.height,
            WIDTH=tiles.width,
            GROUP=tiles.group,
            TMA=tiles.descriptors,
            num_warps=tiles.warps,
            num_stages=tiles.stages,
        )
    return out


def quantise_blocks(x: Tensor) -> tuple[Tensor, Tensor]:
    """x [M, K] of any float dtype -> int8 [M, K] and float32 scales [ceil(M/128), ceil(K/128)].

    Equal to ``linear.int8_block.quantise_blocks`` but for NaN, which counts as nothing.
    """
    from core.engine.ops.jit.int8_gemm import quantise_kernel

    x = x.contiguous()
    blocks = -(-x.shape[0] // BLOCK), -(-x.shape[1] // BLOCK)
    values = torch.empty(x.shape, dtype=torch.int8, device=x.device)
    scales = torch.empty(blocks, dtype=torch.float32, device=x.device)
    if values.numel():
        # Fused multiply-adds would round half-way values otherwise than the plain form.
        quantise_kernel[(blocks[1], blocks[0])](
            x, values, scales, *x.shape, num_warps=8, enable_fp_fusion=False
        )
    return values, scales


def _rows_tiles(device: torch.device) -> Tiles:
    return HOPPER_ROWS if _is_hopper(device) else OTHER_ROWS


def _blocks_tiles(device: torch.device) -> Tiles:
    return HOPPER_BLOCKS if _is_hopper(device) else OTHER_BLOCKS


def _is_hopper(device: torch.device) -> bool:
    """Or a data centre's Blackwell."""
    return device.type == "cuda" and HOPPER <= torch.cuda.get_device_capability(device) < CONSUMER_BLACKWELL


def _sources(x: Tensor, weight: Tensor, tiles: Tiles) -> tuple[Any, Any]:
    """Both matrices, or descriptors of them."""
    if not tiles.descriptors or not len(x):
        return x, weight
    from triton.tools.tensor_descriptor import TensorDescriptor

    return (
        TensorDescriptor.from_tensor(x, [tiles.height, tiles.depth]),
        TensorDescriptor.from_tensor(weight, [tiles.width, tiles.depth]),
    )


def _unfit(x: Tensor, weight: Tensor, limit: str) -> EngineError:
    return EngineError(
        "An 8-bit product cannot be computed with these shapes.",
        value=f"{tuple(x.shape)}, {tuple(weight.shape)}",
        limit=limit,
    )
