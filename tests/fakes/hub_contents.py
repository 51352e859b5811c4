"""What the local hub serves: bytes, files of a folder, or bytes made up from a seed and the offset."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

import numpy as np

PIECE_BYTES: Final = 64 * 1024
_BLOCK_BYTES: Final = 1024 * 1024


class Content:
    """Bytes that can be read from any offset."""

    size_bytes: int

    def read(self, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes, less only at the end."""
        raise NotImplementedError

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The range [start, stop) in short pieces."""
        stop = self.size_bytes if stop is None else stop
        for offset in range(start, stop, PIECE_BYTES):
            yield self.read(offset, min(PIECE_BYTES, stop - offset))

    @cached_property
    def sha256(self) -> str:
        """What the hub tells of large files."""
        return self._hash(hashlib.sha256())

    @cached_property
    def blob_id(self) -> str:
        """What the hub tells of small files: git's name of the blob."""
        return self._hash(hashlib.sha1(b"blob %d\0" % self.size_bytes))

    def _hash(self, state: hashlib._Hash) -> str:
        for piece in self.pieces():
            state.update(piece)
        return state.hexdigest()


class Bytes(Content):
    """A few bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size_bytes = len(data)

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


class OnDisk(Content):
    """A file, read when asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = path.stat().st_size

    def read(self, offset: int, length: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(length)


class Made(Content):
    """Pseudo-random bytes by seed and offset, so that a wrong offset or file shows; takes no disk."""

    def __init__(self, seed: int, size_bytes: int) -> None:
        self.seed = seed
        self.size_bytes = size_bytes

    def read(self, offset: int, length: int) -> bytes:
        stop = min(offset + length, self.size_bytes)
        blocks = range(offset // _BLOCK_BYTES, (stop - 1) // _BLOCK_BYTES + 1) if stop > offset else range(0)
        found = b"".join(_block(self.seed, index) for index in blocks)
        start = offset % _BLOCK_BYTES
        return found[start : start + stop - offset]


@lru_cache(maxsize=16)
def _block(seed: int, index: int) -> bytes:
    return np.random.SFC64([seed, index]).random_raw(_BLOCK_BYTES // 8).tobytes()
