"""Writes a safetensors file tensor by tensor: the header first, from names, dtypes and shapes alone."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from core.engine.loading.tensors import DTYPES
from core.media.disk import check_output, written_beside

NAMES = {dtype: name for name, dtype in DTYPES.items()}
ALIGNMENT = 8


@dataclass(frozen=True)
class Slot:
    """A tensor to be written."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """Of its data."""
        return math.prod(self.shape) * self.dtype.itemsize


class TensorWriter:
    """Puts tensors into their places, in any order; made by ``safetensors_file``."""

    def __init__(self, file: BinaryIO, slots: Mapping[str, Slot], starts: Mapping[str, int]) -> None:
        self._file, self._slots, self._starts = file, slots, starts

    def write(self, name: str, tensor: Tensor) -> None:
        """Write one tensor, which must have the dtype and shape that were announced."""
        slot = self._slots[name]
        assert (tensor.dtype, tuple(tensor.shape)) == (slot.dtype, slot.shape), name
        self._file.seek(self._starts[name])
        self._file.write(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)


@contextmanager
def safetensors_file(
    path: Path, slots: Sequence[Slot], metadata: Mapping[str, str]
) -> Iterator[TensorWriter]:
    """A file written beside ``path`` and renamed there when the block ends well.

    Wide types come first, so every tensor is aligned to its dtype and can be mapped.

    Raises:
        DiskError: the folder cannot be written, or the drive lacks the space (seen before the first byte).
    """
    ordered = sorted(slots, key=lambda slot: (-slot.dtype.itemsize, slot.name))
    header, starts = _header(ordered, metadata)
    check_output(path, len(header) + sum(slot.size_bytes for slot in ordered))
    with written_beside(path) as beside, beside.open("wb") as file:
        file.write(header)
        yield TensorWriter(file, {slot.name: slot for slot in ordered}, starts)


def _header(slots: Sequence[Slot], metadata: Mapping[str, str]) -> tuple[bytes, dict[str, int]]:
    """The file's first bytes, and where each tensor's data begins in the file."""
    table: dict[str, object] = {"__metadata__": dict(metadata)}
    offsets: dict[str, int] = {}
    end = 0
    for slot in slots:
        offsets[slot.name], start, end = end, end, end + slot.size_bytes
        table[slot.name] = {
            "dtype": NAMES[slot.dtype],
            "shape": list(slot.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    header = len(text).to_bytes(8, "little") + text
    return header, {name: len(header) + offset for name, offset in offsets.items()}
