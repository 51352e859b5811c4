"""What a safetensors file or a folder of shards holds, from the headers alone.

Format (https://github.com/huggingface/safetensors, section Format): 8 bytes little-endian header length, a
JSON header with dtype, shape and byte range of each tensor, then the data. The ranges must fill the file
exactly, so a file that was cut off or grew is found without reading its data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from core.errors import BadCheckpoint

PREFIXES = ("model.diffusion_model.", "diffusion_model.", "net.")
ITEM_BYTES = {
    "F64": 8,
    "I64": 8,
    "U64": 8,
    "F32": 4,
    "I32": 4,
    "U32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "U16": 2,
}
ITEM_BYTES |= {"I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}
MAX_HEADER_BYTES = 100_000_000
AGAIN = "Download the file again."


@dataclass(frozen=True)
class Entry:
    """One stored tensor: its file, its key there, its safetensors dtype name and its shape."""

    file: Path
    key: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name (prefix stripped), not their data. ``metadata`` is that of all files together."""

    path: Path
    entries: dict[str, Entry]
    metadata: dict[str, str] = field(default_factory=dict)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape by name."""
        return {name: entry.shape for name, entry in self.entries.items()}

    @contextmanager
    def reader(self) -> Iterator[Callable[[str], Tensor]]:
        """A function that reads one tensor by name to the CPU; files stay mapped while it is open."""
        with ExitStack() as stack:
            files: dict[Path, Any] = {}

            def read(name: str) -> Tensor:
                entry = self.entries[name]
                try:
                    if entry.file not in files:
                        handle = safe_open(str(entry.file), framework="pt")
                        files[entry.file] = stack.enter_context(handle)
                    tensor: Tensor = files[entry.file].get_tensor(entry.key)
                except (OSError, SafetensorError) as error:
                    raise _bad(entry.file, f"cannot be read: {error}") from error
                return tensor

            yield read


def open_checkpoint(path: Path) -> Checkpoint:
    """Headers of a safetensors file, of an ``*.index.json`` with its shards, or of a folder with either.

    Raises:
        BadCheckpoint: it is missing, no safetensors file, cut off, damaged, or names a tensor twice.
    """
    path = Path(path)
    entries: dict[str, Entry] = {}
    metadata: dict[str, str] = {}
    for file in weight_files(path):
        found, about = _read_header(file)
        metadata |= about
        for entry in found:
            name = strip_prefix(entry.key)
            if name in entries:
                raise _bad(path, f"holds the tensor {name} twice", value=name)
            entries[name] = entry
    if not entries:
        raise _bad(path, "holds no tensors")
    return Checkpoint(path, entries, metadata)


def strip_prefix(key: str) -> str:
    """The key without the prefix under which some tools store the transformer."""
    for prefix in PREFIXES:
        if key.startswith(prefix):
            return key.removeprefix(prefix)
    return key


def _bad(path: Path, what: str, value: object = None, action: str = AGAIN) -> BadCheckpoint:
    return BadCheckpoint(f"{path} {what}.", value=path if value is None else value, action=action)


def weight_files(path: Path) -> list[Path]:
    """The files behind ``path``: itself, the shards of an index, or what a folder holds.

    Raises:
        BadCheckpoint: no single file or index, a damaged index, or one that names files elsewhere.
    """
    if path.is_dir():
        indices = sorted(path.glob("*.safetensors.index.json"))
        single = sorted(path.glob("*.safetensors"))
        if len(indices) == 1:
            return _shards(indices[0])
        if len(single) != 1:
            raise _bad(path, "holds no single safetensors file and no single index of shards", len(single))
        return single
    if path.name.endswith(".index.json"):
        return _shards(path)
    return [path]


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _bad(index, f"is not a readable index of shards: {error}") from error
    if any(Path(str(name)).name != name for name in names):
        raise _bad(index, "names shards outside its own folder")
    return [index.parent / name for name in names]


def _read_header(path: Path) -> tuple[list[Entry], dict[str, str]]:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(9)
            length = int.from_bytes(start[:8], "little")
            if len(start) < 9 or start[8:] != b"{":
                raise _bad(path, "is not a safetensors file", action="Choose a .safetensors file.")
            if length > MAX_HEADER_BYTES:
                raise _bad(path, f"is damaged: its header claims {length} bytes", value=length)
            if 8 + length > size:
                raise _bad(path, f"is cut off: {size} bytes are less than its header needs", value=size)
            raw = start[8:] + file.read(length - 1)
    except OSError as error:
        raise _bad(path, f"cannot be read: {error.strerror}", action="Check the path.") from error
    entries, metadata, data_bytes = _parse(path, raw)
    if size < 8 + length + data_bytes:
        raise BadCheckpoint(
            f"{path} is cut off: it has {size} of {8 + length + data_bytes} bytes.",
            value=size,
            limit=8 + length + data_bytes,
            action=AGAIN,
        )
    if size > 8 + length + data_bytes:
        raise _bad(path, f"is damaged: {size - 8 - length - data_bytes} bytes follow its tensors", value=size)
    return entries, metadata


def _parse(path: Path, raw: bytes) -> tuple[list[Entry], dict[str, str], int]:
    """Entries, metadata and bytes of data; every byte of the data must belong to one tensor."""
    try:
        header: dict[str, Any] = json.loads(raw)
        metadata: dict[str, str] = header.pop("__metadata__", {}) or {}
        rows = [
            (int(value["data_offsets"][0]), int(value["data_offsets"][1]), _entry(path, key, value))
            for key, value in header.items()
        ]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise _bad(
            path, f"is damaged: its header cannot be read ({type(error).__name__}: {error})"
        ) from error
    end = 0
    for first, last, entry in sorted(rows, key=lambda row: row[:2]):
        if first != end or last - first != math.prod(entry.shape) * ITEM_BYTES[entry.dtype]:
            raise _bad(path, f"is damaged: the place of tensor {entry.key} does not fit its shape", entry.key)
        end = last
    return [entry for _, _, entry in rows], metadata, end


def _entry(path: Path, key: str, value: dict[str, Any]) -> Entry:
    dtype, shape = str(value["dtype"]), tuple(int(n) for n in value["shape"])
    if dtype not in ITEM_BYTES or min(shape, default=0) < 0:
        raise ValueError(f"{key} has dtype {dtype} and shape {shape}")
    return Entry(path, key, dtype, shape)
