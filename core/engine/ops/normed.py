"""Residual stream, layer norm and rounding for the next product in one pass over memory.

Shape letters: M rows (tokens of all batch entries), K width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.engine.ops.rows import Norm, RowKind, Rows, plain_rows
from core.engine.ops.tiling import by_kernel, empty_rows, require_shape, tiling


def quantise_rows(x: Tensor, kind: RowKind, dtype: torch.dtype) -> Rows:
    """x [M, K] of any float dtype -> rows as ``plain_rows`` gives them; ``float`` shares x where it can.

    Codes may differ by one step from the plain form where a value is within float32's precision of a tie.
    """
    from core.engine.ops.activated import activated_rows

    if kind == "float" or x.dim() != 2 or not by_kernel(kind, x):
        return plain_rows(x, kind, dtype)
    return activated_rows(x, kind, dtype, gelu=False)


def norm_rows(x: Tensor, norm: Norm, kind: RowKind, dtype: torch.dtype) -> Rows:
    """x [M, K] float32 -> its layer norm as rows [M, K]; ``float`` rows are of ``dtype``.

    Raises:
        EngineError: the norm is of another width.
    """
    return _normed(x, None, None, norm, kind, dtype)


def add_norm_rows(
    x: Tensor, update: Tensor, gate: Tensor | None, norm: Norm, kind: RowKind, dtype: torch.dtype
) -> Rows:
    """x += gate * update in place, then ``norm_rows`` of x.

    Args:
        x: residual stream [M, K] float32, overwritten.
        update: [M, K], 16-bit or float32.
        gate: float32 [K]; None for one.
        norm: weight and bias float32 [K].
        kind: of the rows.
        dtype: of ``float`` rows.

    Raises:
        EngineError: shapes that do not fit.
    """
    return _normed(x, update, gate, norm, kind, dtype)


def add_gated(x: Tensor, update: Tensor, gate: Tensor | None) -> Tensor:
    """x += gate * update in place; x [..., K], update of its shape, gate float32 [K] or None for one -> x.

    Raises:
        EngineError: shapes that do not fit.
    """
    width = x.shape[-1]
    require_shape("The update", update, tuple(x.shape))
    require_shape("The gate", gate, (width,))
    if gate is None or not x.is_contiguous() or not by_kernel("float", x, update, gate):
        return x.add_(update if gate is None else gate * update)
    from core.engine.ops.jit.normed import add_kernel

    tile, tiles, warps = tiling(width, x.element_size())
    add_kernel[(x.numel() // width,)](
        x, update.contiguous(), gate.contiguous(), WIDTH=width, TILE=tile, COUNT=tiles, num_warps=warps
    )
    return x


def _normed(
    x: Tensor, update: Tensor | None, gate: Tensor | None, norm: Norm, kind: RowKind, dtype: torch.dtype
) -> Rows:
    rows, width = x.shape
    require_shape("The update", update, (rows, width))
    require_shape("The gate", gate, (width,))
    require_shape("The norm's weight", norm.weight, (width,))
    require_shape("The norm's bias", norm.bias, (width,))
    if not x.is_contiguous() or not by_kernel(kind, x, update, gate, norm.weight, norm.bias):
        if update is not None:
            x.add_(update if gate is None else gate * update)
        plain = F.layer_norm(x.float(), [width], norm.weight.float(), norm.bias.float(), norm.eps)
        return plain_rows(plain, kind, dtype)
    from core.engine.ops.jit.normed import norm_kernel

    tile, tiles, warps = tiling(width, x.element_size())
    out = empty_rows(rows, width, kind, dtype, x.device)
    norm_kernel[(rows,)](
        x,
        None if update is None else update.contiguous(),
        None if gate is None else gate.contiguous(),
        norm.weight.contiguous(),
        norm.bias.contiguous(),
        out.values,
        out.scale,
        norm.eps,
        WIDTH=width,
        TILE=tile,
        COUNT=tiles,
        num_warps=warps,
    )
    return out
