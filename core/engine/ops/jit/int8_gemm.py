"""Products of 8-bit integers with the scales in the epilogue or between the slices of K, and block scales."""

import triton
import triton.language as tl

BLOCK = tl.constexpr(128)
# Adding and taking away 1.5 * 2^23 rounds a small float32 half to even.
ROUNDING = tl.constexpr(12582912.0)


@triton.jit
def _place(tile, rows, columns, GROUP: tl.constexpr):
    """Row and column of a tile; GROUP rows of tiles share the weights that the L2 cache holds."""
    in_group = GROUP * columns
    first = tile // in_group * GROUP
    height = tl.minimum(rows - first, GROUP)
    return first + tile % in_group % height, tile % in_group // height


@triton.jit
def _load(
    source, row, column, limit, K,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, EVEN: tl.constexpr, TMA: tl.constexpr,
):  # fmt: skip
    """[HEIGHT, WIDTH] of a matrix [limit, K], zeros beyond K; ``source`` is a descriptor for TMA."""
    if TMA:
        tile = source.load([row, column])
    else:
        rows = row + tl.arange(0, HEIGHT)
        columns = column + tl.arange(0, WIDTH)
        # Rows beyond the last are read as the last: their results are not written.
        at = tl.minimum(rows, limit - 1).to(tl.int64)[:, None] * K + columns[None, :]
        if EVEN:
            tile = tl.load(source + at)
        else:
            tile = tl.load(source + at, mask=(columns < K)[None, :], other=0)
    return tile


@triton.jit
def _write(out, value, row, column, M, N, HEIGHT: tl.constexpr, WIDTH: tl.constexpr):
    rows = row + tl.arange(0, HEIGHT)
    columns = column + tl.arange(0, WIDTH)
    at = rows.to(tl.int64)[:, None] * N + columns[None, :]
    tl.store(out + at, value.to(out.dtype.element_ty), mask=(rows < M)[:, None] & (columns < N)[None, :])


@triton.jit
def _rows_tile(
    x, w, out, x_scale, w_scale, bias, M, N, K, row, column,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, DEPTH: tl.constexpr, EVEN: tl.constexpr, TMA: tl.constexpr,
):  # fmt: skip
    total = tl.zeros((HEIGHT, WIDTH), tl.int32)
    for k in range(0, K, DEPTH):
        a = _load(x, row, k, M, K, HEIGHT, DEPTH, EVEN, TMA)
        b = _load(w, column, k, N, K, WIDTH, DEPTH, EVEN, TMA)
        total = tl.dot(a, b.T, total, out_dtype=tl.int32)
    rows = row + tl.arange(0, HEIGHT)
    columns = column + tl.arange(0, WIDTH)
    left = tl.load(x_scale + rows, mask=rows < M, other=0.0)
    above = tl.load(w_scale + columns, mask=columns < N, other=0.0)
    value = total.to(tl.float32) * left[:, None] * above[None, :]
    if bias is not None:
        value += tl.load(bias + columns, mask=columns < N, other=0.0).to(tl.float32)[None, :]
    _write(out, value, row, column, M, N, HEIGHT, WIDTH)


# The number of rows differs from render to render: no kernel of its own for each.
@triton.jit(do_not_specialize=["M"])
def rows_kernel(
    x, w, out, x_scale, w_scale, bias, M, N, K,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, DEPTH: tl.constexpr,
    GROUP: tl.constexpr, EVEN: tl.constexpr, PERSISTENT: tl.constexpr, TMA: tl.constexpr,
):  # fmt: skip
    """out [M, N] = (x [M, K] int8 times w [N, K] int8 transposed) * x_scale [M] * w_scale [N] + bias [N].

    Floor at 52,992 x 5120 -> 5120 on an H200: 2.8 P operations, 1.9 ms at 1,500 T/s; 0.84 GB, 0.2 ms. Two
    warp groups of 64 x 256 each have 128 accumulators a thread, and read 80 bytes a clock from shared memory.
    """
    rows, columns = tl.cdiv(M, HEIGHT), tl.cdiv(N, WIDTH)
    if PERSISTENT:
        for tile in tl.range(tl.program_id(0), rows * columns, tl.num_programs(0), flatten=True):
            i, j = _place(tile, rows, columns, GROUP)
            _rows_tile(
                x, w, out, x_scale, w_scale, bias, M, N, K, i * HEIGHT, j * WIDTH,
                HEIGHT, WIDTH, DEPTH, EVEN, TMA,
            )  # fmt: skip
    else:
        i, j = _place(tl.program_id(0), rows, columns, GROUP)
        _rows_tile(
            x, w, out, x_scale, w_scale, bias, M, N, K, i * HEIGHT, j * WIDTH,
            HEIGHT, WIDTH, DEPTH, EVEN, TMA,
        )  # fmt: skip


@triton.jit(do_not_specialize=["M"])
def blocks_kernel(
    x, w, out, x_scale, w_scale, bias, M, N, K,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, GROUP: tl.constexpr, TMA: tl.constexpr,
):  # fmt: skip
    """As ``rows_kernel`` with scales for 128 x 128 values, K a multiple of 128: x_scale [M/128, K/128].

    Each slice of 128 along K is an exact integer product, times its scales added up in float32 in order. The
    result is rounded, then the bias is added in its dtype. Floor as above; the wait for each slice and the
    multiplication behind it are hidden by other programs of the same multiprocessor.
    """
    i, j = _place(tl.program_id(0), tl.cdiv(M, HEIGHT), tl.cdiv(N, WIDTH), GROUP)
    row, column = i * HEIGHT, j * WIDTH
    slices = K // BLOCK
    total = tl.zeros((HEIGHT, WIDTH), tl.float32)
    left, above = x_scale + row // BLOCK * slices, w_scale + column // BLOCK * slices
    for k in range(0, slices):
        a = _load(x, row, k * BLOCK, M, K, HEIGHT, BLOCK, True, TMA)
        b = _load(w, column, k * BLOCK, N, K, WIDTH, BLOCK, True, TMA)
        scale = tl.load(left + k) * tl.load(above + k)
        total = tl.fma(tl.dot(a, b.T, out_dtype=tl.int32).to(tl.float32), scale, total)
    value = total.to(out.dtype.element_ty).to(tl.float32)
    if bias is not None:
        columns = column + tl.arange(0, WIDTH)
        more = tl.load(bias + columns, mask=columns < N, other=0.0).to(out.dtype.element_ty)
        value += more.to(tl.float32)[None, :]
    _write(out, value, row, column, M, N, HEIGHT, WIDTH)


@triton.jit(do_not_specialize=["M"])
def quantise_kernel(x, values, scales, M, K):
    """A block of 128 x 128 of x [M, K] -> int8 values and its scale, the largest magnitude / 128.

    Floor at 52,992 x 5120 in 16 bits: 0.81 GB, 0.19 ms at 4.2 TB/s.
    """
    i, j = tl.program_id(1), tl.program_id(0)
    rows = i * BLOCK + tl.arange(0, BLOCK)
    columns = j * BLOCK + tl.arange(0, BLOCK)
    inside = (rows < M)[:, None] & (columns < K)[None, :]
    at = rows.to(tl.int64)[:, None] * K + columns[None, :]
    block = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    largest = tl.maximum(tl.max(tl.max(tl.abs(block), 1), 0), 1e-8)
    block = block * tl.div_rn(128.0, largest)
    block = (block + ROUNDING) - ROUNDING
    block = tl.minimum(tl.maximum(block, -128.0), 127.0)
    tl.store(values + at, block.to(tl.int8), mask=inside)
    tl.store(scales + i * tl.cdiv(K, BLOCK) + j, largest / 128.0)
