"""Golden files: tensors computed with the reference implementations, and how to compare with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from core.errors import BadInput


@dataclass(frozen=True)
class Row:
    """One compared tensor: the largest absolute error, the tolerance in words, and the verdict."""

    tensor: str
    max_abs_error: float
    tolerance: str
    passed: bool


@dataclass(frozen=True)
class GoldenFile:
    """A golden file in memory. ``tensors`` keep their stored dtype."""

    path: Path
    kind: str
    config: dict[str, Any]
    tolerance: dict[str, Any]
    tensors: dict[str, Tensor]

    def state_dict(self, prefix: str = "sd.") -> dict[str, Tensor]:
        """Weights under ``prefix``, prefix stripped, cast to float32."""
        return {k[len(prefix) :]: v.float() for k, v in self.tensors.items() if k.startswith(prefix)}

    def cases(self, mark: str = "case") -> list[str]:
        """Names such as case0, case1 in order of number."""
        names = {k.split(".")[0] for k in self.tensors if k.startswith(mark)}
        return sorted(names, key=lambda name: int(name[len(mark) :]))


Adapter = Callable[[GoldenFile], Iterable[Row]]


def load(path: Path) -> GoldenFile:
    """Read a golden file; raises ``BadInput`` when it is missing or no golden file."""
    try:
        with safe_open(str(path), framework="pt") as handle:
            metadata = handle.metadata() or {}
            tensors = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118
    except Exception as error:
        raise BadInput(f"{path} is not a readable safetensors file: {error}.", value=path) from error
    if "kind" not in metadata:
        raise BadInput(f"{path} is not a golden file: its metadata has no kind.", value=path)
    return GoldenFile(
        path=path,
        kind=metadata["kind"],
        config=json.loads(metadata.get("config", "{}")),
        tolerance=json.loads(metadata.get("tolerance", "{}")),
        tensors=tensors,
    )


def compare(name: str, ours: Tensor, theirs: Tensor, atol: float, rtol: float = 0.0) -> Row:
    """|a-b| <= atol + rtol |b| everywhere, shapes equal; anything not finite fails."""
    words = f"atol {atol:g}" + (f" rtol {rtol:g}" if rtol else "")
    if tuple(ours.shape) != tuple(theirs.shape):
        return Row(f"{name} shape {tuple(ours.shape)} != {tuple(theirs.shape)}", float("inf"), words, False)
    a, b = ours.detach().double().cpu(), theirs.double().cpu()
    error = (a - b).abs()
    worst = float(error.max()) if error.numel() else 0.0
    passed = bool(torch.isfinite(a).all()) and bool((error <= atol + rtol * b.abs()).all())
    return Row(name, worst, words, passed)


def exact(name: str, ours: Tensor, theirs: Tensor) -> Row:
    """Equal in every element."""
    row = compare(name, ours, theirs, 0.0)
    return Row(row.tensor, row.max_abs_error, "exact", row.passed)
