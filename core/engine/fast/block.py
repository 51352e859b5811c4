"""A transformer block by fused operations: ``models.blocks.Block``'s arithmetic in few passes over memory.

What a norm or an activation gives is quantised where it is computed, each layer's addition to the residual
stream waits for the next norm, and nothing is transposed around attention. Rounding differs from the plain
block, the formulas do not: tests/core/engine/fast has the tolerance.
Shape letters: B batch, L tokens, D width, N heads, d = D / N, M = B * L.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from core.engine.linear.products import product, rows_kind
from core.engine.models.attention import Context, CrossAttention, SelfAttention
from core.engine.models.blocks import Block
from core.engine.models.residual import Residual
from core.engine.models.rope import RopeTable
from core.engine.ops.activated import gelu_rows
from core.engine.ops.cross import cross_attend
from core.engine.ops.heads import norm_heads
from core.engine.ops.normed import quantise_rows
from core.engine.ops.rows import Norm, RowKind, Rows

MakeRows = Callable[[RowKind], Rows]


def fused_block(block: Block, x: Residual, e0: Tensor, context: Context, rope: RopeTable) -> Residual:
    """``FastForward``. All entries of a batch must have the same time, so ``e0[0]`` stands for all."""
    shift1, scale1, gate1, shift2, scale2, gate2 = (block.modulation[0].float() + e0[0]).unbind(0)
    first = Norm(1 + scale1, shift1, block.eps)
    x.add(_attended(block.self_attn, x, first, rope), gate1)
    x.add(_looked_up(block, x, context), None)
    second = Norm(1 + scale2, shift2, block.eps)
    x.add(_fed_forward(block.ffn, x, second), gate2)
    return x


def _attended(attn: SelfAttention, x: Residual, norm: Norm, rope: RopeTable) -> Tensor:
    """Self-attention's update [M, D]."""
    shape = x.shape
    q, k, v = _products(lambda kind: x.normed(norm, kind), (attn.q, attn.k, attn.v), x.dtype)
    q = norm_heads(q.view(shape), attn.norm_q.weight, attn.norm_q.eps, attn.num_heads, rope)
    k = norm_heads(k.view(shape), attn.norm_k.weight, attn.norm_k.eps, attn.num_heads, rope)
    out = attn.attend(q, k, attn.heads(v.view(shape)), rope.references)
    return _product_of(out.flatten(2), attn.o, x.dtype)


def _looked_up(block: Block, x: Residual, context: Context) -> Tensor:
    """Cross-attention's update [M, D]."""
    attn: CrossAttention = block.cross_attn
    norm = Norm(block.norm3.weight.float(), block.norm3.bias.float(), block.norm3.eps)
    (q,) = _products(lambda kind: x.normed(norm, kind), (attn.q,), x.dtype)
    text, image = attn.keys_values(context)
    out = cross_attend(q.view(x.shape), attn.norm_q.weight, attn.norm_q.eps, text, image)
    return _product_of(out, attn.o, x.dtype)


def _fed_forward(ffn: nn.Sequential, x: Residual, norm: Norm) -> Tensor:
    """The feed-forward network's update [M, D]."""
    (hidden,) = _products(lambda kind: x.normed(norm, kind), (ffn[0],), x.dtype)
    return product(gelu_rows(hidden, rows_kind(ffn[2]), x.dtype), ffn[2], x.dtype)


def _products(make: MakeRows, layers: tuple[nn.Module, ...], dtype: torch.dtype) -> list[Tensor]:
    """The products of one input with several layers; it is made in the first one's kind of rows."""
    rows = make(rows_kind(layers[0]))
    return [product(rows, layer, dtype) for layer in layers]


def _product_of(x: Tensor, layer: nn.Module, dtype: torch.dtype) -> Tensor:
    """[B, L, D] -> [M, D]."""
    rows = quantise_rows(x.flatten(0, 1), rows_kind(layer), dtype)
    return product(rows, layer, dtype)
