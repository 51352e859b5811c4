"""RMS norm over the channels of a pixel, with SiLU; channels lie side by side."""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["rows"])
def pixel_norm_kernel(
    x,
    gamma,
    out,
    rows,
    x_batch,
    x_row,
    out_batch,
    out_row,
    root,
    CHANNELS: tl.constexpr,
    LANES: tl.constexpr,
    ROWS: tl.constexpr,
    SILU: tl.constexpr,
):
    """One program norms ROWS pixels of one clip; its floor is one read and one write of each value.

    ``x_row`` and ``out_row`` are elements between pixels, ``x_batch`` and ``out_batch`` between clips.
    """
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    lane = tl.arange(0, LANES)
    clip = tl.program_id(1).to(tl.int64)
    inside = (row < rows)[:, None] & (lane < CHANNELS)[None, :]
    value = tl.load(x + clip * x_batch + row[:, None] * x_row + lane[None, :], mask=inside, other=0.0)
    value = value.to(tl.float32)
    length = tl.sqrt(tl.sum(value * value, axis=1))
    weight = tl.load(gamma + lane, mask=lane < CHANNELS, other=0.0).to(tl.float32)
    normed = value / tl.maximum(length, 1e-12)[:, None] * root * weight[None, :]
    if SILU:
        normed = normed / (1.0 + tl.exp(-normed))
    where = out + clip * out_batch + row[:, None] * out_row + lane[None, :]
    tl.store(where, normed.to(out.dtype.element_ty), mask=inside)
