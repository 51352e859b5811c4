"""A zip that nobody vouches for: everything is checked before anything is unpacked, and counted while it is.

``zipfile`` reads the directory. What it does not mind is refused here: a directory that would fill the
memory, entries that share bytes, names that some system takes for another place, links, encryption, and more
or fewer bytes than were promised.
"""

from __future__ import annotations

import hashlib
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from core.errors import BadInput
from core.jobs.contents import CHUNK_BYTES, Check, opened
from core.jobs.queue.names import is_portable
from core.jobs.queue.strict import shown
from core.media.disk import disk_error

_END: Final = struct.Struct("<4s4H2LH")
_LOCATOR64: Final = struct.Struct("<4sLQL")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_END_SIGNATURE, _LOCATOR64_SIGNATURE = b"PK\x05\x06", b"PK\x06\x07"
_END64_SIGNATURE, _LOCAL_SIGNATURE = b"PK\x06\x06", b"PK\x03\x04"
# Encrypted, patch data, strongly encrypted, hidden headers.
_REFUSED_FLAGS: Final = 0x1 | 0x20 | 0x40 | 0x2000
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Folders in folders, as many as a queue file needs.
_DEEPEST: Final = 4
# Small files may be any number of times larger unpacked: a page of zeros is no bomb.
_HARMLESS_BYTES: Final = 64 * 1024**2
# What zipfile and zlib raise on damaged or hostile bytes.
_DAMAGE: Final = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError, RuntimeError,
    OverflowError, IndexError, KeyError, MemoryError,
)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """What a queue file may ask for.

    Attributes:
        entries: files in the zip; an OpenPose folder has one a frame.
        directory_bytes: the zip's list of them.
        queue_bytes: ``queue.json`` unpacked.
        values: commas and brackets in it.
        jobs: renders in it.
        total_bytes: all inputs unpacked.
        ratio: of unpacked to packed bytes.
    """

    entries: int = 20_000
    directory_bytes: int = 4 * 1024**2
    queue_bytes: int = 24 * 1024**2
    values: int = 1_200_000
    jobs: int = 10_000
    total_bytes: int = 256 * 1024**3
    ratio: int = 200


class UntrustedZip:
    """The files in a zip by name; made by ``untrusted_zip``."""

    def __init__(self, path: Path, file: BinaryIO, limits: Limits) -> None:
        self.path, self._limits = path, limits
        start = _check_end(path, file, limits)
        self._archive = zipfile.ZipFile(file)
        infos = self._archive.infolist()
        if len(infos) > limits.entries:
            raise refused(path, "it has too many files", len(infos), limits.entries)
        for info in infos:
            _check_entry(path, info)
        _check_names(path, infos)
        _check_places(path, file, infos, start)
        self._infos = {info.filename: info for info in infos if not info.is_dir()}
        self._check_sizes()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all files, in the order of the zip."""
        return tuple(self._infos)

    def size_bytes(self, name: str) -> int:
        """What a file unpacks to, as the zip says; more is refused while it is unpacked."""
        return self._infos[name].file_size

    def read(self, name: str, limit_bytes: int) -> bytes:
        """A small file.

        Raises:
            BadInput: too large, or damaged.
        """
        if self.size_bytes(name) > limit_bytes:
            raise refused(self.path, f"{name} is too large", self.size_bytes(name), limit_bytes)
        return b"".join(self._chunks(name))

    def extract(self, name: str, target: Path, check: Check) -> str:
        """Unpack a file to a new path.

        Returns:
            SHA-256 of what was written.

        Raises:
            BadInput: damaged; DiskError: it cannot be written.
        """
        digest = hashlib.sha256()
        try:  # an error of the zip is none of the system's by now
            with target.open("xb") as file:
                for chunk in self._chunks(name):
                    check()
                    digest.update(chunk)
                    file.write(chunk)
        except OSError as error:
            raise disk_error(error, target) from error
        return digest.hexdigest()

    def _chunks(self, name: str) -> Iterator[bytes]:
        """The content, counted; ``zipfile`` compares the checksum at the end."""
        info, seen_bytes = self._infos[name], 0
        with damage_told(self.path), self._archive.open(info) as packed:
            while chunk := packed.read(CHUNK_BYTES):
                seen_bytes += len(chunk)
                if seen_bytes > info.file_size:
                    raise refused(
                        self.path, f"{shown(name)} is longer than promised", seen_bytes, info.file_size
                    )
                yield chunk
        if seen_bytes != info.file_size:
            raise refused(self.path, f"{shown(name)} is shorter than promised", seen_bytes, info.file_size)

    def _check_sizes(self) -> None:
        total_bytes = sum(info.file_size for info in self._infos.values())
        packed_bytes = sum(info.compress_size for info in self._infos.values())
        if total_bytes > self._limits.total_bytes:
            raise refused(self.path, "it unpacks to too much", total_bytes, self._limits.total_bytes)
        if total_bytes > max(_HARMLESS_BYTES, packed_bytes * self._limits.ratio):
            ratio = f"{total_bytes} bytes from {packed_bytes}"
            raise refused(
                self.path, "it unpacks to far more than it is", ratio, f"{self._limits.ratio} times"
            )


@contextmanager
def untrusted_zip(path: Path, limits: Limits) -> Iterator[UntrustedZip]:
    """Open a zip and check its directory.

    Raises:
        BadInput: missing, unreadable, no zip, damaged, or refused.
    """
    with opened(path) as file:
        with damage_told(path):
            archive = UntrustedZip(path, file, limits)
        yield archive


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Turns what ``zipfile`` raises into one sentence."""
    try:
        yield
    except OSError as error:
        raise refused(path, f"it cannot be read: {error.strerror or error}", None, None) from error
    except _DAMAGE as error:
        told = shown(str(error) or type(error).__name__)
        raise refused(path, f"it is damaged or no zip: {told}", None, "a zip") from error


def refused(path: Path, why: str, value: object, limit: object) -> BadInput:
    """The error for a queue file that is not imported."""
    return BadInput(
        f"{path.name} cannot be imported: {why}.",
        value=value,
        limit=limit,
        action="Export the queue again, or see docs/queue-files.md.",
    )


def _check_end(path: Path, file: BinaryIO, limits: Limits) -> int:
    """Find the directory without reading it; returns where it starts.

    The end record must be the last 22 bytes, so that no two readers see two different directories.
    """
    size_bytes = file.seek(0, 2)
    end_at = size_bytes - _END.size
    end = _record(file, end_at, _END)
    if end is None or end[0] != _END_SIGNATURE or end[7] != 0:
        raise refused(path, "it does not end as a zip without a comment does", None, "a zip")
    disks, count, length, start = end[1:3], end[4], end[5], end[6]
    locator = _record(file, end_at - _LOCATOR64.size, _LOCATOR64)
    if locator is not None and locator[0] == _LOCATOR64_SIGNATURE:
        end_at -= _LOCATOR64.size + _END64.size
        end64 = _record(file, end_at, _END64)
        if end64 is None or end64[0] != _END64_SIGNATURE or locator[2] != end_at:
            raise refused(path, "its record for large zips is not where it should be", None, "a zip")
        disks, count, length, start = end64[4:6], end64[7], end64[8], end64[9]
    if any(disks):
        raise refused(path, "it is one part of several", disks[0], "a zip in one file")
    if count > limits.entries or length > limits.directory_bytes:
        most = f"{limits.entries} files, a list of {limits.directory_bytes} bytes"
        raise refused(path, "it has too many files", f"{count} files, a list of {length} bytes", most)
    if start + length != end_at:
        raise refused(path, "its list of files is not where it should be", start, end_at - length)
    file.seek(0)
    return int(start)


def _record(file: BinaryIO, at: int, layout: struct.Struct) -> tuple[Any, ...] | None:
    if at < 0:
        return None
    file.seek(at)
    found = file.read(layout.size)
    return layout.unpack(found) if len(found) == layout.size else None


def _check_entry(path: Path, info: zipfile.ZipInfo) -> None:
    """One line of the directory; ``zipfile`` has cut names at a NUL and turned separators."""
    name = info.orig_filename
    told = shown(name)
    parts = name.removesuffix("/").split("/")
    if name != info.filename or len(parts) > _DEEPEST or not all(is_portable(part) for part in parts):
        raise refused(
            path, "a name in it is not safe on every system", told, "plain names, such as inputs/..."
        )
    if info.flag_bits & _REFUSED_FLAGS:
        raise refused(path, f"{told} is encrypted or patched", hex(info.flag_bits), "a plain zip")
    if info.compress_type not in _METHODS:
        raise refused(path, f"{told} is packed in an unusual way", info.compress_type, "stored or deflated")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG):
        raise refused(path, f"{told} is a link or a device", oct(kind), "plain files")
    if info.is_dir() and info.file_size:
        raise refused(path, f"{told} is a folder with content", info.file_size, 0)
    if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
        raise refused(path, f"{told} has two sizes", info.file_size, info.compress_size)


def _check_names(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    """No name twice, not even for systems that do not tell upper from lower case; no file above a file."""
    files: set[str] = set()
    folders: set[str] = set()
    for info in infos:
        key = unicodedata.normalize("NFC", info.filename.casefold())
        parts = key.removesuffix("/").split("/")
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts) + info.is_dir()))
        if not info.is_dir():
            if key in files:
                raise refused(path, "a name is in it twice", shown(info.filename), "each once")
            files.add(key)
    both = files & folders
    if both:
        raise refused(path, "a name is both a file and a folder", shown(min(both)), "one of them")


def _check_places(path: Path, file: BinaryIO, infos: list[zipfile.ZipInfo], end: int) -> None:
    """Every entry has bytes of its own: overlapping ones unpack a small file to any size."""
    at = 0
    for info in sorted(infos, key=lambda one: one.header_offset):
        local = _record(file, info.header_offset, _LOCAL)
        if local is None or local[0] != _LOCAL_SIGNATURE or info.header_offset < at:
            raise refused(path, f"{shown(info.filename)} is not where it should be", info.header_offset, at)
        at = info.header_offset + _LOCAL.size + local[9] + local[10] + info.compress_size
    if at > end:
        raise refused(path, "a file in it goes on into the list of files", at, end)
