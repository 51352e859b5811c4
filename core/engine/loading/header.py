"""What a safetensors file or a folder of shards holds, from the headers alone.

Format (https://github.com/huggingface/safetensors, section Format): 8 bytes little-endian header length, a
JSON header with dtype, shape and byte range of each tensor, then the data. The ranges must fill the file
exactly, so a file that was cut off or grew is found without reading its data. Headers are hostile input:
everything is bounded before it is read.
"""

from __future__ import annotations

import json
import math
from itertools import islice
from pathlib import Path
from typing import Any

from core.engine.loading.flat_json import flat_objects, string_pairs
from core.engine.loading.gguf import is_gguf, read_gguf
from core.engine.loading.tensors import AGAIN, DTYPES, Checkpoint, Entry, TensorReader, bad_file, most_names
from core.errors import BadCheckpoint

__all__ = ["Checkpoint", "Entry", "TensorReader", "open_checkpoint", "strip_prefix", "weight_files"]

PREFIXES = ("model.diffusion_model.", "diffusion_model.", "net.")
# Endings of files that may run code when they are opened; the converter reads them without.
PICKLES = (".pth", ".pt", ".bin", ".ckpt")
MAX_HEADER_BYTES = 100_000_000
MAX_INDEX_BYTES = 16 << 20
MAX_SHARDS = 1000
MAX_AXES = 8
MAX_AXIS = 1 << 40
MAX_FIELD_BYTES = 4096


def open_checkpoint(path: Path) -> Checkpoint:
    """Headers of a safetensors or GGUF file, of an ``*.index.json`` with its shards, or of a folder.

    Raises:
        BadCheckpoint: it is missing, no weight file, cut off, damaged, or names a tensor twice.
    """
    path = Path(path)
    entries: dict[str, Entry] = {}
    metadata: dict[str, str] = {}
    for file in weight_files(path):
        found, about = read_gguf(file) if is_gguf(file) else _read_header(file)
        metadata |= about
        for entry in found:
            name = strip_prefix(entry.key)
            if name in entries:
                raise bad_file(path, f"holds the tensor {name} twice", value=name)
            entries[name] = entry
    if not entries:
        raise bad_file(path, "holds no tensors")
    return Checkpoint(path, entries, metadata)


def strip_prefix(key: str) -> str:
    """The key without the prefix under which some tools store the transformer."""
    for prefix in PREFIXES:
        if key.startswith(prefix):
            return key.removeprefix(prefix)
    return key


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
            raise bad_file(
                path, "holds no single safetensors file and no single index of shards", len(single)
            )
        return single
    if path.name.endswith(".index.json"):
        return _shards(path)
    return [path]


def _shards(index: Path) -> list[Path]:
    names: set[str] = set()
    try:
        if index.stat().st_size > MAX_INDEX_BYTES:
            raise ValueError(f"it has more than {MAX_INDEX_BYTES} bytes")
        for table, text in flat_objects(index.read_bytes()):
            for _, name in string_pairs(text) if table == "weight_map" else ():
                names.add(name)
                if len(names) > MAX_SHARDS:
                    raise ValueError(f"it names more than {MAX_SHARDS} shards")
    except OSError as error:
        raise bad_file(index, f"cannot be read: {error.strerror}", action="Check the path.") from error
    except ValueError as error:
        raise bad_file(index, f"is not a readable index of shards: {error}") from error
    if not names:
        raise bad_file(index, "is not a readable index of shards: it names none")
    if any(Path(name).name != name for name in names):
        raise bad_file(index, "names shards outside its own folder")
    return [index.parent / name for name in sorted(names)]


def _read_header(path: Path) -> tuple[list[Entry], dict[str, str]]:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(9)
            length = int.from_bytes(start[:8], "little")
            if len(start) < 9 or start[8:] != b"{":
                raise bad_file(path, "is not a safetensors file", action=_instead(path))
            if length > MAX_HEADER_BYTES:
                raise bad_file(path, f"is damaged: its header claims {length} bytes", value=length)
            if 8 + length > size:
                raise bad_file(path, f"is cut off: {size} bytes are less than its header needs", value=size)
            file.seek(8)
            raw = file.read(length)
    except OSError as error:
        raise bad_file(path, f"cannot be read: {error.strerror}", action="Check the path.") from error
    entries, metadata = _parse(path, raw, most_names(size))
    end = max((entry.start + entry.size_bytes for entry in entries), default=8 + length)
    if size < end:
        raise BadCheckpoint(
            f"{path} is cut off: it has {size} of {end} bytes.", value=size, limit=end, action=AGAIN
        )
    if size > end:
        raise bad_file(path, f"is damaged: {size - end} bytes follow its tensors", value=size)
    return entries, metadata


def _instead(path: Path) -> str:
    if path.suffix.lower() in PICKLES:
        return f"Convert it: `pirouette models convert {path.name} {path.stem}.safetensors --to bf16`."
    return "Choose a .safetensors file."


def _parse(path: Path, raw: bytes, most: int) -> tuple[list[Entry], dict[str, str]]:
    """Entries and metadata; every byte of the data must belong to one tensor."""
    entries: list[Entry] = []
    metadata: dict[str, str] = {}
    try:
        for name, text in flat_objects(raw):
            if name == "__metadata__":
                metadata |= dict(islice(string_pairs(text), most))
            else:
                entries.append(_entry(path, name, text, 8 + len(raw)))
            if len(entries) > most:
                raise ValueError(f"more than {most} tensors in a file of this size")
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        what = f"is damaged: its header cannot be read ({type(error).__name__}: {error})"
        raise bad_file(path, what) from error
    end = 8 + len(raw)
    for entry in sorted(entries, key=lambda entry: (entry.start, entry.size_bytes)):
        if entry.start != end:
            raise bad_file(path, f"is damaged: the place of tensor {entry.key} is wrong", entry.key)
        end += entry.size_bytes
    return entries, metadata


def _entry(path: Path, key: str, text: memoryview, data_start: int) -> Entry:
    if len(text) > MAX_FIELD_BYTES:
        raise ValueError(f"{key[:80]} takes {len(text)} bytes of header")
    value: dict[str, Any] = json.loads(bytes(text))
    dtype, shape, (first, last) = value["dtype"], tuple(value["shape"]), value["data_offsets"]
    if any(type(number) is not int or not 0 <= number <= MAX_AXIS for number in (*shape, first, last)):
        raise ValueError(f"{key[:80]} has shape {shape} and bytes {first} to {last}")
    if dtype not in DTYPES or len(shape) > MAX_AXES:
        raise ValueError(f"{key[:80]} has dtype {dtype} and shape {shape}")
    size_bytes = math.prod(shape) * DTYPES[dtype].itemsize
    if last - first != size_bytes:
        raise ValueError(f"the place of tensor {key[:80]} does not fit its shape")
    return Entry(path, key, dtype, shape, data_start + first, size_bytes)
