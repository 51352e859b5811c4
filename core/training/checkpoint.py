"""Training checkpoints: safetensors in parts small enough to carry, written beside and renamed.

Weights are float16; those that a run names as ``rows`` are int8 with a scale per row where they are matrices,
which is half of that again.

``index.json`` is written last, so an interrupted save leaves the previous checkpoint in force.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.engine.loading.int8_rows import SCALE, SMALL, quantise_rows
from core.errors import BadCheckpoint
from core.media.disk import written_beside

PART_BYTES = 15 * 2**20
# Under these prefixes a run keeps its weights as trained and averaged; the averaged ones are shipped.
RAW, AVERAGED = "raw.", "ema."


def named(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights under a prefix; the averaged ones where a carried checkpoint has no raw ones."""
    if not any(name.startswith(prefix) for name in state):
        prefix = prefix.replace(RAW, AVERAGED, 1)
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def save(folder: Path, state: dict[str, Tensor], progress: dict[str, Any], *, rows: bool = False) -> None:
    """Write a checkpoint; ``progress`` must be JSON (step, schedule, record of losses).

    Raises:
        BadCheckpoint: a weight is not finite; the former checkpoint stays.
    """
    stored = _rows(state) if rows else {name: tensor.detach().half() for name, tensor in state.items()}
    for name, tensor in stored.items():
        if not bool(torch.isfinite(tensor).all()):
            raise BadCheckpoint(f"The weight {name} is not finite; nothing was saved.", value=name)
    folder.mkdir(parents=True, exist_ok=True)
    previous = _index(folder)
    generation = 0 if previous is None else int(previous["generation"]) + 1
    parts = _split(stored)
    names = [f"state-{generation}-{number}.safetensors" for number in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        with written_beside(folder / name) as beside:
            save_file(part, beside)
    index = {"generation": generation, "parts": names, "progress": progress}
    with written_beside(folder / "index.json") as beside:
        beside.write_text(json.dumps(index), encoding="utf-8")
    for stale in folder.glob("state-*.safetensors"):
        if stale.name not in names:
            stale.unlink()


def _rows(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Matrices and kernels as int8 rows, the rest float16."""
    stored: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if tensor.ndim >= 2 and tensor.numel() >= SMALL:
            stored[name], stored[name + SCALE] = quantise_rows(tensor)
        else:
            stored[name] = tensor.detach().half()
    return stored


def _whole(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """float32 weights, whichever way they were stored."""
    state: dict[str, Tensor] = {}
    for name, tensor in stored.items():
        if name.endswith(SCALE) and name.removesuffix(SCALE) in stored:
            continue
        value, scale = tensor.to(torch.float32), stored.get(name + SCALE)
        state[name] = value if scale is None else value * scale.view(-1, *[1] * (value.ndim - 1))
    return state


def _split(state: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Tensors on the CPU, at most ``PART_BYTES`` a part unless one alone is larger."""
    parts: list[dict[str, Tensor]] = [{}]
    size_bytes = 0
    for name, tensor in state.items():
        tensor = tensor.contiguous().cpu()
        if size_bytes + tensor.nbytes > PART_BYTES and parts[-1]:
            parts.append({})
            size_bytes = 0
        parts[-1][name] = tensor
        size_bytes += tensor.nbytes
    return parts


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest checkpoint as float32 tensors and its progress; None where there is none.

    Raises:
        BadCheckpoint: the index or a part is missing or damaged.
    """
    index = _index(folder)
    if index is None:
        return None
    stored: dict[str, Tensor] = {}
    for name in index["parts"]:
        try:
            stored.update(load_file(folder / name))
        except (OSError, SafetensorError) as error:
            raise _damaged(folder / name, error) from error
    return _whole(stored), index["progress"]


def _index(folder: Path) -> dict[str, Any] | None:
    path = folder / "index.json"
    if not path.is_file():
        return None
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    return data


def _damaged(path: Path, error: Exception) -> BadCheckpoint:
    return BadCheckpoint(
        f"The training checkpoint {path} cannot be read: {error}.",
        value=path,
        action="Delete its folder to start over.",
    )
