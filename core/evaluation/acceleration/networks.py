"""The embedded model's transformer in every format, each made once, from the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.engine.interfaces import ModelBundle
from core.engine.linear.narrowing import NarrowKind
from core.engine.models.mini import load_mini
from core.evaluation.acceleration.variants import Projection, Variant, put
from core.evaluation.bench.layers import LayerKind
from core.evaluation.bench.networks import network_of

FORMATS: dict[LayerKind, tuple[torch.dtype, NarrowKind | None]] = {
    "float32": (torch.float32, None),
    "16 bits": (torch.bfloat16, None),
    "fp8 rows": (torch.bfloat16, "fp8"),
    "int8 rows": (torch.bfloat16, "int8"),
}


class Networks:
    """Makes the embedded model compute by any variant.

    Args:
        folder: of the model; the one that ``mini_folder`` gives, for sparse-linear attention is made from it.
        device: of all networks.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.device = device
        self.bundle: ModelBundle = load_mini(folder, device)
        self._folder = folder
        self._made: dict[tuple[LayerKind, Projection], nn.Module] = {
            ("float32", "none"): self.bundle.transformer
        }

    def of(self, variant: Variant) -> Any:
        """Its transformer, ready until the next call: variants of the same layers share it."""
        key = (variant.layers, variant.projection)
        if key not in self._made:
            self._made[key] = self._load(variant)
        put(self._made[key], variant, self.device)
        return self._made[key]

    def forget(self, variant: Variant) -> None:
        """Its transformer fell back to a safer recipe, which cannot always be undone: make it anew."""
        self._made.pop((variant.layers, variant.projection), None)

    def _load(self, variant: Variant) -> nn.Module:
        if variant.projection != "none":
            return network_of("mini").make(variant.layers, self.device, sparse=True)
        return load_mini(self._folder, self.device, *FORMATS[variant.layers]).transformer
