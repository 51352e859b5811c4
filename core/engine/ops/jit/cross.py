"""Kernels of cross-attention: one query, two short lists of keys, two softmaxes.

Work at 52,992 tokens x 40 heads of 128 with 512 + 257 keys: 0.83 TFLOP, so 1.1 ms at 790 TFLOP/s. Keys and
values (16 MB) stay in L2; queries and results move once, 1.1 GB = 0.26 ms beside it.
"""

import triton
import triton.language as tl


@triton.jit
def inverse_rms(x_ptr, out_ptr, row_stride, eps, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """1 / sqrt(mean(x^2) + eps) of each row of x [M, WIDTH] -> float32 [M]; one program a row.

    Floor: one read, 0.54 GB at 52,992 x 5120 in 16 bits = 0.13 ms.
    """
    row = tl.program_id(0).to(tl.int64)
    lanes = tl.arange(0, BLOCK)
    squares = tl.zeros([BLOCK], tl.float32)
    for start in tl.static_range(0, WIDTH, BLOCK):
        x = tl.load(x_ptr + row * row_stride + start + lanes, mask=start + lanes < WIDTH, other=0.0)
        squares += x.to(tl.float32) * x.to(tl.float32)
    tl.store(out_ptr + row, tl.rsqrt(tl.sum(squares, 0) / WIDTH + eps))


@triton.jit
def _absorb(scores, v, acc, top, total, scale):
    """Add a block of keys to a running softmax in base 2; ``top`` is a row's largest scaled score so far."""
    higher = tl.maximum(top, tl.max(scores, 1) * scale)
    p = tl.math.exp2(scores * scale[:, None] - higher[:, None])
    shrink = tl.math.exp2(top - higher)
    acc = tl.dot(p.to(v.dtype), v, acc * shrink[:, None], input_precision="ieee")
    return acc, higher, total * shrink + tl.sum(p, 1)


@triton.jit
def _attend(
    q,
    k_ptr,
    v_ptr,
    k_tiles,
    v_tiles,
    batch,
    head,
    scale,
    KEYS: tl.constexpr,
    HEADS: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    TAIL: tl.constexpr,
    TMA: tl.constexpr,
):
    """softmax(q k^T) v over one list of keys: whole blocks without a mask, then a masked one of TAIL keys.

    ``scale`` [BLOCK_M] > 0 multiplies the scores of each row. Keys and values are [B, KEYS, HEADS, WIDTH];
    with TMA whole blocks come by descriptors of [B * KEYS, HEADS * WIDTH], whose addresses take no registers.
    """
    top = tl.full([BLOCK_M], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    acc = tl.zeros([BLOCK_M, WIDTH], tl.float32)
    first = batch * KEYS
    k_ptr += first.to(tl.int64) * (HEADS * WIDTH) + head * WIDTH
    v_ptr += first.to(tl.int64) * (HEADS * WIDTH) + head * WIDTH
    columns = tl.arange(0, WIDTH)[None, :]
    places = tl.arange(0, BLOCK_N)[:, None] * (HEADS * WIDTH) + columns
    for block in tl.range(0, KEYS // BLOCK_N):
        if TMA:
            k = k_tiles.load([first + block * BLOCK_N, head * WIDTH])
            v = v_tiles.load([first + block * BLOCK_N, head * WIDTH])
        else:
            k = tl.load(k_ptr + block * (BLOCK_N * HEADS * WIDTH) + places)
            v = tl.load(v_ptr + block * (BLOCK_N * HEADS * WIDTH) + places)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee")
        acc, top, total = _absorb(scores, v, acc, top, total, scale)
    if TAIL > 0:
        at = KEYS // BLOCK_N * BLOCK_N + tl.arange(0, TAIL)
        inside = at[:, None] < KEYS
        k = tl.load(k_ptr + at[:, None] * (HEADS * WIDTH) + columns, mask=inside, other=0.0)
        v = tl.load(v_ptr + at[:, None] * (HEADS * WIDTH) + columns, mask=inside, other=0.0)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee")
        scores = tl.where(at[None, :] < KEYS, scores, float("-inf"))
        acc, top, total = _absorb(scores, v, acc, top, total, scale)
    return acc * (1.0 / total)[:, None]


@triton.jit
def cross_attend(
    q_ptr,
    rms_ptr,
    text_k_ptr,
    text_v_ptr,
    image_k_ptr,
    image_v_ptr,
    text_k_tiles,
    text_v_tiles,
    image_k_tiles,
    image_v_tiles,
    out_ptr,
    tokens,
    scale,
    TEXT: tl.constexpr,
    IMAGE: tl.constexpr,
    HEADS: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    TEXT_TAIL: tl.constexpr,
    IMAGE_TAIL: tl.constexpr,
    TMA: tl.constexpr,
):
    """Queries [B, L, HEADS * WIDTH] before their norm -> the two results added, like them; all contiguous.

    The norm is x * rms * weight. The weight is in the keys already, and a row's rms multiplies its scores, so
    the queries go from memory into the matrix units as they are. A program takes BLOCK_M tokens of one head;
    programs of a head run together, so that its keys stay near.
    """
    blocks = tl.cdiv(tokens, BLOCK_M)
    entry = tl.program_id(0) // blocks
    batch, head = entry // HEADS, entry % HEADS
    start = (tl.program_id(0) % blocks) * BLOCK_M
    lanes = tl.arange(0, BLOCK_M)
    inside = lanes < tokens - start
    # One address and constants, not an address a row: those would take more registers than there are.
    first = batch.to(tl.int64) * tokens + start
    places = lanes[:, None] * (HEADS * WIDTH) + tl.arange(0, WIDTH)[None, :]
    q_ptr += first * (HEADS * WIDTH) + head * WIDTH
    out_ptr += first * (HEADS * WIDTH) + head * WIDTH
    q = tl.load(q_ptr + places, mask=inside[:, None], other=0.0)
    scales = tl.load(rms_ptr + first + lanes, mask=inside, other=1.0) * scale

    text = _attend(
        q, text_k_ptr, text_v_ptr, text_k_tiles, text_v_tiles, batch, head, scales,
        TEXT, HEADS, WIDTH, BLOCK_M, BLOCK_N, TEXT_TAIL, TMA,
    )  # fmt: skip
    # Put down for a while: registers do not hold a second result. The plain form rounds it here, too.
    tl.store(out_ptr + places, text.to(q.dtype), mask=inside[:, None])
    image = _attend(
        q, image_k_ptr, image_v_ptr, image_k_tiles, image_v_tiles, batch, head, scales,
        IMAGE, HEADS, WIDTH, BLOCK_M, BLOCK_N, IMAGE_TAIL, TMA,
    )  # fmt: skip
    tl.debug_barrier()
    text = tl.load(out_ptr + places, mask=inside[:, None], other=0.0)
    tl.store(out_ptr + places, text + image.to(q.dtype), mask=inside[:, None])
