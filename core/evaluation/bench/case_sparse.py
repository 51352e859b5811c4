"""Sparse-linear attention (SLA, SageSLA): its parts, and the operator as a forward calls it.

Shape letters: B = 1 batch, L tokens, N heads, d head width. Query blocks are of 128 tokens, key blocks of 64.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from core.evaluation.bench.case_attention import exact, heads_of, some_heads
from core.evaluation.bench.cases import Bed, Case, Work, relative
from core.evaluation.bench.layers import SPREAD
from core.evaluation.bench.report import Absent

QUERY_BLOCK, KEY_BLOCK = 128, 64
TOPK, WIDER = 0.10, 0.15
NATIVE_WIDTHS = (64, 128)
LINEAR_FLOOR = 1e-5
"""Added to the linear branch's denominator, as in SLA's published code."""


def sparse_cases() -> list[Case]:
    """Parts first, then whole operators."""
    return [
        Case("sla", "pack to 8 bits", pack_all),
        Case("sla", "block map, from 16 bits", block_map),
        Case("sla", "block map, from means", pooled_map),
        Case("sla", "linear branch", branch),
        Case("sla", "sparse kernel, 8 bits", kernel8),
        *(
            Case("sla", f"{'SageSLA' if eight_bit else 'SLA'} top-k {topk:.2f}", make)
            for eight_bit, topk in ((True, TOPK), (True, WIDER), (False, TOPK))
            for make in [partial(operator, eight_bit=eight_bit, topk=topk)]
        ),
        Case(
            "sla",
            "without linear branch, 8 bits",
            partial(operator, eight_bit=True, topk=TOPK, trained=False),
        ),
    ]


def pack_all(bed: Bed) -> Work:
    """Queries and keys to int8, values to fp8, with the pooled blocks that the map is made of."""
    from core.engine.ops.pack8 import pack8

    _native(bed)
    q, k, v = heads_of(bed)
    moved = 3 * q.numel() * (q.itemsize + 1)
    return Work(lambda: pack8(q, k, v), moved_bytes=moved)


def block_map(bed: Bed) -> Work:
    """Which key blocks each query block keeps; the error is the share of others than float32 keeps."""
    from core.engine.ops.block_map import keep_blocks

    q, k, _ = heads_of(bed)

    def check(kept: Tensor) -> float:
        chosen = some_heads(bed.config.num_heads)
        ours = chosen_blocks(kept[chosen], bed.tokens)
        theirs = exact_map(q[:, :, chosen], k[:, :, chosen], TOPK)
        return float((ours & ~theirs).sum() / theirs.sum())

    return Work(lambda: keep_blocks(q, k, TOPK), check, 2 * q.numel() * q.itemsize)


def branch(bed: Bed) -> Work:
    """Sums over all keys and values for the linear branch."""
    from core.engine.ops.sla import linear_branch

    _, k, v = heads_of(bed)
    proj, chosen = projection(bed), some_heads(bed.config.num_heads)

    def check(out: object) -> float:
        state, total = branch_sums(k[0, :, chosen], v[0, :, chosen])
        expected = state @ proj.weight.float().T
        assert isinstance(out, tuple)
        return max(relative(out[0][chosen], expected), relative(out[1][chosen], total))

    flops = 2.0 * k.numel() * bed.config.head_dim
    return Work(lambda: linear_branch(k, v, proj), check, 2 * k.numel() * k.itemsize, flops)


def pooled_map(bed: Bed) -> Work:
    """The map as SageSLA makes it, from the means that packing gives."""
    from core.engine.ops.block_map import keep_pooled
    from core.engine.ops.pack8 import pack8

    packed = pack8(*heads_of(bed))
    means, keys = packed.q_pooled, packed.k_pooled
    del packed
    moved = (means.numel() + keys.numel()) * means.itemsize
    return Work(lambda: keep_pooled(means, keys, TOPK), moved_bytes=moved)


def kernel8(bed: Bed) -> Work:
    """The kernel alone: operands packed, map and sums there."""
    from core.engine.ops.attention8 import attend_packed
    from core.engine.ops.block_map import keep_pooled
    from core.engine.ops.pack8 import pack8
    from core.engine.ops.sla import linear_branch

    _native(bed)
    q, k, v = heads_of(bed)
    linear, packed = linear_branch(k, v, projection(bed)), pack8(q, k, v)
    kept = keep_pooled(packed.q_pooled, packed.k_pooled, TOPK)
    return Work(
        lambda: attend_packed(packed, q, bed.dtype, kept, linear=linear),
        moved_bytes=3 * q.numel() + 2 * q.numel() * q.itemsize,
        flops=sparse_flops(bed, TOPK),
        eight_bit=True,
    )


def operator(bed: Bed, eight_bit: bool, topk: float, trained: bool = True) -> Work:
    """The whole of it: map, sums, packing, kernel; against float32 with the same map."""
    from core.engine.ops.block_map import keep_blocks
    from core.engine.ops.sla import attend_sla

    q, k, v = heads_of(bed)
    proj = projection(bed) if trained else None
    chosen = some_heads(bed.config.num_heads)

    def check(out: Tensor) -> float:
        kept = chosen_blocks(keep_blocks(q, k, topk)[chosen], bed.tokens)
        at = bed.sample()
        few = [x[:, :, chosen] for x in (q, k, v)]
        return relative(out[:, at][:, :, chosen], exact_sla(few[0], few[1], few[2], kept, at, proj))

    return Work(
        lambda: attend_sla(q, k, v, proj, topk, eight_bit=eight_bit, references=0),
        check,
        4 * q.numel() * q.itemsize,
        sparse_flops(bed, topk),
        eight_bit,
    )


def _native(bed: Bed) -> None:
    if bed.config.head_dim not in NATIVE_WIDTHS:
        raise Absent(f"heads of {bed.config.head_dim} have no 8-bit kernel")


def projection(bed: Bed) -> nn.Linear:
    """A random ``proj_l``: no weights of SteadyDancer are trained for SLA yet."""
    width = bed.config.head_dim
    with torch.device("meta"):
        layer = nn.Linear(width, width)
    layer.weight = nn.Parameter(bed.normal(width, width, spread=SPREAD, seed=7), requires_grad=False)
    layer.bias = nn.Parameter(bed.normal(width, spread=SPREAD, seed=8), requires_grad=False)
    return layer


def sparse_flops(bed: Bed, topk: float) -> float:
    """Operations of the kept blocks."""
    keys = min(bed.tokens, KEY_BLOCK * kept_count(bed.tokens, topk))
    return 4.0 * bed.tokens * keys * bed.config.dim


def kept_count(tokens: int, topk: float) -> int:
    """Key blocks that a query block keeps."""
    blocks = -(-tokens // KEY_BLOCK)
    return max(1, min(blocks, int(topk * blocks)))


def chosen_blocks(kept: Tensor, tokens: int) -> Tensor:
    """Lists of blocks [N, query blocks, n], -1 for none -> bool [N, query blocks, key blocks]."""
    blocks = -(-tokens // KEY_BLOCK)
    marks = torch.zeros((*kept.shape[:2], blocks + 1), dtype=torch.bool, device=kept.device)
    places = torch.where(kept < 0, blocks, kept).long()
    return marks.scatter_(2, places, True)[:, :, :blocks]


def exact_map(q: Tensor, k: Tensor, topk: float) -> Tensor:
    """The map in float32: [1, L, N, d] -> bool [N, query blocks, key blocks]."""
    keys = k.float() - k.float().mean(dim=1, keepdim=True)
    scores = _pooled(q.float(), QUERY_BLOCK) @ _pooled(keys, KEY_BLOCK).transpose(1, 2)
    best = scores.topk(kept_count(q.shape[1], topk), dim=-1).indices
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(2, best, True)


def branch_sums(k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """k, v [L, n, d] -> sums of softmax(k)^T v [n, d, d] and of softmax(k) [n, d], float32."""
    features = torch.softmax(k.float(), -1).transpose(0, 1)
    return features.transpose(1, 2) @ v.float().transpose(0, 1), features.sum(dim=1)


def exact_sla(q: Tensor, k: Tensor, v: Tensor, kept: Tensor, at: Tensor, proj: nn.Linear | None) -> Tensor:
    """SLA in float32 for the queries ``at``; ``kept`` as ``chosen_blocks`` gives it -> [1, len(at), n, d].

    Source: SLA (arXiv 2509.24006), with the map given.
    """
    seen = kept[:, at // QUERY_BLOCK].repeat_interleave(KEY_BLOCK, 2)[:, :, : q.shape[1]]
    out = exact(q[:, at], k, v, seen)
    if proj is None:
        return out
    state, total = branch_sums(k[0], v[0])
    features = torch.softmax(q[0, at].float(), -1).transpose(0, 1)
    weight = LINEAR_FLOOR + (features * total[:, None]).sum(-1, keepdim=True)
    linear = (features @ state) / weight
    return out + (linear @ proj.weight.float().T + proj.bias.float()).transpose(0, 1)[None]


def _pooled(x: Tensor, size: int) -> Tensor:
    """Means over blocks of tokens, the last over its actual ones: [1, L, N, d] -> [N, blocks, d]."""
    parts = [part.mean(dim=0) for part in torch.split(x[0], size)]
    return torch.stack(parts).transpose(0, 1)
