"""The file with the state of a render: safetensors, and in its metadata what the state belongs to.

Whatever is wrong with a file, reading it gives None: the render begins anew. Nothing larger than the state
of this render may be is read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save
from torch import Tensor

from core.engine.kernels import Kernels
from core.engine.loading.header import open_checkpoint
from core.engine.sampling.state import SamplerState, TensorSpec
from core.errors import BadCheckpoint
from core.media.disk import flush_folder, written_beside

FILE_NAME: Final = "state.safetensors"
SCHEMA: Final = 1
_ABOUT, _DIGEST = "pirouette", "sha256"
# Beside the tensors: header, metadata, the generator.
_FREE_BYTES: Final = 1 << 20
# UniPC's four float32 tensors; the others need less.
_MOST_TENSOR_BYTES: Final = 4 * 4
_LONGEST_S: Final = 1e9
_LOG = logging.getLogger(__name__)

Identity = dict[str, str]


@dataclass(frozen=True)
class Stored:
    """A state and what it belongs to.

    Attributes:
        identity: everything that decides what the finished picture shows.
        kernels: what it was computed with.
        steps: of the whole render.
        sample_s: seconds that sampling took up to here.
    """

    state: SamplerState
    steps: int
    identity: Identity
    kernels: Kernels
    sample_s: float = 0.0

    @property
    def finished(self) -> bool:
        """Whether only decoding is left."""
        return self.state.step == self.steps


def largest_bytes(latent_values: int) -> int:
    """More than a state of latents with so many values takes as a file."""
    return _FREE_BYTES + _MOST_TENSOR_BYTES * latent_values


def write(folder: Path, stored: Stored) -> None:
    """Write the state beside its place, flush it to the drive and rename it; raises ``DiskError``."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in stored.state.tensors.items()}
    about = json.dumps(
        {
            "schema": SCHEMA,
            "step": stored.state.step,
            "steps": stored.steps,
            "sample_s": stored.sample_s,
            "identity": stored.identity,
            "kernels": stored.kernels.to_data(),
        },
        allow_nan=False,
    )
    data = save(tensors, {_ABOUT: about, _DIGEST: _digest(about, tensors)})
    _remove_parts(folder)
    with written_beside(folder / FILE_NAME) as beside, beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    flush_folder(folder)


def read(folder: Path, most_bytes: int) -> Stored | None:
    """The state in ``folder``; None where there is none, or the file is damaged or larger than allowed."""
    path = folder / FILE_NAME
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > most_bytes:
            raise ValueError("it is too large for this render")
        return _read(path)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, BadCheckpoint) as error:
        _LOG.warning("The kept state cannot be used, the render begins anew: %s", error)
        return None


def conforms(state: SamplerState, specs: Mapping[str, TensorSpec]) -> bool:
    """Whether a state has just these tensors, with finite numbers, and a generator that torch accepts."""
    found = {name: TensorSpec(t.dtype, tuple(t.shape)) for name, t in state.tensors.items()}
    if found != dict(specs):
        return False
    floats = (tensor for tensor in state.tensors.values() if tensor.is_floating_point())
    return all(bool(torch.isfinite(tensor).all()) for tensor in floats) and _is_generator(state)


def _read(path: Path) -> Stored:
    file = open_checkpoint(path)
    with file.reader() as reader:
        tensors = {name: reader(name) for name in file.entries}
    text = file.metadata[_ABOUT]
    if file.metadata[_DIGEST] != _digest(text, tensors):
        raise ValueError("its content has changed")
    about = json.loads(text)
    if not isinstance(about, dict) or about["schema"] != SCHEMA:
        raise ValueError("another version wrote it")
    step, steps = _number(about["step"], int), _number(about["steps"], int)
    if not 1 <= step <= steps:
        raise ValueError(f"step {step} of {steps}")
    return Stored(
        SamplerState(step, tensors),
        steps,
        _identity(about["identity"]),
        Kernels.from_data(about["kernels"]),
        _number(about["sample_s"], float),
    )


def _number(value: Any, kind: Callable[[Any], Any]) -> Any:
    if type(value) is not kind or not (math.isfinite(value) and 0 <= value <= _LONGEST_S):
        raise ValueError(f"{value!r} is no number that it may hold")
    return value


def _identity(value: Any) -> Identity:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError("it does not say what it belongs to")
    return value


def _digest(about: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of everything: a header may be whole while the data behind it is not."""
    digest = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\0{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _is_generator(state: SamplerState) -> bool:
    """Whether torch takes the generator's bytes, where there are some."""
    bytes_ = state.tensors.get("generator")
    if bytes_ is None:
        return True
    try:
        torch.Generator().set_state(bytes_)
    except RuntimeError:
        return False
    return True


def _remove_parts(folder: Path) -> None:
    """What killed processes left: only one process at a time renders into this folder."""
    for part in folder.glob(f".{Path(FILE_NAME).stem}.*.part.*"):
        part.unlink(missing_ok=True)
