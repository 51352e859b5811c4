"""Converts a transformer's weight file to another layout, tensor by tensor, in bounded memory.

A tensor is read, made float32, quantised or rounded, and written to its place before the next is read: the
peak is a few times the largest tensor, whatever the file's size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from core.engine.convert.layouts import (
    PART_VALUES,
    Change,
    Target,
    is_quantised_to,
    marker,
    quantised,
    rounded,
    slots_for,
)
from core.engine.convert.pickle_source import is_pickle, open_pickle
from core.engine.convert.writer import Slot, TensorWriter, safetensors_file
from core.engine.loading.checkpoint import check_complete, config_for, expected_shapes
from core.engine.loading.header import open_checkpoint, weight_files
from core.engine.loading.stored import Stored, check_scales, read_float, stored_weights
from core.engine.loading.tensors import Checkpoint, TensorReader
from core.engine.models.config import TransformerConfig
from core.errors import BadCheckpoint, BadSetting

CPU = torch.device("cpu")
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Converted:
    """What a conversion made.

    Attributes:
        tensors: weights by kind: ``fp8``, ``int8``, ``bfloat16``, ``float16``, ...
        errors: relative error by kind, sqrt(sum of squared errors / sum of squared weights).
        worst: the weight that moved most in relation to its size, and by how much.
    """

    path: Path
    target: Target
    size_bytes: int
    tensors: Mapping[str, int]
    errors: Mapping[str, float]
    worst: tuple[str, float]


@dataclass(frozen=True)
class ConvertProgress:
    """Bytes of weights read, of all."""

    bytes_done: int
    bytes_total: int


def ignore(_progress: ConvertProgress) -> None:
    """Nobody watches."""


def never() -> None:
    """Nobody cancels."""


def convert(
    source: Path,
    target: Path,
    to: Target,
    config: TransformerConfig | None,
    on_progress: Callable[[ConvertProgress], None] = ignore,
    check: Callable[[], None] = never,
    known: Sequence[TransformerConfig] = (),
) -> Converted:
    """Write ``source`` in another layout.

    Args:
        source: safetensors file, index of shards, folder, GGUF, or a ``.pth`` with a state dict.
        target: the ``.safetensors`` file to write, beside its place and then renamed.
        to: the layout.
        config: sizes of the transformer that the file must hold in full; None takes any model's file.
        on_progress: called after each weight.
        check: called before each weight; raises ``Cancelled``.
        known: where ``config`` is None, sizes of models: a file that has the blocks of one of them must be
            complete, too.

    Raises:
        BadSetting: the target has another ending or is among the source's files.
        BadCheckpoint: the source is damaged, incomplete, already quantised, or holds values that are not
            finite.
        DiskError: the target cannot be written or the drive lacks the space.
    """
    _check_paths(source, target)
    checkpoint, readers = _open(source)
    stored = stored_weights(checkpoint)
    shapes = _shapes(stored, config or _recognised(stored, known))
    check_scales(checkpoint, stored)
    _refuse_quantised(source, stored, to)
    slots = [slot for name, weight in stored.items() for slot in _slots(name, weight, shapes[name], to)]
    if to == "fp8":
        slots += [Slot(name, tensor.dtype, tuple(tensor.shape)) for name, tensor in marker().items()]
    tally = _Tally()
    done, total = 0, sum(weight.size_bytes for weight in stored.values())
    with safetensors_file(target, slots, {"format": "pt", "converted_to": to}) as writer:
        for name in sorted(stored, key=lambda name: (stored[name].data.file, stored[name].data.start)):
            check()
            with readers() as reader:
                tally.add(name, *_write(writer, reader, name, stored[name], shapes[name], to))
            done += stored[name].size_bytes
            on_progress(ConvertProgress(done, total))
        for name, tensor in marker().items() if to == "fp8" else ():
            writer.write(name, tensor)
    return tally.result(target, to)


@dataclass
class _Tally:
    """Errors, summed up by kind."""

    counts: dict[str, int] = field(default_factory=dict)
    sums: dict[str, Change] = field(default_factory=dict)
    worst: tuple[str, float] = ("", 0.0)

    def add(self, name: str, kind: str, change: Change) -> None:
        """Count a weight."""
        so_far = self.sums.get(kind, Change(0.0, 0.0))
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.sums[kind] = Change(so_far.error + change.error, so_far.total + change.total)
        if _relative(change) >= self.worst[1]:
            self.worst = (name, _relative(change))

    def result(self, path: Path, target: Target) -> Converted:
        """The report on the file that was written."""
        errors = {kind: _relative(change) for kind, change in self.sums.items()}
        return Converted(path, target, path.stat().st_size, self.counts, errors, self.worst)


def _write(
    writer: TensorWriter, reader: TensorReader, name: str, weight: Stored, shape: Shape, to: Target
) -> tuple[str, Change]:
    """Convert one weight; returns its kind and how far it moved."""
    if not _is_float(weight):
        writer.write(name, reader(weight.name))
        return str(weight.data.torch_dtype).removeprefix("torch."), Change(0.0, 0.0)
    values = read_float(reader, weight, CPU, torch.float32).view(shape)
    _check_finite(name, values)
    if is_quantised_to(name, shape, to):
        tensors, change = quantised(name, values, to)
        for key, tensor in tensors.items():
            writer.write(key, tensor)
        return to, change
    dtype = _kept(weight, to)
    result, change = rounded(values, dtype)
    _check_finite(name, result)
    writer.write(name, result)
    return str(dtype).removeprefix("torch."), change


def _slots(name: str, weight: Stored, shape: Shape, to: Target) -> list[Slot]:
    if not _is_float(weight):
        return [Slot(name, weight.data.torch_dtype, shape)]
    return slots_for(name, shape, to, _kept(weight, to))


def _kept(weight: Stored, to: Target) -> torch.dtype:
    """Of a weight that is not quantised: float16 loses nothing by staying so."""
    return torch.float16 if weight.data.dtype == "F16" and to != "bf16" else torch.bfloat16


def _is_float(weight: Stored) -> bool:
    return weight.kind != "plain" or weight.data.torch_dtype.is_floating_point


def _shapes(stored: Mapping[str, Stored], config: TransformerConfig | None) -> dict[str, Shape]:
    """The shape that each weight gets: the model's where the model is known."""
    shapes = {name: weight.shape for name, weight in stored.items()}
    if config is None:
        return shapes
    check_complete(shapes, config)
    return expected_shapes(config_for(shapes, config))


def _recognised(stored: Mapping[str, Stored], known: Sequence[TransformerConfig]) -> TransformerConfig | None:
    """The sizes whose blocks the file has, as many and as wide."""
    blocks = len({name.split(".")[1] for name in stored if name.startswith("blocks.")})
    query = stored.get("blocks.0.self_attn.q.weight")
    if query is None:
        return None
    fitting = (config for config in known if blocks == config.num_layers)
    return next((config for config in fitting if query.shape == (config.dim, config.dim)), None)


def _open(path: Path) -> tuple[Checkpoint, Callable[[], AbstractContextManager[TensorReader]]]:
    """The file, and what opens it anew for each weight, so that no mapping of the whole file grows."""
    if is_pickle(path):
        checkpoint, reader = open_pickle(path)
        return checkpoint, lambda: nullcontext(reader)
    checkpoint = open_checkpoint(path)
    return checkpoint, checkpoint.reader


def _check_paths(source: Path, target: Path) -> None:
    if target.suffix != ".safetensors":
        raise BadSetting(
            f"{target} does not end in .safetensors.",
            value=target.name,
            limit="a name that ends in .safetensors",
            action="Choose such a name.",
        )
    read = [source] if is_pickle(source) or not source.exists() else weight_files(source)
    if target.exists() and any(file.exists() and file.samefile(target) for file in (source, *read)):
        raise BadSetting(
            f"{target} is the file to convert.", value=target, action="Choose another name for the result."
        )


def _refuse_quantised(path: Path, stored: Mapping[str, Stored], to: Target) -> None:
    """Rounding what was rounded before costs quality twice."""
    kinds = {weight.kind for weight in stored.values()} - {"plain"}
    if kinds and to != "bf16":
        raise BadCheckpoint(
            f"The weights of {path} are quantised already ({', '.join(sorted(kinds))}).",
            value=", ".join(sorted(kinds)),
            limit="weights of 16 or 32 bits",
            action="Convert from the 16-bit file.",
        )


def _check_finite(name: str, values: Tensor) -> None:
    if not all(bool(torch.isfinite(part).all()) for part in torch.split(values.reshape(-1), PART_VALUES)):
        raise BadCheckpoint(
            f"The tensor {name} holds values that are not finite.",
            value=name,
            limit="finite numbers",
            action="Choose another file.",
        )


def _relative(change: Change) -> float:
    return math.sqrt(change.error / change.total) if change.total else 0.0
