"""Kernels of sparse-linear attention in 16 bits: softmax attention to listed blocks of keys, a linear branch.

The linear branch attends to all keys through a feature map: with a = softmax of a query over its width and b
the same of a key, it is a (b^T v) / (1e-5 + a . sum of b). Source: SLA (arXiv 2509.24006).
"""

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
EPSILON = tl.constexpr(1e-5)


@triton.jit
def linear_state(
    k_ptr,
    v_ptr,
    state_ptr,
    total_ptr,
    tokens,
    chunk,
    HEADS: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """b^T v and the sum of b over ``chunk`` tokens (a multiple of BLOCK) of a head; b = softmax of k's width.

    k and v are [B, L, HEADS, WIDTH], contiguous. Grid: (B * HEADS, chunks); results float32
    [B * HEADS, chunks, WIDTH, WIDTH] and [B * HEADS, chunks, WIDTH]. Floor: k and v once, 1.08 GB at
    52,992 x 5120 in 16 bits = 0.26 ms.
    """
    entry, part = tl.program_id(0), tl.program_id(1)
    start = part * chunk
    left = tl.minimum(tokens - start, chunk)
    first = (entry // HEADS).to(tl.int64) * tokens + start
    k_ptr += (first * HEADS + entry % HEADS) * WIDTH
    v_ptr += (first * HEADS + entry % HEADS) * WIDTH
    columns = tl.arange(0, WIDTH)
    lanes = tl.arange(0, BLOCK)[:, None]
    state = tl.zeros([WIDTH, WIDTH], tl.float32)
    total = tl.zeros([WIDTH], tl.float32)
    for row in tl.range(0, left, BLOCK):
        inside = row + lanes < left
        places = tl.cast(row, tl.int64) * (HEADS * WIDTH) + (lanes * (HEADS * WIDTH) + columns[None, :])
        k = tl.load(k_ptr + places, mask=inside, other=0.0)
        v = tl.load(v_ptr + places, mask=inside, other=0.0)
        x = k.to(tl.float32)
        b = tl.math.exp2((x - tl.max(x, 1)[:, None]) * LOG2_E)
        b = b * tl.where(row + tl.arange(0, BLOCK) < left, 1.0 / tl.sum(b, 1), 0.0)[:, None]
        total += tl.sum(b, 0)
        state = tl.dot(tl.trans(b.to(v.dtype)), v, state, input_precision="ieee")
    out = (entry.to(tl.int64) * tl.num_programs(1) + part) * WIDTH
    tl.store(total_ptr + out + columns, total)
    tl.store(state_ptr + out * WIDTH + columns[:, None] * WIDTH + columns[None, :], state)


@triton.jit
def _absorb(q, k, v, left, acc, top, total, scale, BLOCK_N: tl.constexpr, MASKED: tl.constexpr):
    """Add a block of keys to a running softmax in base 2; ``top`` is a row's largest scaled score so far."""
    scores = tl.dot(q, tl.trans(k), input_precision="ieee")
    if MASKED:
        scores = tl.where(tl.arange(0, BLOCK_N)[None, :] < left, scores, float("-inf"))
    higher = tl.maximum(top, tl.max(scores, 1) * scale)
    p = tl.math.exp2(scores * scale - higher[:, None])
    shrink = tl.math.exp2(top - higher)
    acc = tl.dot(p.to(v.dtype), v, acc * shrink[:, None], input_precision="ieee")
    return acc, higher, total * shrink + tl.sum(p, 1)


@triton.jit
def attend_blocks(
    q_ptr,
    k_ptr,
    v_ptr,
    k_tiles,
    v_tiles,
    kept_ptr,
    state_ptr,
    total_ptr,
    bias_ptr,
    out_ptr,
    tokens,
    keys,
    scale,
    first_block,
    list_blocks,
    listed,
    shrink,
    HEADS: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    LISTED: tl.constexpr,
    LINEAR: tl.constexpr,
    TMA: tl.constexpr,
):
    """A block of queries attends to its listed key blocks, or to all, plus the linear branch.

    q, k, v and out are [B, L or keys, HEADS, WIDTH], contiguous; a query block has BLOCK_M rows, a key block
    BLOCK_N. Floor at 52,992 tokens, 40 heads of 128, 82 of 828 blocks: 5.7 TFLOP, 7.2 ms at 790 TFLOP/s.

    Args:
        k_tiles: with TMA, a descriptor of all keys [B * keys, HEADS * WIDTH]: addresses take no registers.
        kept_ptr: int32 [B * HEADS, list_blocks, listed] numbers of key blocks, ascending, then -1.
        state_ptr: [B * HEADS, WIDTH, WIDTH] in v's dtype, after the projection, times ``shrink``.
        total_ptr: float32 [B * HEADS, WIDTH], times ``shrink``.
        first_block: query block of program 0. Blocks of a head run together, so that its keys stay in L2.
        LISTED: 0 for all blocks, else a power of two that is at least ``listed``.
    """
    block, entry = first_block + tl.program_id(0), tl.program_id(1)
    batch, head = entry // HEADS, entry % HEADS
    lanes = tl.arange(0, BLOCK_M)
    inside = lanes < tokens - block * BLOCK_M
    columns = tl.arange(0, WIDTH)
    # One address and constants, not an address a row: those would take more registers than there are.
    first = batch.to(tl.int64) * tokens + block * BLOCK_M
    places = lanes[:, None] * (HEADS * WIDTH) + columns[None, :]
    q_ptr += (first * HEADS + head) * WIDTH
    out_ptr += (first * HEADS + head) * WIDTH
    q = tl.load(q_ptr + places, mask=inside[:, None], other=0.0)
    if LINEAR:
        # Put down until the end: registers do not hold both results. The feature's own sum cancels but for
        # the epsilon.
        x = q.to(tl.float32)
        feature = tl.math.exp2((x - tl.max(x, 1)[:, None]) * LOG2_E)
        weights = tl.load(total_ptr + entry * WIDTH + columns)
        divisor = EPSILON * shrink * tl.sum(feature, 1) + tl.sum(feature * weights[None, :], 1)
        state_ptr += entry * (WIDTH * WIDTH)
        state = tl.load(state_ptr + columns[:, None] * WIDTH + columns[None, :])
        linear = tl.dot(feature.to(state.dtype), state, input_precision="ieee") * (1.0 / divisor)[:, None]
        linear += tl.load(bias_ptr + columns)[None, :]
        tl.store(out_ptr + places, linear.to(out_ptr.dtype.element_ty), mask=inside[:, None])

    first_key = batch * keys
    k_ptr += (first_key.to(tl.int64) * HEADS + head) * WIDTH
    v_ptr += (first_key.to(tl.int64) * HEADS + head) * WIDTH
    rows = tl.arange(0, BLOCK_N)[:, None]
    tile = rows * (HEADS * WIDTH) + columns[None, :]
    whole = keys // BLOCK_N
    if LISTED > 0:
        kept = kept_ptr + (entry.to(tl.int64) * list_blocks + block) * listed
        slots = tl.arange(0, LISTED)
        count = tl.sum((tl.load(kept + slots, mask=slots < listed, other=-1) >= 0).to(tl.int32), 0)
        # Lists ascend, so only the last of one can be the block that keys do not fill.
        ragged = (count > 0) & (tl.load(kept + tl.maximum(count - 1, 0)) == whole)
        count -= ragged.to(tl.int32)
        at = tl.maximum(tl.load(kept), 0)
    else:
        count = whole
        ragged = keys > whole * BLOCK_N
        at = 0
    top = tl.full([BLOCK_M], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    acc = tl.zeros([BLOCK_M, WIDTH], tl.float32)
    for step in tl.range(0, count):
        if TMA:
            k = k_tiles.load([first_key + at * BLOCK_N, head * WIDTH])
            v = v_tiles.load([first_key + at * BLOCK_N, head * WIDTH])
        else:
            start = tl.cast(at, tl.int64) * (BLOCK_N * HEADS * WIDTH)
            k = tl.load(k_ptr + start + tile)
            v = tl.load(v_ptr + start + tile)
        # The next number is read an iteration ahead, so that no tile waits for it.
        at = tl.minimum(step + 1, count - 1)
        if LISTED > 0:
            at = tl.load(kept + at)
        acc, top, total = _absorb(q, k, v, 0, acc, top, total, scale, BLOCK_N, False)
    if ragged:
        left = keys - whole * BLOCK_N
        start = tl.cast(whole, tl.int64) * (BLOCK_N * HEADS * WIDTH)
        k = tl.load(k_ptr + start + tile, mask=rows < left, other=0.0)
        v = tl.load(v_ptr + start + tile, mask=rows < left, other=0.0)
        acc, top, total = _absorb(q, k, v, left, acc, top, total, scale, BLOCK_N, True)
    acc = acc * (1.0 / tl.where(total > 0.0, total, 1.0))[:, None]  # without a block, both are zeros
    if LINEAR:
        tl.debug_barrier()
        acc += tl.load(out_ptr + places, mask=inside[:, None], other=0.0).to(tl.float32)
    tl.store(out_ptr + places, acc.to(out_ptr.dtype.element_ty), mask=inside[:, None])
