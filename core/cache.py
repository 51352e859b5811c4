"""The one cache of encodings: bytes by a key that names the content they came from, up to a size.

What lies here can be computed again, so nothing about it is an error: a damaged entry counts as missing, and
what cannot be written is left out. Several processes may share the folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

LIMIT_BYTES: Final = 4 * 1024**3

_LOGGER = logging.getLogger(__name__)
_MAGIC: Final = b"pirouette cache 1\n"
_DIGEST_BYTES: Final = hashlib.sha256().digest_size
_ENTRY: Final = ".entry"
_PART: Final = ".part"
# After a look at the whole folder, this share of the limit may be written before the next one.
_UNSEEN_SHARE: Final = 0.02
# Emptied to this share, so that a full cache is not looked through at every put.
_KEPT_SHARE: Final = 0.9
# A part this old belongs to a process that was killed.
_PART_AGE_NS: Final = 3600 * 10**9


def cache_key(*parts: str) -> str:
    """One key from several parts; ``("a", "bc")`` and ``("ab", "c")`` differ."""
    return json.dumps(parts)


class Cache:
    """Bytes on disk by key; where there are too many, what was not used for the longest time goes first.

    Args:
        root: folder of this cache alone, made when the first entry is written.
        limit_bytes: what the entries may take, exceeded for a moment by a few percent a process.
        clock_ns: tells the time of use in nanoseconds.
    """

    def __init__(
        self, root: Path, limit_bytes: int = LIMIT_BYTES, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._root, self._limit_bytes, self._clock_ns = root, limit_bytes, clock_ns
        # Unknown what is there: the first put looks.
        self._unseen_bytes = limit_bytes

    def get(self, key: str) -> bytes | None:
        """What was put under ``key``; None where it is not there, was dropped or is damaged."""
        path = self._path(key)
        try:
            stored = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _LOGGER.warning("The cache cannot be read: %s", error)
            return None
        data = _content(key, stored)
        if data is None:
            _LOGGER.warning("A damaged entry of the cache is dropped: %s", path.name)
            _remove(path)
            return None
        self._touch(path)
        return data

    def put(self, key: str, data: bytes) -> None:
        """Keep ``data`` under ``key``. Never raises for the disk: what does not fit is left out."""
        stored_bytes = len(_MAGIC) + _DIGEST_BYTES + len(data)
        if stored_bytes > self._limit_bytes * _KEPT_SHARE:
            return
        path = self._path(key)
        part = path.with_suffix(f".{os.getpid()}-{secrets.token_hex(4)}{_PART}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(_MAGIC + _digest(key, data))
                file.write(data)
            part.replace(path)
        except OSError as error:
            _LOGGER.warning("Nothing was added to the cache: %s", error)
            _remove(part)
            return
        self._touch(path)
        self._unseen_bytes += stored_bytes
        if self._unseen_bytes > self._limit_bytes * _UNSEEN_SHARE:
            self._shrink()

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._root / name[:2] / (name + _ENTRY)

    def _touch(self, path: Path) -> None:
        """Mark an entry as used now; times of access are switched off on many drives."""
        now_ns = self._clock_ns()
        try:
            os.utime(path, ns=(now_ns, now_ns))
        except OSError as error:
            _LOGGER.debug("The use of a cache entry is not noted: %s", error)

    def _shrink(self) -> None:
        """Count the folder; remove the longest unused entries where it is too large, and dead parts."""
        self._unseen_bytes = 0
        entries: list[tuple[int, int, Path]] = []
        for path, status in _files(self._root):
            if path.suffix == _ENTRY:
                entries.append((status.st_mtime_ns, status.st_size, path))
            elif path.suffix == _PART and self._clock_ns() - status.st_mtime_ns > _PART_AGE_NS:
                _remove(path)
        held_bytes = sum(size_bytes for _, size_bytes, _ in entries)
        if held_bytes <= self._limit_bytes:
            return
        for _, size_bytes, path in sorted(entries):
            if held_bytes <= self._limit_bytes * _KEPT_SHARE:
                return
            _remove(path)
            held_bytes -= size_bytes


def _content(key: str, stored: bytes) -> bytes | None:
    """What a file holds, if it is whole and belongs to ``key``."""
    start = len(_MAGIC) + _DIGEST_BYTES
    data = stored[start:]
    return data if stored[:start] == _MAGIC + _digest(key, data) else None


def _digest(key: str, data: bytes) -> bytes:
    digest = hashlib.sha256(key.encode() + b"\0")
    digest.update(data)
    return digest.digest()


def _files(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """All files of the cache; what another process removes meanwhile is passed over."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            try:
                yield path, path.stat()
            except OSError:
                continue


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _LOGGER.debug("A file of the cache stays: %s", error)
