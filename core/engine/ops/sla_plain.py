"""Sparse-linear attention in plain torch: what its kernels must equal, and what heads of other widths take.

Shape letters: B batch, L queries, M keys, N heads, d head width.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engine.ops.block_map import KEY_BLOCK, QUERY_BLOCK, as_mask

EPSILON = 1e-5
QUERIES_AT_ONCE = 8
"""Query blocks: their mask has a value for each query and key."""

Feature = Literal["softmax", "elu"]


class LinearBranch(NamedTuple):
    """What the linear branch needs of all keys.

    Attributes:
        state: float32 [B*N, d, d], (b^T v) times the projection.
        total: float32 [B*N, d], the sum of b.
        bias: float32 [d], the projection's.
    """

    state: Tensor
    total: Tensor
    bias: Tensor


def plain_linear_branch(k: Tensor, v: Tensor, proj: nn.Linear, feature: Feature = "softmax") -> LinearBranch:
    """``linear_branch`` in torch, float32."""
    keys, values = feature_of(_heads_first(k), feature), _heads_first(v)
    with torch.autocast(k.device.type, enabled=False):
        return projected(keys.transpose(1, 2) @ values, keys.sum(1), proj)


def projected(state: Tensor, total: Tensor, proj: nn.Linear) -> LinearBranch:
    """The branch of b^T v and the sum of b, float32, with the projection multiplied in."""
    with torch.autocast(state.device.type, enabled=False):
        state = state @ proj.weight.float().T
    bias = state.new_zeros(state.shape[-1]) if proj.bias is None else proj.bias.float()
    return LinearBranch(state, total, bias)


def feature_of(x: Tensor, feature: Feature) -> Tensor:
    """The map of queries and keys [..., d] to positive features."""
    return x.softmax(-1) if feature == "softmax" else F.elu(x) + 1


def plain_attend_blocks(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    kept: Tensor,
    *,
    linear: LinearBranch | None = None,
    dense_from: int | None = None,
    feature: Feature = "softmax",
    query_block: int = QUERY_BLOCK,
    key_block: int = KEY_BLOCK,
) -> Tensor:
    """``attend_blocks`` in torch, for blocks of any size and both feature maps: attention with a mask."""
    mask = as_mask(kept, -(-k.shape[1] // key_block))
    if dense_from is not None:
        mask[:, dense_from:] = True
    heads_first = [x.transpose(1, 2) for x in (q, k, v)]
    parts = []
    for first in range(0, mask.shape[1], QUERIES_AT_ONCE):
        few = mask[:, first : first + QUERIES_AT_ONCE]
        rows = heads_first[0][:, :, first * query_block : (first + QUERIES_AT_ONCE) * query_block]
        wide = few.repeat_interleave(query_block, 1)[:, : rows.shape[2]]
        wide = wide.repeat_interleave(key_block, 2)[:, :, : k.shape[1]]
        wide = torch.unflatten(wide, 0, (q.shape[0], -1))
        part = F.scaled_dot_product_attention(rows, heads_first[1], heads_first[2], wide)
        parts.append(part.masked_fill(~wide.any(-1, keepdim=True), 0.0))
    out = torch.cat(parts, 2).transpose(1, 2)
    return (
        out.contiguous() if linear is None else (out.float() + plain_linear(q, linear, feature)).to(v.dtype)
    )


def plain_linear(q: Tensor, linear: LinearBranch, feature: Feature = "softmax") -> Tensor:
    """The linear branch's part of the result, float32 [B, L, N, d]."""
    rows = feature_of(_heads_first(q), feature)
    with torch.autocast(q.device.type, enabled=False):
        divisor = EPSILON + rows @ linear.total[:, :, None]
        out = rows @ linear.state / divisor + linear.bias
    return torch.unflatten(out, 0, (q.shape[0], -1)).transpose(1, 2)


def _heads_first(x: Tensor) -> Tensor:
    """[B, L, N, d] -> float32 [B*N, L, d]."""
    return x.float().transpose(1, 2).flatten(0, 1)
