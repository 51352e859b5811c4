"""Transformer block and output head with time modulation.

The residual stream, the norms and the modulation stay float32 under autocast; only products run in 16 bit.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engine.models.attention import Context, CrossAttention, SelfAttention, compute_cast
from core.engine.models.config import TransformerConfig
from core.engine.models.norms import AffineLayerNorm, layer_norm
from core.engine.models.residual import Residual
from core.engine.models.rope import RopeTable
from core.engine.models.sla import SparseOperator


def initial_modulation(rows: int, dim: int) -> nn.Parameter:
    """Learned offsets [1, rows, D] that are added to the time embedding."""
    values = torch.randn(1, rows, dim)
    return nn.Parameter(values if values.is_meta else values / math.sqrt(dim))


def added(x: Tensor, update: Tensor) -> Tensor:
    """x + update; in place where no gradient needs x, for the block's caller still holds it."""
    return x + update if torch.is_grad_enabled() else x.add_(update)


class FastForward(Protocol):
    """A block's computation by fused operations; it reads the block's weights at each call."""

    def __call__(
        self, block: Block, x: Residual, e0: Tensor, context: Context, rope: RopeTable, /
    ) -> Residual:
        """Arguments as for ``Block.forward``; x is changed and returned."""
        ...


class Block(nn.Module):
    """Self-attention, cross-attention and feed-forward network, the first and last modulated by the time.

    Inputs are cast before they are handed over: a float32 argument would live through the whole call.
    ``fast`` computes the block where it is set and the stream comes as a ``Residual``.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        dim, self.eps = config.dim, config.eps
        self.fast: FastForward | None = None
        self.modulation = initial_modulation(6, dim)
        self.self_attn = SelfAttention(dim, config.num_heads, config.eps)
        if config.sparse:
            self.self_attn.attn_op = SparseOperator(config.head_dim)
        self.norm3 = AffineLayerNorm(dim, config.eps)
        self.cross_attn = CrossAttention(dim, config.num_heads, config.eps)
        self.ffn = nn.Sequential(
            nn.Linear(dim, config.ffn_dim), nn.GELU(approximate="tanh"), nn.Linear(config.ffn_dim, dim)
        )

    def forward(
        self, x: Tensor | Residual, e0: Tensor, context: Context, rope: RopeTable
    ) -> Tensor | Residual:
        """x [B, L, D] float32 (overwritten where gradients are off), e0 [B, 6, D] float32 -> like x."""
        if isinstance(x, Residual):
            assert self.fast is not None
            return self.fast(self, x, e0, context, rope)
        shift1, scale1, gate1, shift2, scale2, gate2 = (self.modulation + e0).unsqueeze(2).unbind(1)
        hidden = compute_cast(layer_norm(x, self.eps) * (1 + scale1) + shift1)
        x = added(x, gate1 * self.self_attn(hidden, rope))
        x = added(x, self.cross_attn(compute_cast(self.norm3(x)), context))
        hidden = compute_cast(layer_norm(x, self.eps) * (1 + scale2) + shift2)
        return added(x, gate2 * self.ffn(hidden))


class Head(nn.Module):
    """Tokens to the values of their patch, in float32 whatever autocast says: the velocity is not rounded."""

    def __init__(self, dim: int, values: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.modulation = initial_modulation(2, dim)
        self.head = nn.Linear(dim, values)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """x [B, L, D], e [B, D] -> [B, L, values] float32."""
        shift, scale = (self.modulation + e.unsqueeze(1)).unsqueeze(2).unbind(1)
        hidden = layer_norm(x, self.eps) * (1 + scale) + shift
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(hidden, self.head.weight.float(), self.head.bias.float())
