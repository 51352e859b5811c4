"""Attention of one wide head over the pixels of a picture, which the fused kernels are not made for."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

_SCORES: Final = 1 << 26
"""Scores at a time: 256 MiB in float32."""


def attend_pixels(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(C)) v for q, k, v [n, L, C] of pictures -> [n, L, C].

    On a GPU in 16 bits as two plain products with float32 scores between them: for a head as wide as 384
    torch has only the kernel that keeps its sums in memory, at a tenth of the speed.
    """
    if not (q.is_cuda and q.dtype in (torch.bfloat16, torch.float16) and _keeps_scores()):
        return functional.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
    mixed = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    rows = max(1, min(q.shape[1], _SCORES // k.shape[1]))
    factor = q.shape[2] ** -0.5
    for picture in range(len(q)):
        columns = k[picture].T
        for start in range(0, q.shape[1], rows):
            part = slice(start, start + rows)
            scores = torch.mm(q[picture, part], columns, out_dtype=torch.float32)
            shares = scores.mul_(factor).softmax(dim=1).to(q.dtype)
            torch.mm(shares, v[picture], out=mixed[picture, part])
    return mixed


def _keeps_scores() -> bool:
    """Whether this torch multiplies 16-bit matrices into float32 (from 2.8)."""
    return hasattr(torch.ops.aten.mm, "dtype")
