"""Large copies that a kill does not undo: a part file goes on where it stopped and is checked at the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from core.catalogue.store.hashing import CHUNK_BYTES, OnBytes, expected, hash_file, new_hash, no_bytes
from core.catalogue.store.manifest import StoredFile
from core.catalogue.store.progress import Check, go_on
from core.catalogue.transfer.download import RESERVE_BYTES
from core.errors import DiskError
from core.media.disk import disk_error, existing_folder

FreeBytes = Callable[[Path], int]
PART: Final = ".copy"


def free_bytes(path: Path) -> int:
    """Free space of the drive where ``path`` is or will be."""
    return shutil.disk_usage(path if path.is_dir() else existing_folder(path)).free


def check_space(root: Path, needed_bytes: int, free: FreeBytes = free_bytes) -> None:
    """Refuse work that would fill the drive.

    Raises:
        DiskError: less than ``needed_bytes`` and a reserve are free.
    """
    available = free(root)
    if needed_bytes and available < needed_bytes + RESERVE_BYTES:
        raise DiskError(
            f"The drive of {root} has too little room: {gigabytes(needed_bytes)} are needed and "
            f"{gigabytes(RESERVE_BYTES)} must stay free, {gigabytes(available)} are there.",
            value=available,
            limit=needed_bytes + RESERVE_BYTES,
            action="Free some space, or put the models on another drive: `pirouette models move DIR`.",
        )


def gigabytes(size_bytes: float) -> str:
    """Decimal units, as the hub prints them."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= size:
            return f"{size_bytes / size:.{1 if size_bytes < 100 * size else 0}f} {unit}"
    return f"{size_bytes:.0f} B"


def copy_checked(
    source: Path, target: Path, file: StoredFile, on_bytes: OnBytes = no_bytes, check: Check = go_on
) -> str:
    """Copy, read the copy back, rename it to ``target``.

    A part file that an earlier try left is gone on with.

    Args:
        source: is only read.
        target: appears whole or not at all.
        file: the hash that the bytes should have, where it is known; else the copy must equal the source.
        on_bytes: told how many more bytes of the copy are there, also those of an earlier try.
        check: called between chunks; may raise ``Cancelled``, the part file stays.

    Returns:
        The hash (``hashing.new_hash``).

    Raises:
        DiskError: it cannot be read or written, or the drive returns other bytes than were written to it.
    """
    part = target.with_name(f"{target.name}{PART}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        told = _copy(source, part, new_hash(file, source.stat().st_size), on_bytes, check)
        wanted = expected(file) or told
        if hash_file(part, file, check=check) != wanted:
            part.unlink()
            raise DiskError(
                f"The copy of {source.name} differs from what it should be.",
                value=source,
                limit=wanted,
                action="Check the drive, then try again; `pirouette models verify` checks the original.",
            )
        part.replace(target)
    except OSError as error:
        raise disk_error(error, target) from error
    return wanted


def _copy(source: Path, part: Path, digest: Any, on_bytes: OnBytes, check: Check) -> str:
    """Append what is missing; returns the hash of the source."""
    with source.open("rb") as reader, part.open("ab") as writer:
        left = min(part.stat().st_size, source.stat().st_size)
        writer.truncate(left)
        while chunk := reader.read(min(CHUNK_BYTES, left) if left else CHUNK_BYTES):
            check()
            digest.update(chunk)
            if left:
                left -= len(chunk)
            else:
                writer.write(chunk)
            on_bytes(len(chunk))
        writer.flush()
        os.fsync(writer.fileno())
    return str(digest.hexdigest())
