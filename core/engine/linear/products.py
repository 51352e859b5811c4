"""A product of ready rows with a linear layer of any kind: what fused blocks call instead of the layer.

``product(rows, layer, dtype)`` equals ``layer(x)`` where ``rows`` are x quantised as ``rows_kind(layer)``
says; the caller can so quantise where x is produced, and once for all layers that take the same x.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engine.linear.int8_rows import Int8Engine
from core.engine.linear.lora_adapter import adapter_of
from core.engine.linear.quantised import Int8RowLinear, QuantisedLinear, ScaledFp8Linear, ready_rows
from core.engine.ops.rows import RowKind, Rows
from core.errors import EngineError


def rows_kind(layer: nn.Module) -> RowKind:
    """What the layer's product takes; ``float`` for plain layers and for weights that are dequantised."""
    return layer.rows_kind if isinstance(layer, QuantisedLinear) else "float"


def product(rows: Rows, layer: nn.Module, dtype: torch.dtype) -> Tensor:
    """Rows [M, K] -> [M, N] in ``dtype``, the layer's bias and LoRAs included.

    The layer's forward hooks do not run. Rows of another kind than ``rows_kind(layer)`` are made over, which
    costs a pass.

    Args:
        rows: for the layer; K are its inputs.
        layer: ``nn.Linear`` or ``QuantisedLinear``.
        dtype: of the result, and of what is multiplied where that is float.

    Raises:
        EngineError: another layer.
    """
    wanted = rows_kind(layer)
    if rows.kind != wanted:
        rows = ready_rows(rows.to_float(dtype), wanted, dtype)
    if isinstance(layer, QuantisedLinear):
        out = layer.multiply(rows, dtype)
    elif isinstance(layer, nn.Linear):
        bias = None if layer.bias is None else layer.bias.to(dtype)
        out = F.linear(rows.to_float(dtype), layer.weight.to(dtype), bias)
    else:
        raise EngineError(f"A {type(layer).__name__} has no product.", value=type(layer).__name__)
    adapter = adapter_of(layer)
    return out if adapter is None else adapter.add(rows, out)


def choose_products(
    module: nn.Module, *, fast_accumulation: bool | None = None, int8_engine: Int8Engine | None = None
) -> None:
    """Set how all 8-bit layers of a module compute, as measured on a machine; None leaves it.

    Args:
        fast_accumulation: of float8 layers (``fp8_rows.measured_fast_accumulation``).
        int8_engine: of layers with scales by row.
    """
    for layer in module.modules():
        if isinstance(layer, ScaledFp8Linear) and fast_accumulation is not None:
            layer.fast_accumulation = fast_accumulation
        if isinstance(layer, Int8RowLinear) and int8_engine is not None:
            layer.engine = int8_engine
