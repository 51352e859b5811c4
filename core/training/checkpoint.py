"""Training checkpoints: float16 safetensors in parts small enough to carry, written beside and renamed.

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

from core.errors import BadCheckpoint
from core.media.disk import written_beside

PART_BYTES = 15 * 2**20


def save(folder: Path, state: dict[str, Tensor], progress: dict[str, Any]) -> None:
    """Write a checkpoint; ``progress`` must be JSON (step, schedule, record of losses)."""
    folder.mkdir(parents=True, exist_ok=True)
    previous = _index(folder)
    generation = 0 if previous is None else int(previous["generation"]) + 1
    parts = _split(state)
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


def _split(state: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """float16 tensors on the CPU, at most ``PART_BYTES`` a part unless one alone is larger."""
    parts: list[dict[str, Tensor]] = [{}]
    size_bytes = 0
    for name, tensor in state.items():
        half = tensor.detach().half().contiguous().cpu()
        if size_bytes + half.nbytes > PART_BYTES and parts[-1]:
            parts.append({})
            size_bytes = 0
        parts[-1][name] = half
        size_bytes += half.nbytes
    return parts


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest checkpoint as float32 tensors and its progress; None where there is none.

    Raises:
        BadCheckpoint: the index or a part is missing or damaged.
    """
    index = _index(folder)
    if index is None:
        return None
    state: dict[str, Tensor] = {}
    for name in index["parts"]:
        try:
            state.update({key: value.to(torch.float32) for key, value in load_file(folder / name).items()})
        except (OSError, SafetensorError) as error:
            raise _damaged(folder / name, error) from error
    return state, index["progress"]


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
