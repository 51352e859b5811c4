"""What LoRAs add to a linear layer's result, computed beside the layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engine.linear.fp8_rows import fp8_product
from core.engine.linear.int8_rows import int8_rows_product
from core.engine.loading.lora import Delta, Difference, LowRank
from core.engine.ops.rows import RowKind, Rows, plain_rows

NAME: Final = "lora"
# 8-bit products take outputs in multiples of it.
RANK_STEP: Final = 16


class LoraAdapter(nn.Module):
    """Adds s (x A^T) B^T, and full differences of weight and bias, to a layer's result.

    All low-rank deltas of the layer stand in one pair of matrices, A [ranks, inputs] and B [outputs, ranks],
    with a factor for each rank between them, in the dtype of their file. For layers that multiply 8-bit rows
    A is there in 8 bits, too, so that the rows need not be made float again. The buffers move with the layer
    and are no part of its state dict.

    Args:
        weights: deltas of the weight with their strengths.
        biases: differences of the bias with their strengths.
        source: whose deltas they are.
        device: where the layer's weights are.
        kind: of the rows that the layer multiplies.
    """

    down: Tensor | None
    up: Tensor | None
    factors: Tensor | None
    narrow: Tensor | None
    narrow_scale: Tensor | None
    weight: Tensor | None
    bias: Tensor | None

    def __init__(
        self,
        weights: Sequence[tuple[Delta, float]],
        biases: Sequence[tuple[Delta, float]],
        source: object,
        device: torch.device,
        kind: RowKind = "float",
    ) -> None:
        super().__init__()
        self.source = source
        self._handle: Any = None
        pairs = [(delta, strength) for delta, strength in weights if isinstance(delta, LowRank)]
        for name, tensor in {
            "down": _joined([delta.down for delta, _ in pairs], 0),
            "up": _joined([delta.up for delta, _ in pairs], 1),
            "factors": _joined([delta.factor * s * torch.ones(len(delta.down)) for delta, s in pairs], 0),
            "weight": _sum(weights),
            "bias": _sum(biases),
        }.items():
            moved = None if tensor is None else tensor.to(device)
            self.register_buffer(name, moved, persistent=False)
        narrow = None if kind == "float" or self.down is None else self._narrowed(kind)
        self.register_buffer("narrow", None if narrow is None else narrow.values, persistent=False)
        self.register_buffer("narrow_scale", None if narrow is None else narrow.scale, persistent=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """x [..., inputs] and the layer's y [..., outputs] -> y with the deltas, written over y."""
        rows = Rows(x.reshape(-1, x.shape[-1]).to(y.dtype))
        return self.add(rows, y.reshape(-1, y.shape[-1])).view(y.shape)

    def add(self, rows: Rows, out: Tensor) -> Tensor:
        """Rows [M, inputs] of any kind and the layer's out [M, outputs] -> out, with the deltas in it."""
        with torch.autocast(out.device.type, enabled=False):
            if self.up is not None:
                out.addmm_(self._hidden(rows, out.dtype), self.up.to(out.dtype).T)
            if self.weight is not None:
                out.addmm_(rows.to_float(out.dtype), self.weight.to(out.dtype).T)
            if self.bias is not None:
                out.add_(self.bias)
        return out

    def _hidden(self, rows: Rows, dtype: torch.dtype) -> Tensor:
        """s x A^T, [M, ranks]."""
        assert self.down is not None
        assert self.factors is not None
        if self.narrow is None or self.narrow_scale is None or rows.values.dtype != self.narrow.dtype:
            return (rows.to_float(dtype) @ self.down.to(dtype).T * self.factors).to(dtype)
        multiply = fp8_product if rows.kind == "fp8" else int8_rows_product
        return multiply(rows, self.narrow, self.narrow_scale, None, dtype)[:, : len(self.down)]

    def _narrowed(self, kind: RowKind) -> Rows:
        """A in 8 bits, filled up with ranks of zeros; the factors are part of its scales."""
        assert self.down is not None
        assert self.factors is not None
        more = (0, 0, 0, -len(self.down) % RANK_STEP)
        rows = plain_rows(F.pad(self.down.float(), more), kind, torch.float32)
        assert rows.scale is not None
        return Rows(rows.values, rows.scale * F.pad(self.factors, more[2:]))

    def is_on(self, device: torch.device) -> bool:
        """Whether its tensors are there."""
        return all(buffer.device == device for buffer in self.buffers())

    def attach(self, layer: nn.Module) -> None:
        """Run after the layer from now on."""
        layer.add_module(NAME, self)
        self._handle = layer.register_forward_hook(_add)

    def detach(self, layer: nn.Module) -> None:
        """The layer is as it was."""
        self._handle.remove()
        delattr(layer, NAME)


def adapter_of(layer: nn.Module) -> LoraAdapter | None:
    """The layer's adapter, if it has one."""
    adapter = getattr(layer, NAME, None)
    return adapter if isinstance(adapter, LoraAdapter) else None


def _add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    adapter = adapter_of(layer)
    if adapter is None:
        return output
    out: Tensor = adapter(inputs[0], output)
    return out


def _joined(parts: Sequence[Tensor], axis: int) -> Tensor | None:
    """One tensor, in the widest of the parts' dtypes."""
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), axis)


def _sum(deltas: Sequence[tuple[Delta, float]]) -> Tensor | None:
    """The full differences, weighted and added up in float32."""
    full = [strength * delta.values.float() for delta, strength in deltas if isinstance(delta, Difference)]
    return torch.stack(full).sum(0) if full else None
