"""Float weights made 8-bit ones, when they are loaded or in a module that stands already.

Each output has a scale of its own: its largest magnitude becomes 448 (float8_e4m3fn) or 127 (int8).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from core.engine.linear.fp8_rows import fp8_fits
from core.engine.linear.int8_rows import int8_fits
from core.engine.linear.quantised import Int8RowLinear, QuantisedLinear, ScaledFp8Linear
from core.engine.ops.rows import FP8, plain_rows
from core.engine.uninitialised import on_meta
from core.errors import BadSetting

NarrowKind = Literal["fp8", "int8"]
NARROW_KINDS: tuple[NarrowKind, ...] = ("fp8", "int8")
# Values that are float32 at once beside a weight.
CHUNK_VALUES = 1 << 24


def narrow_rows(weight: Tensor, kind: NarrowKind) -> tuple[Tensor, Tensor]:
    """weight [N, K] of any float dtype -> values of the same shape and float32 scales [N], on its device."""
    values = torch.empty(weight.shape, dtype=FP8 if kind == "fp8" else torch.int8, device=weight.device)
    scales = torch.empty(len(weight), dtype=torch.float32, device=weight.device)
    step = max(1, CHUNK_VALUES // weight.shape[1])
    for start in range(0, len(weight), step):
        rows = plain_rows(weight[start : start + step], kind, torch.float32)
        assert rows.scale is not None
        values[start : start + step], scales[start : start + step] = rows.values, rows.scale
    return values, scales


def narrow_layer(layer: nn.Linear, kind: NarrowKind, dtype: torch.dtype) -> QuantisedLinear:
    """An empty layer of the same sizes, on the current default device, that multiplies 8-bit rows.

    Args:
        dtype: of its bias.

    Raises:
        BadSetting: an unknown kind.
    """
    sizes = (layer.in_features, layer.out_features, layer.bias is not None, dtype)
    if kind == "fp8":
        return ScaledFp8Linear(*sizes, scales=layer.out_features, matmul="fp8")
    if kind == "int8":
        return Int8RowLinear(*sizes, matmul="int8")
    raise BadSetting(
        f"Weights cannot be made {kind}.",
        value=kind,
        limit=", ".join(NARROW_KINDS),
        action="Choose another precision.",
    )


def may_be_narrowed(name: str, layer: nn.Module) -> bool:
    """Plain linear layers of the blocks whose sizes 8-bit products can take.

    Not sparse attention's ``proj_l``, which is small and adds to a result that must not be coarse. All that
    stands outside of the blocks is computed once a step and stays exact.
    """
    if type(layer) is not nn.Linear or not f".{name}".startswith(".blocks.") or "proj_l" in name:
        return False
    sizes = layer.in_features, layer.out_features
    return fp8_fits(*sizes, FP8) and int8_fits(*sizes)


@torch.no_grad()
def narrow_module(
    module: nn.Module, kind: NarrowKind, chooses: Callable[[str, nn.Module], bool] = may_be_narrowed
) -> int:
    """Replace the chosen linear layers of a filled module in place; gives their number.

    LoRAs must have been merged before, in float.
    """
    chosen = [(name, layer) for name, layer in module.named_modules() if chooses(name, layer)]
    for name, layer in chosen:
        assert isinstance(layer, nn.Linear)
        with on_meta():
            narrow = narrow_layer(layer, kind, layer.weight.dtype)
        narrow.fill(*narrow_rows(layer.weight, kind))
        if layer.bias is not None:
            narrow.bias = nn.Parameter(layer.bias.detach(), requires_grad=False)
        owner, _, child = name.rpartition(".")
        setattr(module.get_submodule(owner), child, narrow.train(layer.training))
    return len(chosen)
