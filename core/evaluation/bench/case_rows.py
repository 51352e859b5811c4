"""Element-wise operations: norms, activations, residuals, heads. Bytes are their floor.

Shape letters: L tokens, D width, F inner width.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from core.engine.models.rope import RopeTable, apply_rope, rope_table
from core.engine.ops.rows import Norm, RowKind
from core.evaluation.bench.cases import Bed, Case, Work, relative, rows_at

SIZES: dict[RowKind, int] = {"float": 2, "fp8": 1, "int8": 1}
FLOAT32_BYTES = 4


def row_cases() -> list[Case]:
    """One row for each operation and format."""
    kinds: tuple[RowKind, ...] = ("float", "fp8", "int8")
    named: list[tuple[str, Callable[[Bed], Work]]] = [
        *((f"quantise {kind}", partial(quantise, kind=kind)) for kind in kinds[1:]),
        *((f"norm {kind}", partial(norm, kind=kind)) for kind in kinds),
        *((f"add + norm {kind}", partial(add_norm, kind=kind)) for kind in kinds),
        ("add gated", add_gate),
        *((f"GELU {kind}", partial(gelu, kind=kind)) for kind in kinds),
        ("RMS norm + rope, heads", heads),
    ]
    return [Case("rows", name, make) for name, make in named]


def quantise(bed: Bed, kind: RowKind) -> Work:
    """Rows of 16 bits made small."""
    from core.engine.ops.normed import quantise_rows

    x, at = bed.normal(bed.tokens, bed.config.dim), bed.sample()
    return Work(
        lambda: quantise_rows(x, kind, bed.dtype),
        lambda out: relative(rows_at(out, at), x[at]),
        x.numel() * (x.itemsize + SIZES[kind]),
    )


def norm(bed: Bed, kind: RowKind) -> Work:
    """Modulated layer norm of the float32 stream, made small."""
    from core.engine.ops.normed import norm_rows

    x, modulation, at = _stream(bed), _modulation(bed), bed.sample()
    return Work(
        lambda: norm_rows(x, modulation, kind, bed.dtype),
        lambda out: relative(rows_at(out, at), _normed(x[at], modulation)),
        x.numel() * (FLOAT32_BYTES + SIZES[kind]),
    )


def add_norm(bed: Bed, kind: RowKind) -> Work:
    """The gated residual and the norm after it in one go; the stream is read and written once."""
    from core.engine.ops.normed import add_norm_rows

    x, update, modulation = _stream(bed), bed.normal(bed.tokens, bed.config.dim, seed=1), _modulation(bed)
    gate, at = _gate(bed), bed.sample()
    expected = _normed(x[at] + gate * update[at].float(), modulation)
    return Work(
        lambda: add_norm_rows(x, update, gate, modulation, kind, bed.dtype),
        lambda out: relative(rows_at(out, at), expected),
        x.numel() * (2 * FLOAT32_BYTES + update.itemsize + SIZES[kind]),
    )


def add_gate(bed: Bed) -> Work:
    """The gated residual alone."""
    from core.engine.ops.normed import add_gated

    x, update = _stream(bed), bed.normal(bed.tokens, bed.config.dim, seed=1)
    gate, at = _gate(bed), bed.sample()
    expected = x[at] + gate * update[at].float()
    return Work(
        lambda: add_gated(x, update, gate),
        lambda out: relative(out[at], expected),
        x.numel() * (2 * FLOAT32_BYTES + update.itemsize),
    )


def gelu(bed: Bed, kind: RowKind) -> Work:
    """GELU of the feed-forward network's inner rows, made small."""
    from core.engine.ops.activated import gelu_rows

    h, at = bed.normal(bed.tokens, bed.config.ffn_dim), bed.sample()
    return Work(
        lambda: gelu_rows(h, kind, bed.dtype),
        lambda out: relative(rows_at(out, at), F.gelu(h[at].float(), approximate="tanh")),
        h.numel() * (h.itemsize + SIZES[kind]),
    )


def heads(bed: Bed) -> Work:
    """Queries or keys from their projection to attention's form."""
    from core.engine.ops.heads import norm_heads

    config = bed.config
    x, weight = bed.normal(1, bed.tokens, config.dim), 1 + bed.normal(config.dim, spread=0.1, seed=2)
    table, at = rope_table((1, 1, bed.tokens), config.head_dim, bed.device), bed.sample()

    def check(out: Tensor) -> float:
        normed = F.rms_norm(x[:, at].float(), [config.dim], weight.float(), config.eps)
        part = RopeTable(table.cos[at], table.sin[at])
        return relative(out[:, at], apply_rope(torch.unflatten(normed, -1, (config.num_heads, -1)), part))

    moved = 2 * x.numel() * x.itemsize + 2 * table.cos.numel() * FLOAT32_BYTES
    return Work(lambda: norm_heads(x, weight, config.eps, config.num_heads, table), check, moved)


def _stream(bed: Bed) -> Tensor:
    return bed.normal(bed.tokens, bed.config.dim, dtype=torch.float32)


def _gate(bed: Bed) -> Tensor:
    return bed.normal(bed.config.dim, dtype=torch.float32, seed=3)


def _modulation(bed: Bed) -> Norm:
    weight, bias = (bed.normal(bed.config.dim, dtype=torch.float32, spread=0.3, seed=seed) for seed in (4, 5))
    return Norm(1 + weight, bias, bed.config.eps)


def _normed(x: Tensor, norm: Norm) -> Tensor:
    return F.layer_norm(x, [x.shape[-1]], norm.weight, norm.bias, norm.eps)
