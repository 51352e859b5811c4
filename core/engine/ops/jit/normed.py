"""Residual stream, layer norm and rounding in one pass; a program works on one row."""

import triton
import triton.language as tl

from core.engine.ops.jit.rows import read_tile, write_row, write_tile


@triton.jit
def norm_kernel(
    x,
    update,
    gate,
    weight,
    bias,
    out,
    scales,
    eps,
    WIDTH: tl.constexpr,
    TILE: tl.constexpr,
    COUNT: tl.constexpr,
):
    """x += gate * update where there is an update, then out = layer norm of x, rounded or scaled.

    Floor at 52,992 x 5120 with an update and fp8: 2.98 GB, 0.71 ms at 4.2 TB/s. The row stays in registers,
    so mean and centred variance are two true passes; gate, weight and bias come from the L1 cache.
    """
    number = tl.program_id(0).to(tl.int64)
    row = x + number * WIDTH
    tiles = ()
    total = tl.zeros((TILE,), tl.float32)
    for i in tl.static_range(COUNT):
        value = read_tile(row, i, WIDTH, TILE, True)
        if update is not None:
            change = read_tile(update + number * WIDTH, i, WIDTH, TILE, True)
            if gate is not None:
                change *= read_tile(gate, i, WIDTH, TILE, False)
            value += change
            write_tile(row, value, i, WIDTH, TILE)
        total += value
        tiles = tiles + (value,)  # noqa: RUF005
    mean = tl.sum(total, 0) / WIDTH
    squares = tl.zeros((TILE,), tl.float32)
    for i in tl.static_range(COUNT):
        centred = tiles[i] - mean
        if (i + 1) * TILE > WIDTH:
            centred = tl.where(i * TILE + tl.arange(0, TILE) < WIDTH, centred, 0.0)
        squares += centred * centred
    inverse = tl.rsqrt(tl.sum(squares, 0) / WIDTH + eps)
    normed = ()
    for i in tl.static_range(COUNT):
        scale = read_tile(weight, i, WIDTH, TILE, False) * inverse
        # Past the end of the row weight and bias are zero, so its zeros stay.
        normed = normed + ((tiles[i] - mean) * scale + read_tile(bias, i, WIDTH, TILE, False),)  # noqa: RUF005
    write_row(normed, out, scales, number, WIDTH, TILE, COUNT)


@triton.jit
def add_kernel(x, update, gate, WIDTH: tl.constexpr, TILE: tl.constexpr, COUNT: tl.constexpr):
    """x += gate * update. Floor at 52,992 x 5120: 2.71 GB, 0.65 ms at 4.2 TB/s."""
    number = tl.program_id(0).to(tl.int64)
    row = x + number * WIDTH
    for i in tl.static_range(COUNT):
        change = read_tile(update + number * WIDTH, i, WIDTH, TILE, True)
        if gate is not None:
            change *= read_tile(gate, i, WIDTH, TILE, False)
        write_tile(row, read_tile(row, i, WIDTH, TILE, True) + change, i, WIDTH, TILE)
