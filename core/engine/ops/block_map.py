"""Which blocks of keys a block of queries attends to: those with the highest scores of their means.

Source: sparse-linear attention (SLA), TurboDiffusion's partition for inference: 128 queries by 64 keys. Shape
letters: B batch, L tokens, N heads, d head width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.engine.ops.triton_support import power_of_two, usable
from core.errors import BadSetting

QUERY_BLOCK = 128
KEY_BLOCK = 64
POOLED_WIDTHS = (16, 32, 64, 128)
MOST_BLOCKS = 8192
"""Of one row in registers: half a million keys."""


def keep_blocks(q: Tensor, k: Tensor, topk: float, pinned: tuple[int, int] | None = None) -> Tensor:
    """The key blocks of 64 that each block of 128 queries attends to.

    Args:
        q: [B, L, N, d], after norm and rotation.
        k: [B, M, N, d].
        topk: share of the key blocks that are kept, above 0 to 1; at least one is.
        pinned: (first, stop) key blocks that are kept in addition, whatever their score.

    Returns:
        int32 [B*N, ceil(L/128), n]: numbers of key blocks, ascending; n is even, the last may be -1 for none.

    Raises:
        BadSetting: ``topk`` is out of range.
    """
    return keep_pooled(*pooled(q, k), topk, pinned)


def keep_pooled(
    q_pooled: Tensor, k_pooled: Tensor, topk: float, pinned: tuple[int, int] | None = None
) -> Tensor:
    """``keep_blocks`` from the blocks' means, float32 [B*N, blocks, d]; of keys less the mean of all keys."""
    with torch.autocast(q_pooled.device.type, enabled=False):
        scores = torch.bmm(q_pooled, k_pooled.transpose(1, 2))
    return highest(scores, kept_count(topk, scores.shape[2]), pinned)


def kept_count(topk: float, blocks: int) -> int:
    """How many of a row's blocks are kept: int(topk * blocks), at least one (upstream's none gives NaN)."""
    if not 0 < topk <= 1:
        raise BadSetting(
            "The kept share of key blocks is out of range.", value=topk, limit="above 0, at most 1"
        )
    return max(1, min(blocks, int(topk * blocks)))


def pooled(
    q: Tensor, k: Tensor, query_block: int = QUERY_BLOCK, key_block: int = KEY_BLOCK
) -> tuple[Tensor, Tensor]:
    """Means of the blocks, float32 [B*N, blocks, d]; of keys less the mean of all keys.

    That mean adds the same to all scores of a row. Without it they are small, and their order is exact.
    """
    q_pooled, k_pooled = block_means(q, query_block), block_means(k, key_block)
    tokens, blocks = k.shape[1], k_pooled.shape[1]
    last = (tokens - (blocks - 1) * key_block) / tokens
    mean = k_pooled[:, :-1].sum(1, keepdim=True) * (key_block / tokens) + k_pooled[:, -1:] * last
    return q_pooled, k_pooled - mean


def block_means(x: Tensor, block: int) -> Tensor:
    """x [B, L, N, d] -> means over blocks of tokens, the last over what it has: float32 [B*N, blocks, d]."""
    if not (usable(x.device) and x.shape[3] in POOLED_WIDTHS and x.stride(3) == 1):
        return plain_block_means(x, block)
    from core.engine.ops.jit import block_map as jit

    batch, tokens, heads, width = x.shape
    blocks = (tokens + block - 1) // block
    out = torch.empty((batch * heads, blocks, width), dtype=torch.float32, device=x.device)
    jit.pool[(batch * heads, blocks)](
        x, out, tokens, heads, *x.stride()[:3], WIDTH=width, BLOCK=block, num_warps=4
    )
    return out


def plain_block_means(x: Tensor, block: int) -> Tensor:
    """``block_means`` in torch."""
    tokens = x.shape[1]
    rows = x.float().transpose(1, 2).flatten(0, 1)
    whole = tokens // block * block
    means = [torch.unflatten(rows[:, :whole], 1, (-1, block)).mean(2)] if whole else []
    if whole < tokens:
        means.append(rows[:, whole:].mean(1, keepdim=True))
    return torch.cat(means, dim=1)


def highest(scores: Tensor, count: int, pinned: tuple[int, int] | None = None) -> Tensor:
    """Columns of each row's ``count`` highest scores and of the pinned ones, as ``keep_blocks`` gives them.

    Args:
        scores: float32 [B*N, rows, blocks].
        count: how many, 1 to blocks, pinned ones not counted.
        pinned: (first, stop) columns.
    """
    rows, blocks = scores.shape[0] * scores.shape[1], scores.shape[2]
    first, stop = pinned or (0, 0)
    count = min(blocks, count + stop - first)
    if not (usable(scores.device) and blocks <= MOST_BLOCKS):
        return plain_highest(scores, count, (first, stop))
    from core.engine.ops.jit import block_map as jit

    lanes = power_of_two(blocks + 1)  # with room for the -1 behind the last block
    width = _even(count)
    kept = torch.empty((*scores.shape[:2], width), dtype=torch.int32, device=scores.device)
    jit.select[(rows,)](
        scores, kept, blocks, count, width, first, stop, BLOCK=lanes, num_warps=max(1, lanes // 1024)
    )
    return kept


def plain_highest(scores: Tensor, count: int, pinned: tuple[int, int]) -> Tensor:
    """``highest`` in torch; ``count`` has the pinned ones in it."""
    scores = scores.clone()
    scores[..., pinned[0] : pinned[1]] = torch.inf
    # A stable sort, for topk keeps any of equal scores.
    kept = scores.sort(dim=-1, descending=True, stable=True).indices[..., :count].sort(dim=-1).values
    out = torch.full((*scores.shape[:2], _even(count)), -1, dtype=torch.int32, device=scores.device)
    out[..., :count] = kept
    return out


def as_mask(kept: Tensor, blocks: int) -> Tensor:
    """Lists of ``keep_blocks`` -> bool [B*N, query blocks, blocks]."""
    mask = torch.zeros((*kept.shape[:2], blocks + 1), dtype=torch.bool, device=kept.device)
    return mask.scatter_(2, kept.long().where(kept >= 0, blocks), True)[..., :blocks]


def _even(count: int) -> int:
    return count + count % 2
