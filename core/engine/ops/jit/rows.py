"""Rows in registers: reading and writing a tile, and a finished row rounded for its product.

A row of WIDTH elements lies in a tuple of COUNT tiles of TILE elements, the last one filled up with zeros.
Tuples grow by addition: Triton knows no starred ones.
"""

import os

import triton
import triton.language as tl

INTERPRETED = tl.constexpr(os.environ.get("TRITON_INTERPRET") == "1")


@triton.jit
def read_tile(row, INDEX: tl.constexpr, WIDTH: tl.constexpr, TILE: tl.constexpr, STREAM: tl.constexpr):
    """Tile INDEX of a row as float32. STREAM: read once, so leave the L1 cache to what all rows share."""
    columns = INDEX * TILE + tl.arange(0, TILE)
    policy: tl.constexpr = "evict_first" if STREAM else "evict_last"
    if (INDEX + 1) * TILE > WIDTH:
        value = tl.load(row + columns, mask=columns < WIDTH, other=0.0, eviction_policy=policy)
    else:
        value = tl.load(row + columns, eviction_policy=policy)
    return value.to(tl.float32)


@triton.jit
def write_tile(row, value, INDEX: tl.constexpr, WIDTH: tl.constexpr, TILE: tl.constexpr):
    """Tile INDEX of a row, its dtype the pointer's."""
    columns = INDEX * TILE + tl.arange(0, TILE)
    if (INDEX + 1) * TILE > WIDTH:
        tl.store(row + columns, value.to(row.dtype.element_ty), mask=columns < WIDTH)
    else:
        tl.store(row + columns, value.to(row.dtype.element_ty))


@triton.jit
def to_fp8(value):
    """float32 within +-448 -> e4m3, to nearest even."""
    if INTERPRETED:
        # The interpreter of Triton 3.6 drops a carry into the exponent and cuts subnormals off: round first.
        bits = value.to(tl.int32, bitcast=True)
        normal = ((bits + 0x7FFFF + ((bits >> 20) & 1)) & -0x100000).to(tl.float32, bitcast=True)
        subnormal = (value + 24576.0) - 24576.0  # float32 steps by 2^-9 there
        value = tl.where(tl.abs(value) < 0.015625, subnormal, normal)
    return value.to(tl.float8e4nv)


@triton.jit
def to_int8(value):
    """float32 within +-127.5 -> int8, to nearest even: the low byte of 1.5 * 2^23 + value."""
    return (value + 12582912.0).to(tl.int32, bitcast=True).to(tl.int8)


@triton.jit
def write_row(tiles, out, scales, number, WIDTH: tl.constexpr, TILE: tl.constexpr, COUNT: tl.constexpr):
    """Row ``number`` of a product's operand: rounded to a float dtype, or scaled to fp8 or int8 (plain_rows).

    A NaN reaches the scale: int8 has none, and the first step's guard must see it.
    """
    row = out + number * WIDTH
    if scales is None:
        for i in tl.static_range(COUNT):
            write_tile(row, tiles[i], i, WIDTH, TILE)
    else:
        top: tl.constexpr = 127.0 if out.dtype.element_ty == tl.int8 else 448.0
        peaks = tl.abs(tiles[0])
        for i in tl.static_range(1, COUNT):
            peaks = tl.maximum(peaks, tl.abs(tiles[i]), propagate_nan=tl.PropagateNan.ALL)
        # As integers, magnitudes keep their order and NaN is the largest; tl.max of floats ignores NaN.
        peak = tl.max(peaks.to(tl.int32, bitcast=True), 0).to(tl.float32, bitcast=True)
        scale = tl.maximum(tl.div_rn(peak, top), 1e-12, propagate_nan=tl.PropagateNan.ALL)
        tl.store(scales + number, scale)
        inverse = tl.div_rn(1.0, scale)
        for i in tl.static_range(COUNT):
            if out.dtype.element_ty == tl.int8:
                write_tile(row, to_int8(tiles[i] * inverse), i, WIDTH, TILE)
            else:
                write_tile(row, to_fp8(tiles[i] * inverse), i, WIDTH, TILE)
