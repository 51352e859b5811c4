"""The unfinished file: ``<hash>.part`` beside the target, only ever appended to, with a JSON sidecar.

Its length is the truth about what is there: a write that returned is kept by the system whatever happens to
the process. After a power failure the end may be wrong; the hash over the whole file tells.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from core.catalogue.remote import RemoteFile
from core.errors import BadSetting
from core.media.disk import disk_error

_PIECE_BYTES: Final = 1024 * 1024
_SAFE_EVERY_BYTES: Final = 32 * 1024 * 1024


def part_path(file: RemoteFile, target: Path) -> Path:
    """Where the unfinished bytes of a file lie.

    Raises:
        BadSetting: nobody knows a hash of the file.
    """
    return target.with_name(f"{_name(file)}.part")


def lock_path(file: RemoteFile, target: Path) -> Path:
    """What is locked while a process writes them."""
    return target.with_name(f"{_name(file)}.lock")


def _name(file: RemoteFile) -> str:
    name = file.sha256 or file.blob_id
    if not name:
        raise BadSetting(
            f"{file.path} cannot be downloaded, because no hash of it is known.",
            value=file.repository,
            action="Add its sha256 to the catalogue.",
        )
    return name


class Part:
    """An unfinished file, open for appending.

    Args:
        file: what it will be.
        target: its place at the end; errors name it.

    Attributes:
        length: bytes that are there and hashed.
        url, etag: where the latest of them came from; the tag only where it is a strong one.
    """

    def __init__(self, file: RemoteFile, target: Path) -> None:
        self.path = part_path(file, target)
        self.length = 0
        self.url: str | None = None
        self.etag: str | None = None
        self._sidecar = self.path.with_name(f"{self.path.name}.json")
        # The same name in each process, so that kills pile nothing up; the lock lets one write.
        self._new_sidecar = self.path.with_name(f"{self.path.name}.json.new")
        self._remote = file
        self._target = target
        self._hash = file.new_hash()
        self._safe = 0
        with _on_disk(target):
            self._file = self.path.open("ab", buffering=0)

    def read_again(self, on_bytes: Callable[[int], None], check: Callable[[], None]) -> None:
        """Hash what an earlier try left; too much of it is not ours and goes.

        Args:
            on_bytes: told the length that is hashed so far.
            check: called between pieces; may raise ``Cancelled``.
        """
        with _on_disk(self._target):
            there = os.fstat(self._file.fileno()).st_size
        told = self._told()
        if (
            there > self._remote.size_bytes
            or told.get("size", self._remote.size_bytes) != self._remote.size_bytes
        ):
            self.restart()
            return
        self.url, self.etag = told.get("url"), told.get("etag")
        with _on_disk(self._target), self.path.open("rb") as reader:
            while self.length < there:
                check()
                piece = reader.read(min(_PIECE_BYTES, there - self.length))
                if not piece:
                    break
                self._hash.update(piece)
                self.length += len(piece)
                on_bytes(self.length)
        self._safe = self.length

    def append(self, piece: bytes) -> None:
        """Write and hash.

        Raises:
            DiskError: the drive is full or gone; what was written before stays.
        """
        rest = memoryview(piece)
        while rest:
            with _on_disk(self._target):
                written = self._file.write(rest)
            self._hash.update(rest[:written])
            self.length += written
            rest = rest[written:]
        if self.length - self._safe >= _SAFE_EVERY_BYTES:
            self.save()

    def restart(self) -> None:
        """Forget every byte."""
        with _on_disk(self._target):
            self._file.truncate(0)
        self.length = self._safe = 0
        self.url = self.etag = None
        self._hash = self._remote.new_hash()

    def comes_from(self, url: str, etag: str | None) -> None:
        """Note the source of what follows."""
        if (self.url, self.etag) != (url, etag):
            self.url, self.etag = url, etag
            self._tell()

    def save(self) -> None:
        """Bytes to the drive, then the sidecar."""
        with _on_disk(self._target):
            os.fsync(self._file.fileno())
        self._safe = self.length
        self._tell()

    def _tell(self) -> None:
        told = {
            "schema": 1,
            "url": self.url,
            "etag": self.etag,
            "size": self._remote.size_bytes,
            "sha256": self._remote.sha256,
            "blob_id": self._remote.blob_id,
            "done": self.length,
        }
        with _on_disk(self._target):
            self._new_sidecar.write_text(json.dumps(told), encoding="utf-8")
            self._new_sidecar.replace(self._sidecar)

    def is_right(self) -> bool:
        """Whether the bytes have the hash that the hub told."""
        return self._hash.hexdigest() == (self._remote.sha256 or self._remote.blob_id)

    def publish(self) -> None:
        """Give the file its name; nothing else is left."""
        with _on_disk(self._target):
            os.fsync(self._file.fileno())
            self._file.close()
            self.path.replace(self._target)
            self._remove_sidecar()

    def close(self) -> None:
        """Leave it as it is, for the next try; nothing at all where not a byte came."""
        self._file.close()
        if self.path.exists() and self.path.stat().st_size == 0:
            self.path.unlink()
            self._remove_sidecar()

    def _remove_sidecar(self) -> None:
        self._sidecar.unlink(missing_ok=True)
        self._new_sidecar.unlink(missing_ok=True)

    def _told(self) -> dict[str, Any]:
        """The sidecar; nothing where it is missing or damaged: the hash decides anyway."""
        try:
            told = json.loads(self._sidecar.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        known = told if isinstance(told, dict) else {}
        return {
            name: value
            for name, value in known.items()
            if (name in ("url", "etag") and isinstance(value, str))
            or (name == "size" and isinstance(value, int))
        }


@contextmanager
def _on_disk(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_error(error, target) from error
