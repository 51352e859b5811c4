"""Dense attention by every kernel that is here, and cross-attention; errors on some queries of two heads.

Shape letters: B = 1 batch, L tokens, N heads, d head width, M keys of the context.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from core.engine.attention.backends import BACKENDS, BackendName, open_backend
from core.engine.ops.cross import KeysValues
from core.evaluation.bench.cases import Bed, Case, Work, relative
from core.evaluation.bench.report import Absent

IMAGE_TOKENS = 257
OURS = ("sdpa", "pirouette8")
EIGHT_BIT = ("pirouette8", "sage1", "sage2")
Heads = tuple[Tensor, Tensor, Tensor]
Run = Callable[[], Tensor]


def attention_cases() -> list[Case]:
    """Dense self-attention, then cross-attention."""
    dense = [Case("attention", name, partial(attention, name=name), name in OURS) for name in BACKENDS]
    half = Case("attention", "pirouette8, values of 16 bits", half_values)
    return [*dense, half, Case("attention", "cross, text and image", cross)]


def attention(bed: Bed, name: BackendName) -> Work:
    """softmax(q k^T / sqrt(d)) v over all tokens."""
    opened = open_backend(name, bed.device)
    if opened.attend is None:
        raise Absent(f"not here: {opened.problem}")
    run, (q, k, v) = opened.attend, heads_of(bed)
    return _dense(bed, q, k, v, lambda: run(q, k, v, 0), eight_bit=name in EIGHT_BIT, note=opened.version)


def half_values(bed: Bed) -> Work:
    """Our kernel with probabilities and values of 16 bits."""
    from core.engine.ops.attention8 import attend8

    q, k, v = heads_of(bed)
    return _dense(bed, q, k, v, lambda: attend8(q, k, v, values="half"), eight_bit=True)


def cross(bed: Bed) -> Work:
    """Two softmaxes, the norm of the queries included."""
    from core.engine.ops.cross import cross_attend

    config = bed.config
    q, weight = bed.normal(1, bed.tokens, config.dim), 1 + bed.normal(config.dim, spread=0.1, seed=1)
    text, image = (
        KeysValues(*(bed.normal(1, count, *bed.heads_shape[2:], seed=2 + count + part) for part in (0, 1)))
        for count in (config.text_len, IMAGE_TOKENS)
    )
    at = bed.sample()

    def check(out: Tensor) -> float:
        normed = F.rms_norm(q[:, at].float(), [config.dim], weight.float(), config.eps)
        queries = torch.unflatten(normed, -1, (config.num_heads, -1))
        both = [exact(queries, context.k, context.v) for context in (text, image)]
        return relative(out[:, at].flatten(2), (both[0] + both[1]).flatten(2))

    keys = config.text_len + IMAGE_TOKENS
    return Work(
        lambda: cross_attend(q, weight, config.eps, text, image),
        check,
        2 * q.numel() * q.itemsize,
        4 * q.numel() * keys,
    )


def heads_of(bed: Bed) -> Heads:
    """Queries, keys and values [1, L, N, d] of 16 bits."""
    q, k, v = (bed.normal(*bed.heads_shape, seed=seed) for seed in range(3))
    return q, k, v


def some_heads(count: int) -> list[int]:
    """The first and the last head."""
    return sorted({0, count - 1})


def exact(q: Tensor, k: Tensor, v: Tensor, kept: Tensor | None = None) -> Tensor:
    """Attention in float32; [1, n, N, d] and [1, M, N, d] -> [1, n, N, d].

    Args:
        kept: bool [N, n, M], keys that count; None for all.
    """
    queries, keys, values = (x[0].transpose(0, 1).float() for x in (q, k, v))
    scores = queries @ keys.transpose(1, 2) / q.shape[-1] ** 0.5
    if kept is not None:
        scores = scores.masked_fill(~kept, float("-inf"))
    return (torch.softmax(scores, -1) @ values).transpose(0, 1)[None]


def _dense(bed: Bed, q: Tensor, k: Tensor, v: Tensor, run: Run, *, eight_bit: bool, note: str = "") -> Work:
    at, chosen = bed.sample(), some_heads(bed.config.num_heads)

    def check(out: Tensor) -> float:
        expected = exact(q[:, at][:, :, chosen], k[:, :, chosen], v[:, :, chosen])
        return relative(out[:, at][:, :, chosen], expected)

    flops = 4.0 * bed.tokens**2 * bed.config.dim
    return Work(run, check, 4 * q.numel() * q.itemsize, flops, eight_bit, note)
