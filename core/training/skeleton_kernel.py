"""The skeletons of ``core.training.skeleton_shapes`` as one kernel: a program a tile and picture."""

from __future__ import annotations

import triton
import triton.language as tl

from core.training.paint_kernel import averaged


@triton.jit
def skeleton_kernel(
    limbs, joints, colours, picture, height, width, flat_radius,
    LIMBS: tl.constexpr, JOINTS: tl.constexpr, RADIUS: tl.constexpr, DIM: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(2).to(tl.int64)
    first_row, first_column = tl.program_id(1) * ROWS, tl.program_id(0) * COLUMNS
    y = (first_row + tl.arange(0, ROWS)).to(tl.float32)[:, None]
    x = (first_column + tl.arange(0, COLUMNS)).to(tl.float32)[None, :]
    y, x = tl.broadcast(y, x)
    r, g, b = tl.zeros_like(x), tl.zeros_like(x), tl.zeros_like(x)
    for index in range(LIMBS):
        p = limbs + (n * LIMBS + index) * 6
        c = colours + index * 3
        right, down = x - tl.load(p), y - tl.load(p + 1)
        cos, sin = tl.load(p + 2), tl.load(p + 3)
        along = (right * cos + down * sin) * tl.load(p + 4)
        across = (down * cos - right * sin) / flat_radius
        inside = along * along + across * across + tl.load(p + 5) <= 1
        r = tl.where(inside, tl.load(c), r)
        g = tl.where(inside, tl.load(c + 1), g)
        b = tl.where(inside, tl.load(c + 2), b)
    r, g, b = tl.floor(r * DIM), tl.floor(g * DIM), tl.floor(b * DIM)
    for index in range(JOINTS):
        p = joints + (n * JOINTS + index) * 3
        c = colours + index * 3
        right, down = x - tl.load(p), y - tl.load(p + 1)
        inside = right * right + down * down + tl.load(p + 2) <= RADIUS * RADIUS
        r = tl.where(inside, tl.load(c), r)
        g = tl.where(inside, tl.load(c + 1), g)
        b = tl.where(inside, tl.load(c + 2), b)
    rows = first_row // 2 + tl.arange(0, ROWS // 2)
    columns = first_column // 2 + tl.arange(0, COLUMNS // 2)
    here = (rows < height)[:, None] & (columns < width)[None, :]
    out = picture + n * 3 * height * width + rows[:, None] * width + columns[None, :]
    tl.store(out, averaged(r, ROWS, COLUMNS), here)
    tl.store(out + height * width, averaged(g, ROWS, COLUMNS), here)
    tl.store(out + 2 * height * width, averaged(b, ROWS, COLUMNS), here)
