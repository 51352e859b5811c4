"""Flash attention with int8 scores, over all key blocks or over a list of them for each query block.

Floor on an H200 at 52,992 tokens, 40 heads of 128, 82 of 828 key blocks (11.1 G scores): products 3.8 ms
(int8 and fp8 at 1.5 POP/s), exponentials 3.0 ms, tiles out of the L2 cache 4 ms; all three overlap. What
limits is the number of instructions a score, so what can be done once a block is done once a block.
"""

import triton
import triton.language as tl

from core.engine.ops.jit.rows import to_fp8

# exp2 of it is 448, the largest e4m3: probabilities fill the range of fp8; the factor leaves with their sum.
_FP8_BITS = tl.constexpr(8.807354922057604)


@triton.jit
def _block(
    q, k, v, mult, left, top, total, acc,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, FP8: tl.constexpr, MASKED: tl.constexpr,
):  # fmt: skip
    """One key block: scores, their running maximum and sum, and the values that they weigh."""
    scores = tl.dot(q, k.T).to(tl.float32)
    if MASKED:
        scores = tl.where(tl.arange(0, BLOCK_N)[None, :] < left, scores, -float("inf"))
    raised = tl.maximum(top, tl.max(scores, 1) * mult)
    drop = tl.math.exp2(top - raised)
    # One fused multiply-add and one exp2 a score.
    p = tl.math.exp2(scores * mult - ((raised - _FP8_BITS) if FP8 else raised)[:, None])
    # Each thread holds columns 8 j + 2 t and + 1 of lane t: their sum stays in the thread until the end.
    lanes = tl.sum(tl.sum(tl.reshape(p, (BLOCK_M, BLOCK_N // 8, 4, 2)), 3), 1)
    total = total * drop[:, None] + lanes
    if FP8:
        # Values lie in this order (pack8), in which the products' result already is their left operand.
        halves = tl.reshape(to_fp8(p), (BLOCK_M, BLOCK_N // 16, 2, 4, 2))
        weights = tl.reshape(tl.permute(halves, (0, 1, 3, 2, 4)), (BLOCK_M, BLOCK_N))
        acc = tl.dot(weights, v.T, acc * drop[:, None])
    else:
        acc = tl.dot(p.to(v.dtype), v, acc * drop[:, None])
    return raised, total, acc


@triton.jit
def _keys(source, head, block, padded, D: tl.constexpr, BLOCK_N: tl.constexpr, TMA: tl.constexpr):
    """[BLOCK_N, D] of k8 [heads, padded, D]."""
    if TMA:
        tile = source.load([head * padded + block * BLOCK_N, 0])
    else:
        at = (head.to(tl.int64) * padded + block * BLOCK_N) * D
        tile = tl.load(source + at + tl.arange(0, BLOCK_N)[:, None] * D + tl.arange(0, D)[None, :])
    return tile


@triton.jit
def _values(
    source, head, block, padded, keys, heads,
    D: tl.constexpr, BLOCK_N: tl.constexpr, FP8: tl.constexpr, TMA: tl.constexpr,
):  # fmt: skip
    """[D, BLOCK_N] of v8 [heads, D, padded], or [BLOCK_N, D] of the 16-bit v [B, keys, N, D]."""
    if FP8:
        if TMA:
            tile = source.load([head * D, block * BLOCK_N])
        else:
            at = head.to(tl.int64) * D * padded + block * BLOCK_N
            tile = tl.load(source + at + tl.arange(0, D)[:, None] * padded + tl.arange(0, BLOCK_N)[None, :])
    else:
        row = (head // heads) * keys + block * BLOCK_N
        if TMA:
            tile = source.load([row, (head % heads) * D])
        else:
            rows = tl.arange(0, BLOCK_N)
            at = (
                (row + rows)[:, None].to(tl.int64) * (heads * D)
                + (head % heads) * D
                + tl.arange(0, D)[None, :]
            )
            tile = tl.load(source + at, mask=(block * BLOCK_N + rows < keys)[:, None], other=0.0)
    return tile


# Launches over other heads or blocks shall not be compiled anew.
@triton.jit(do_not_specialize=["tokens", "keys", "heads", "first", "first_head", "listed"])
def attend8(
    q8, k8, v8, q_scale, k_scale, v_scale, v_mean, kept, original, state, total_b, bias, scratch, out,
    tokens, keys, q_padded, k_padded, heads, first, first_head, listed, epsilon,
    D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, LISTED: tl.constexpr, EVEN: tl.constexpr,
    FP8: tl.constexpr, FLUSH: tl.constexpr, LINEAR: tl.constexpr, EXACT_Q: tl.constexpr, TMA: tl.constexpr,
):  # fmt: skip
    """Query block ``first`` + program 0 of head ``first_head`` + program 1 attends to all keys, or listed.

    Programs of a head stand together, so its keys and values stay in the L2 cache. ``LISTED`` is 0 for all
    blocks, else the power of two that is at least ``listed``; a list is ascending, then -1. After ``FLUSH``
    blocks (0: never) the accumulator is added to ``scratch`` [programs 1, programs 0, BLOCK_M, D], float32:
    fp8 products of Hopper keep 14 bits of a running sum.
    """
    block_m = first + tl.program_id(0)
    head = first_head + tl.program_id(1)
    k_scales = k_scale + head * (k_padded // BLOCK_N)
    full = keys // BLOCK_N
    if LISTED > 0:
        entries = kept + (head * (q_padded // BLOCK_M) + block_m).to(tl.int64) * listed
        places = tl.arange(0, LISTED)
        count = tl.sum((tl.load(entries + places, mask=places < listed, other=-1) >= 0).to(tl.int32))
        tail = False
        if not EVEN:
            tail = tl.load(entries + tl.maximum(count - 1, 0)) == full
            count -= tail.to(tl.int32)
    else:
        count = full
        tail = keys > full * BLOCK_N
    q = _keys(q8, head, block_m, q_padded, D, BLOCK_M, TMA)
    q_step = tl.load(q_scale + head * (q_padded // BLOCK_M) + block_m)
    q_mult = q_step * (1.4426950408889634 / D**0.5)
    top = tl.full([BLOCK_M], -float("inf"), tl.float32)
    total = tl.zeros([BLOCK_M, 4], tl.float32)
    acc = tl.zeros([BLOCK_M, D], tl.float32)
    in_block = tl.arange(0, BLOCK_M)
    columns = tl.arange(0, D)
    # Not ``top``: the compiler would see no change where it is given top's value, and not carry it.
    flushed = tl.full([BLOCK_M], -float("inf"), tl.float32)
    held = scratch + (tl.program_id(1) * tl.num_programs(0) + tl.program_id(0)).to(tl.int64) * (BLOCK_M * D)
    held += in_block[:, None] * D + columns[None, :]
    for start in tl.range(0, count, FLUSH if FLUSH > 0 else 1 << 20):
        if FLUSH > 0:  # noqa: SIM102 (a constant: not compiled)
            if start > 0:
                tl.debug_barrier()  # other threads may have written what this one reads
                seen = tl.load(held, mask=(in_block >= 0)[:, None] & (start > FLUSH), other=0.0)
                tl.store(held, seen * tl.math.exp2(flushed - top)[:, None] + acc)
                flushed = top
                acc = tl.zeros([BLOCK_M, D], tl.float32)
        # Not carried from stretch to stretch, so that the inner loop may run ahead.
        block = start
        if LISTED > 0:
            block = tl.maximum(tl.load(entries + start), 0)
        mult = q_mult * tl.load(k_scales + block)
        for step in tl.range(start, tl.minimum(count, start + FLUSH) if FLUSH > 0 else count):
            # The next block's number and scale are read an iteration ahead: nothing waits for them.
            following = tl.minimum(step + 1, count - 1)
            if LISTED > 0:
                following = tl.load(entries + following)
            k = _keys(k8, head, block, k_padded, D, BLOCK_N, TMA)
            v = _values(v8, head, block, k_padded, keys, heads, D, BLOCK_N, FP8, TMA)
            top, total, acc = _block(q, k, v, mult, 0, top, total, acc, BLOCK_M, BLOCK_N, FP8, False)
            mult = q_mult * tl.load(k_scales + following)
            block = following
    if not EVEN:  # noqa: SIM102 (a constant: not compiled)
        if tail:
            k = _keys(k8, head, full, k_padded, D, BLOCK_N, TMA)
            v = _values(v8, head, full, k_padded, keys, heads, D, BLOCK_N, FP8, TMA)
            mult = q_mult * tl.load(k_scales + full)
            left = keys - full * BLOCK_N
            top, total, acc = _block(q, k, v, mult, left, top, total, acc, BLOCK_M, BLOCK_N, FP8, True)
    if FLUSH > 0:  # noqa: SIM102 (a constant: not compiled)
        if count > FLUSH:
            tl.debug_barrier()
            acc += tl.load(held) * tl.math.exp2(flushed - top)[:, None]
    weight = tl.sum(total, 1)
    share = 1.0 / tl.where(weight > 0, weight, 1.0)  # without a block, the sum and what it divides are zeros
    rows = block_m * BLOCK_M + in_block
    at = ((head // heads).to(tl.int64) * tokens + rows)[:, None] * (heads * D) + (head % heads) * D
    at += columns[None, :]
    inside = (rows < tokens)[:, None]
    if LINEAR:
        # a = softmax over the width of this row's query; its denominator cancels but for the epsilon.
        if EXACT_Q:
            feature = tl.load(original + at, mask=inside, other=0.0).to(tl.float32)
        else:
            feature = q.to(tl.float32) * q_step
        feature = tl.math.exp2((feature - tl.max(feature, 1)[:, None]) * 1.4426950408889634)
        weights = tl.load(total_b + head * D + columns)[None, :]
        divisor = epsilon * tl.sum(feature, 1) + tl.sum(feature * weights, 1)
        feature = feature.to(state.dtype.element_ty)
        # Both branches share one accumulator: the sparse one is scaled by the linear one's divisor.
        share *= divisor
    acc *= share[:, None]
    if FP8:
        acc *= tl.load(v_scale + head * D + columns)[None, :]
    if LINEAR:
        wide = tl.load(state + (head * D + columns[:, None]) * D + columns[None, :])
        acc = tl.dot(feature, wide, acc) * (1.0 / divisor)[:, None] + tl.load(bias + columns)[None, :]
    if FP8:
        # The values' mean, which was taken off them; nothing for a row that saw no block.
        mean = tl.load(v_mean + head * D + columns)[None, :]
        acc += tl.where(weight > 0, 1.0, 0.0)[:, None] * mean
    tl.store(out + at, acc.to(out.dtype.element_ty), mask=inside)
