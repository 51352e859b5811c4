"""The feed-forward network's activation and rounding for its second product in one pass over memory.

Shape letters: M rows (tokens of all batch entries), F width of the hidden layer.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.engine.ops.rows import RowKind, Rows, plain_rows
from core.engine.ops.tiling import by_kernel, empty_rows, tiling


def gelu_rows(h: Tensor, kind: RowKind, dtype: torch.dtype) -> Rows:
    """h [M, F], a float dtype -> its GELU (tanh form, float32) as rows; ``float`` rows are of ``dtype``."""
    if not by_kernel(kind, h):
        return plain_rows(F.gelu(h.float(), approximate="tanh"), kind, dtype)
    return activated_rows(h, kind, dtype, gelu=True)


def activated_rows(x: Tensor, kind: RowKind, dtype: torch.dtype, *, gelu: bool) -> Rows:
    """x [M, K], of which ``by_kernel`` holds -> GELU(x), or x, as rows. Rows of x may be apart."""
    from core.engine.ops.jit.activated import activate_kernel

    rows, width = x.shape
    if x.stride(1) != 1:
        x = x.contiguous()
    tile, tiles, warps = tiling(width, x.element_size())
    out = empty_rows(rows, width, kind, dtype, x.device)
    activate_kernel[(rows,)](
        x,
        out.values,
        out.scale,
        x.stride(0),
        GELU=gelu,
        WIDTH=width,
        TILE=tile,
        COUNT=tiles,
        num_warps=warps,
    )
    return out
