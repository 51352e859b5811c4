"""Where the tensors of weight files lie, and reading them in pieces, so that none stands in RAM twice."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

import torch
from torch import Tensor

from core.errors import BadCheckpoint

AGAIN = "Download the file again."
CHUNK_BYTES = 32 << 20
# A header may name so many things, and one more for each so many bytes of its file: what is kept of it then
# stays small beside the file, whatever it claims.
FREE_COUNT = 1000
BYTES_PER_COUNT = 1024
# Names as safetensors writes them; GGUF's plain types are given the same names.
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored tensor.

    Attributes:
        file, key: where it is and its name there.
        dtype: a name of ``DTYPES``, or the GGUF type of quantised blocks (``Q4_K``).
        shape: of the values; blocks run along the last axis.
        start, size_bytes: its place in the file.
    """

    file: Path
    key: str
    dtype: str
    shape: tuple[int, ...]
    start: int = 0
    size_bytes: int = 0

    @property
    def torch_dtype(self) -> torch.dtype:
        """Bytes for quantised blocks."""
        return DTYPES.get(self.dtype, torch.uint8)

    @property
    def raw_shape(self) -> tuple[int, ...]:
        """Shape of the tensor that a reader gives: of the values, or the plain bytes of quantised blocks."""
        return self.shape if self.dtype in DTYPES else (self.size_bytes,)


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
    def reader(self) -> Iterator[TensorReader]:
        """Reads tensors by name; the files stay open meanwhile."""
        reader = TensorReader(self.entries)
        try:
            yield reader
        finally:
            reader.close()


class TensorReader:
    """Reads stored tensors. Calling it gives a tensor of its own on the CPU, in the stored dtype.

    Files are read with plain large reads: that is as fast as ``cat`` (``speed.py`` measures it), while advice
    to the system or a thread that reads ahead cost time. A cold mapping is slower, it is read page by page.

    Raises:
        BadCheckpoint: from every read, when a file cannot be read or is shorter than it was.
    """

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries
        self._files: dict[Path, FileIO] = {}
        self._maps: dict[Path, mmap.mmap | None] = {}
        self._staging: Tensor | None = None

    def __call__(self, name: str) -> Tensor:
        """The tensor in memory of its own, in its ``raw_shape``."""
        entry = self._entries[name]
        values = torch.empty(entry.size_bytes, dtype=torch.uint8)
        self._read(entry, 0, values)
        return values.view(entry.torch_dtype).view(entry.raw_shape)

    def to(self, name: str, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
        """The tensor on a device, converted there chunk by chunk; ``dtype`` None keeps the stored one.

        On the CPU in the stored dtype it stays mapped to the file: the system reads it when it is used and
        may drop it again. Writing to it changes the copy in memory only.
        """
        entry = self._entries[name]
        stored = entry.torch_dtype
        target = dtype or stored
        if device.type == "cpu" and target == stored:
            return self._mapped(name)
        out = torch.empty(entry.size_bytes // stored.itemsize, dtype=target, device=device)
        done = 0
        for chunk in self.chunks(name, device):
            values = chunk.view(stored).to(device)
            out[done : done + len(values)] = values  # the conversion runs on the device
            done += len(values)
        return out.view(entry.raw_shape)

    def chunks(self, name: str, device: torch.device) -> Iterator[Tensor]:
        """The bytes of a tensor in the buffer between file and device, pinned for a GPU.

        Each chunk is overwritten by the next one.
        """
        entry = self._entries[name]
        if self._staging is None:
            self._staging = torch.empty(CHUNK_BYTES, dtype=torch.uint8, pin_memory=device.type == "cuda")
        for offset in range(0, entry.size_bytes, CHUNK_BYTES):
            chunk = self._staging[: entry.size_bytes - offset]
            self._read(entry, offset, chunk)
            yield chunk

    def close(self) -> None:
        """Close the files. Tensors that are mapped keep their mapping."""
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._maps.clear()
        self._staging = None

    def _mapped(self, name: str) -> Tensor:
        entry = self._entries[name]
        if entry.size_bytes == 0 or entry.start % entry.torch_dtype.itemsize:
            return self(name)
        mapping = self._map(entry)
        if mapping is None or len(mapping) < entry.start + entry.size_bytes:
            return self(name)
        count = entry.size_bytes // entry.torch_dtype.itemsize
        values = torch.frombuffer(mapping, dtype=entry.torch_dtype, count=count, offset=entry.start)
        return values.view(entry.raw_shape)

    def _map(self, entry: Entry) -> mmap.mmap | None:
        """A private mapping of the whole file; None where the system grants none of that size."""
        if entry.file not in self._maps:
            try:
                mapping = mmap.mmap(self._file(entry).fileno(), 0, access=mmap.ACCESS_COPY)
            except (OSError, ValueError):
                mapping = None
            self._maps[entry.file] = mapping
        return self._maps[entry.file]

    def _file(self, entry: Entry) -> FileIO:
        if entry.file not in self._files:
            try:
                file = entry.file.open("rb", buffering=0)
            except OSError as error:
                raise bad_file(entry.file, f"cannot be read: {error.strerror}") from error
            self._files[entry.file] = file
        return self._files[entry.file]

    def _read(self, entry: Entry, offset: int, out: Tensor) -> None:
        """Fill ``out``, bytes on the CPU, from ``offset`` within the tensor."""
        file, view, done = self._file(entry), out.numpy().data, 0
        try:
            file.seek(entry.start + offset)
            while done < len(view):
                count = file.readinto(view[done:])
                if not count:
                    raise bad_file(entry.file, f"ends inside the tensor {entry.key}", entry.key)
                done += count
        except OSError as error:
            raise bad_file(entry.file, f"cannot be read: {error.strerror}") from error


def most_names(file_bytes: int) -> int:
    """How many tensors or metadata entries a file of this size may announce."""
    return FREE_COUNT + file_bytes // BYTES_PER_COUNT


def bad_file(path: Path, what: str, value: object = None, action: str = AGAIN) -> BadCheckpoint:
    """The error of a damaged file: ``<path> <what>.``"""
    return BadCheckpoint(f"{path} {what}.", value=path if value is None else value, action=action)
