"""Queries, keys and values [B, L, N, d] in 8 bits, by heads, as the attention kernel reads them.

Floor on an H200 at 52,992 tokens, 40 heads of 128: q read once, k and v twice, 8 bits written once, 3.5 GB:
0.85 ms.
"""

import triton
import triton.language as tl

from core.engine.ops.jit.rows import to_fp8


@triton.jit
def column_sums(
    k, v, sums, v_sums, tops, keys, width,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, TILES: tl.constexpr, VALUES: tl.constexpr,
):  # fmt: skip
    """Over TILES * ROWS tokens: sums of k and v, largest magnitudes of v -> float32 [B, chunks, width]."""
    chunk = tl.program_id(0)
    batch = tl.program_id(2)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    known = columns < width
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    v_total = tl.zeros([ROWS, COLUMNS], tl.float32)
    # As integers, magnitudes keep their order and NaN is the largest; maxima of floats ignore NaN, which the
    # first step's guard must see.
    top = tl.zeros([ROWS, COLUMNS], tl.int32)
    for tile in range(TILES):
        rows = (chunk * TILES + tile) * ROWS + tl.arange(0, ROWS)
        at = (batch.to(tl.int64) * keys + rows)[:, None] * width + columns[None, :]
        there = (rows < keys)[:, None] & known[None, :]
        total += tl.load(k + at, mask=there, other=0.0).to(tl.float32)
        if VALUES:
            value = tl.load(v + at, mask=there, other=0.0).to(tl.float32)
            v_total += value
            top = tl.maximum(top, tl.abs(value).to(tl.int32, bitcast=True))
    place = (batch * tl.num_programs(0) + chunk) * width + columns
    tl.store(sums + place, tl.sum(total, 0), mask=known)
    if VALUES:
        tl.store(v_sums + place, tl.sum(v_total, 0), mask=known)
        tl.store(tops + place, tl.max(top, 0).to(tl.float32, bitcast=True), mask=known)


@triton.jit
def pack_rows(
    x, mean, packed, scales, pooled, tokens, padded, heads, blocks,
    D: tl.constexpr, BLOCK: tl.constexpr, CENTRED: tl.constexpr,
):  # fmt: skip
    """A block of tokens of a head: x [B, tokens, N, D] less ``mean`` [B, N, D] -> int8, scale and mean."""
    block = tl.program_id(0)
    head = tl.program_id(1)
    rows = block * BLOCK + tl.arange(0, BLOCK)
    columns = tl.arange(0, D)
    inside = (rows < tokens)[:, None]
    at = ((head // heads).to(tl.int64) * tokens + rows)[:, None] * (heads * D) + (head % heads) * D
    values = tl.load(x + at + columns[None, :], mask=inside, other=0.0).to(tl.float32)
    if CENTRED:
        values = tl.where(inside, values - tl.load(mean + head * D + columns)[None, :], 0.0)
    peak = tl.max(tl.max(tl.abs(values).to(tl.int32, bitcast=True), 1), 0).to(tl.float32, bitcast=True)
    scale = tl.maximum(peak * (1.0 / 127.0), 1e-12, propagate_nan=tl.PropagateNan.ALL)
    scaled = values * (1.0 / scale)
    # Towards zero after half a step outwards: halves go away from zero.
    rounded = (scaled + tl.where(scaled < 0, -0.5, 0.5)).to(tl.int8)
    to = (head.to(tl.int64) * padded + rows)[:, None] * D + columns[None, :]
    tl.store(packed + to, rounded)
    tl.store(scales + head * (padded // BLOCK) + block, scale)
    count = tl.minimum(tokens - block * BLOCK, BLOCK).to(tl.float32)
    to = (head * blocks + block).to(tl.int64) * D + columns
    tl.store(pooled + to, tl.sum(values, 0) / count, mask=(columns < D) & (block < blocks))


@triton.jit
def pack_values(v, mean, scales, packed, sums, tokens, padded, heads, D: tl.constexpr, BLOCK: tl.constexpr):
    """A block of tokens of a head: v [B, tokens, N, D] less mean -> fp8 [B N, D, padded], attend8's order.

    Also the sum of what was written, float32 [B N, padded / BLOCK, D].
    """
    block = tl.program_id(0)
    head = tl.program_id(1)
    places = tl.arange(0, BLOCK)
    # Place 4 t + 2 h + e of a group holds its token 8 h + 2 t + e.
    order = (places // 16) * 16 + (places // 2 % 2) * 8 + (places // 4 % 4) * 2 + places % 2
    rows = block * BLOCK + order
    columns = tl.arange(0, D)
    at = ((head // heads).to(tl.int64) * tokens + rows)[:, None] * (heads * D) + (head % heads) * D
    inside = (rows < tokens)[:, None]
    values = tl.load(v + at + columns[None, :], mask=inside, other=0.0).to(tl.float32)
    values = tl.where(inside, values - tl.load(mean + head * D + columns)[None, :], 0.0)
    scaled = values * (1.0 / tl.load(scales + head * D + columns))[None, :]
    to = (head.to(tl.int64) * D + columns)[:, None] * padded + block * BLOCK + places[None, :]
    rounded = to_fp8(scaled)
    tl.store(packed + to, tl.trans(rounded))
    tl.store(sums + (head * (padded // BLOCK) + block) * D + columns, tl.sum(rounded.to(tl.float32), 0))
