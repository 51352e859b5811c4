"""The norm of Wan's video autoencoder with its activation, written where the next convolution reads it.

Shape letters: B batch, C channels, T frames, H W size.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from core.engine.ops.triton_support import power_of_two, usable

_VALUES = 4096
"""Of a program: with 4 warps 32 for each thread, so that a dozen programs share an SM."""


def pixel_norm(x: Tensor, gamma: Tensor, *, silu: bool, out: Tensor | None = None) -> Tensor:
    """gamma * sqrt(C) * x / |x| over the channels of each pixel, then SiLU; computed in float32.

    Args:
        x: [B, C, T, H, W] of any float dtype.
        gamma: C values in any shape.
        silu: whether the activation follows.
        out: the shape of ``x``; may be frames of a longer tensor, or be of another dtype. None makes one.

    Returns:
        ``out``, rounded once.
    """
    out = torch.empty_like(x) if out is None else out
    if usable(x.device) and _by_pixels(x) and _by_pixels(out):
        _launch(x, gamma, out, silu)
        return out
    return out.copy_(plain_pixel_norm(x, gamma, silu=silu))


def plain_pixel_norm(x: Tensor, gamma: Tensor, *, silu: bool) -> Tensor:
    """``pixel_norm`` in plain torch: what the kernel must equal."""
    weight = gamma.float().view(-1, *(1,) * (x.ndim - 2))
    normed = functional.normalize(x.float(), dim=1) * x.shape[1] ** 0.5 * weight
    return (functional.silu(normed, inplace=True) if silu else normed).to(x.dtype)


def _by_pixels(x: Tensor) -> bool:
    """Whether channels lie side by side and a clip's pixels at one distance from each other."""
    _, _, frames, height, width = x.shape
    strides = x.stride()
    step = strides[4]
    return (
        strides[1] == 1
        and width > 1  # else its stride says nothing
        and (height == 1 or strides[3] == width * step)
        and (frames == 1 or strides[2] == height * width * step)
    )


def _launch(x: Tensor, gamma: Tensor, out: Tensor, silu: bool) -> None:
    import triton

    from core.engine.ops.jit.pixel_norm import pixel_norm_kernel

    batch, channels, frames, height, width = x.shape
    rows, lanes = frames * height * width, power_of_two(channels)
    rows_each = max(1, _VALUES // lanes)
    pixel_norm_kernel[(triton.cdiv(rows, rows_each), batch)](
        x,
        gamma,
        out,
        rows,
        x.stride(0),
        x.stride(4),
        out.stride(0),
        out.stride(4),
        channels**0.5,
        CHANNELS=channels,
        LANES=lanes,
        ROWS=rows_each,
        SILU=silu,
        num_warps=4,
    )
