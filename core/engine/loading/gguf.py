"""What a GGUF file holds, from its header alone, with every count and length checked before it is used.

Format (https://github.com/ggml-org/ggml, docs/gguf.md), versions 2 and 3, little-endian: magic, version,
number of tensors, number of metadata pairs, the pairs, a record for each tensor (name, axes innermost first,
type, offset), then the data, each tensor at a multiple of the alignment. As in llama.cpp the tensors must
follow each other without gaps. Five axes are accepted where llama.cpp stops at four: video models need them.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from core.engine.loading.tensors import DTYPES, Entry, bad_file, most_names

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_ITEMS = 1 << 20
MAX_NAME_BYTES = 1024
MAX_KEPT_BYTES = 4096
MAX_AXES = 8
MAX_ELEMENTS = 1 << 40
DEFAULT_ALIGNMENT = 32
MAX_ALIGNMENT = 1 << 20
ORIGINAL_SHAPE = "comfy.gguf.orig_shape."
KEPT = ("general.", ORIGINAL_SHAPE)


class Blocks(NamedTuple):
    """How a type stores values: so many values in so many bytes."""

    name: str
    values: int
    size_bytes: int


# ggml_type -> layout (ggml/src/ggml.c, type_traits); plain types under the names of ``DTYPES``.
TYPES = {
    0: Blocks("F32", 1, 4),
    1: Blocks("F16", 1, 2),
    2: Blocks("Q4_0", 32, 18),
    3: Blocks("Q4_1", 32, 20),
    6: Blocks("Q5_0", 32, 22),
    7: Blocks("Q5_1", 32, 24),
    8: Blocks("Q8_0", 32, 34),
    10: Blocks("Q2_K", 256, 84),
    11: Blocks("Q3_K", 256, 110),
    12: Blocks("Q4_K", 256, 144),
    13: Blocks("Q5_K", 256, 176),
    14: Blocks("Q6_K", 256, 210),
    24: Blocks("I8", 1, 1),
    25: Blocks("I16", 1, 2),
    26: Blocks("I32", 1, 4),
    27: Blocks("I64", 1, 8),
    28: Blocks("F64", 1, 8),
    30: Blocks("BF16", 1, 2),
}
QUANTISED = {blocks.name: blocks for blocks in TYPES.values() if blocks.name not in DTYPES}
# Types of metadata values: struct format of the fixed ones; 8 is a string, 9 an array.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


def is_gguf(path: Path) -> bool:
    """Whether the file begins as GGUF does; False for one that cannot be opened."""
    try:
        with path.open("rb") as file:
            return file.read(4) == MAGIC
    except OSError:
        return False


def read_gguf(path: Path) -> tuple[list[Entry], dict[str, str]]:
    """Tensors with shapes in torch's order, and the short metadata values as text.

    Raises:
        BadCheckpoint: cut off, damaged, or with a type that cannot be read.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
            return _parse(path, _Cursor(mapping))
    except (ValueError, OverflowError) as error:
        raise bad_file(path, f"is damaged: its GGUF header cannot be read ({error})") from error
    except OSError as error:
        raise bad_file(path, f"cannot be read: {error.strerror}", action="Check the path.") from error


class _Cursor:
    """Reads numbers and strings one after the other; ``ValueError`` at the end of the file."""

    def __init__(self, mapping: mmap.mmap) -> None:
        self.mapping, self.place, self.end = mapping, 4, len(mapping)

    def skip(self, size_bytes: int) -> int:
        """Where the skipped bytes begin."""
        start = self.place
        if size_bytes > self.end - start:
            raise ValueError(f"it ends at byte {self.end}, {size_bytes} bytes are announced at {start}")
        self.place = start + size_bytes
        return start

    def skip_strings(self, count: int) -> None:
        """Pass over so many strings; a vocabulary has hundreds of thousands."""
        length = struct.Struct("<Q")
        place, last = self.place, self.end - length.size
        for _ in range(count):
            if place > last:
                raise ValueError(f"it ends at byte {self.end}, inside a list of {count} strings")
            place += length.size + length.unpack_from(self.mapping, place)[0]
        self.place = min(place, self.end)

    def number(self, form: str) -> Any:
        """One little-endian number."""
        return struct.unpack_from("<" + form, self.mapping, self.skip(struct.calcsize("<" + form)))[0]

    def string(self, limit: int) -> str:
        """A string of at most ``limit`` bytes."""
        size_bytes = self.number("Q")
        if size_bytes > limit:
            raise ValueError(f"a name of {size_bytes} bytes at {self.place}")
        start = self.skip(size_bytes)
        return self.mapping[start : self.place].decode("utf-8")


def _parse(path: Path, cursor: _Cursor) -> tuple[list[Entry], dict[str, str]]:
    version = cursor.number("I")
    if version not in VERSIONS:
        raise ValueError(f"version {version}; versions 2 and 3 in little-endian order are known")
    tensors, pairs = cursor.number("Q"), cursor.number("Q")
    if max(tensors, pairs) > most_names(cursor.end):
        raise ValueError(f"it announces {tensors} tensors and {pairs} metadata pairs")
    metadata = dict(_pairs(cursor, pairs))
    alignment = int(metadata.get("general.alignment", DEFAULT_ALIGNMENT))
    if not 0 < alignment <= MAX_ALIGNMENT or alignment % 8:
        raise ValueError(f"an alignment of {alignment}")
    records = [_record(cursor) for _ in range(tensors)]
    start = end = -(-cursor.place // alignment) * alignment
    entries = []
    for name, shape, blocks, offset in records:
        if start + offset != -(-end // alignment) * alignment:
            raise ValueError(f"the tensor {name} does not follow the one before it")
        size_bytes = math.prod(shape) // blocks.values * blocks.size_bytes
        end = start + offset + size_bytes
        entries.append(
            Entry(path, name, blocks.name, _shape(name, shape, metadata), start + offset, size_bytes)
        )
    if end > cursor.end:
        raise ValueError(f"it is cut off: it has {cursor.end} of {end} bytes")
    if cursor.end > -(-end // alignment) * alignment:
        raise ValueError(f"{cursor.end - end} bytes follow its tensors")
    return entries, metadata


def _record(cursor: _Cursor) -> tuple[str, tuple[int, ...], Blocks, int]:
    """Name, shape in torch's order, type and offset of one tensor."""
    name, axes = cursor.string(MAX_NAME_BYTES), cursor.number("I")
    if axes > MAX_AXES:
        raise ValueError(f"the tensor {name} has {axes} axes")
    shape = tuple(cursor.number("Q") for _ in range(axes))[::-1]
    kind, offset = cursor.number("I"), cursor.number("Q")
    if kind not in TYPES:
        known = ", ".join(blocks.name for blocks in TYPES.values())
        raise ValueError(f"the tensor {name} has type {kind}; known are {known}")
    blocks = TYPES[kind]
    if math.prod(shape) > MAX_ELEMENTS or max(shape, default=0) > MAX_ELEMENTS:
        raise ValueError(f"the tensor {name} has shape {shape}")
    if (shape[-1] if shape else 1) % blocks.values:
        raise ValueError(f"the tensor {name} of shape {shape} does not divide into blocks of {blocks.name}")
    return name, shape, blocks, offset


def _shape(name: str, shape: tuple[int, ...], metadata: dict[str, str]) -> tuple[int, ...]:
    """The shape that the metadata give back where the file could not keep it."""
    noted = metadata.get(ORIGINAL_SHAPE + name)
    if noted is None:
        return shape
    original = tuple(int(size) for size in noted.split(",") if size)
    if min(original, default=0) < 0 or math.prod(original) != math.prod(shape):
        raise ValueError(f"the tensor {name} of shape {shape} is said to have been {original}")
    return original


def _pairs(cursor: _Cursor, count: int) -> Iterator[tuple[str, str]]:
    """Keys that are used and their values as text, short lists of numbers joined by commas."""
    for _ in range(count):
        key, kind = cursor.string(MAX_NAME_BYTES), cursor.number("I")
        value = _array(cursor) if kind == ARRAY else _single(cursor, kind)
        if value is not None and key.startswith(KEPT):
            yield key, value


def _single(cursor: _Cursor, kind: int) -> str | None:
    if kind == STRING:
        size_bytes = cursor.number("Q")
        start = cursor.skip(size_bytes)
        if size_bytes > MAX_KEPT_BYTES:
            return None
        return cursor.mapping[start : cursor.place].decode("utf-8", errors="replace")
    return str(cursor.number(_scalar(kind)))


def _array(cursor: _Cursor) -> str | None:
    kind, count = cursor.number("I"), cursor.number("Q")
    if count > MAX_ITEMS:
        raise ValueError(f"a list of {count} items at {cursor.place}")
    if kind == STRING:
        cursor.skip_strings(count)
        return None
    form = f"<{count}{_scalar(kind)}"
    start = cursor.skip(struct.calcsize(form))
    if count > MAX_AXES:
        return None
    return ",".join(str(number) for number in struct.unpack_from(form, cursor.mapping, start))


def _scalar(kind: int) -> str:
    if kind not in SCALARS:
        raise ValueError(f"a metadata value of type {kind}")
    return SCALARS[kind]
