"""Queries and keys from their projections: RMS norm and rotation in one pass over memory.

Shape letters: B batch, L tokens, D width, N heads, d = D / N.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.engine.models.rope import RopeTable, apply_rope
from core.engine.ops.tiling import by_kernel, require_shape, tiling

TOKENS_AT_ONCE = 8192
"""Of the plain form: its float32 intermediates then take little beside the result."""


def norm_heads(x: Tensor, weight: Tensor, eps: float, heads: int, rope: RopeTable | None) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the whole width, in heads, turned; float32 inside.

    Args:
        x: [B, L, D], a float dtype; it may be a part of a wider tensor.
        weight: [D], a float dtype.
        eps: of the norm.
        heads: N; it divides D.
        rope: cosine and sine [L, 1, d / 2] float32, for all batch entries and heads; None turns nothing.

    Returns:
        [B, L, N, d] contiguous, of x's dtype.

    Raises:
        EngineError: shapes that do not fit.
    """
    batch, tokens, width = x.shape
    head = width // heads
    require_shape("The norm's weight", weight, (width,))
    require_shape("x in heads", x, (batch, tokens, heads * head))
    if rope is not None:
        require_shape("The cosine", rope.cos, (tokens, 1, head // 2))
        require_shape("The sine", rope.sin, (tokens, 1, head // 2))
    cos, sin = (None, None) if rope is None else (rope.cos.contiguous(), rope.sin.contiguous())
    if not by_kernel("float", x, weight, cos, sin):
        return _plain(x, weight, eps, heads, rope)
    from core.engine.ops.jit.heads import heads_kernel

    if x.stride(2) != 1:
        x = x.contiguous()
    tile, tiles, warps = tiling(width, x.element_size())
    out = torch.empty(batch, tokens, heads, head, dtype=x.dtype, device=x.device)
    heads_kernel[(batch * tokens,)](
        x,
        weight.contiguous(),
        cos,
        sin,
        out,
        tokens,
        x.stride(0),
        x.stride(1),
        eps,
        HEAD=head,
        WIDTH=width,
        TILE=tile,
        COUNT=tiles,
        num_warps=warps,
    )
    return out


def _plain(x: Tensor, weight: Tensor, eps: float, heads: int, rope: RopeTable | None) -> Tensor:
    parts = []
    for start in range(0, max(1, x.shape[1]), TOKENS_AT_ONCE):
        span = slice(start, start + TOKENS_AT_ONCE)
        normed = F.rms_norm(x[:, span].float(), [x.shape[2]], weight.float(), eps)
        part = torch.unflatten(normed, -1, (heads, x.shape[2] // heads))
        if rope is not None:
            part = apply_rope(part, RopeTable(rope.cos[span], rope.sin[span]))
        parts.append(part.to(x.dtype))
    return torch.cat(parts, dim=1)
