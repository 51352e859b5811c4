"""The residual stream of the fast path: what a layer adds is held back until the next norm reads the stream.

So each addition costs no pass over memory of its own. Shape letters: B batch, L tokens, D width, M = B * L.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.engine.ops.normed import add_gated, add_norm_rows, norm_rows
from core.engine.ops.rows import Norm, RowKind, Rows


class Residual:
    """Tokens [B, L, D] float32 and at most one update that is still to be added.

    Args:
        x: tokens, overwritten from now on.
        dtype: 16-bit dtype of rows that are not quantised.
    """

    def __init__(self, x: Tensor, dtype: torch.dtype) -> None:
        self.shape, self.dtype = x.shape, dtype
        self._x = x.reshape(-1, x.shape[-1])
        self._update: Tensor | None = None
        self._gate: Tensor | None = None

    def normed(self, norm: Norm, kind: RowKind) -> Rows:
        """The norm of the stream as rows for products, [M, D]; what was held back is added now."""
        if self._update is None:
            return norm_rows(self._x, norm, kind, self.dtype)
        rows = add_norm_rows(self._x, self._update, self._gate, norm, kind, self.dtype)
        self._update = self._gate = None
        return rows

    def add(self, update: Tensor, gate: Tensor | None) -> None:
        """The stream becomes x + gate * update; update [M, D], gate [D] float32 or None for one."""
        self.settle()
        self._update, self._gate = update, gate

    def settle(self) -> Tensor:
        """The whole stream [B, L, D] float32, with everything added."""
        if self._update is not None:
            self._x = add_gated(self._x, self._update, self._gate)
            self._update = self._gate = None
        return self._x.view(self.shape)
