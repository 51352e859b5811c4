"""Hashes of files on disk, as the hub states them: SHA-256, or git's blob id for small files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from core.catalogue.remote import content_hash
from core.catalogue.store.manifest import StoredFile
from core.catalogue.store.progress import Check, go_on
from core.errors import DiskError

CHUNK_BYTES: Final = 4 * 1024 * 1024
_HEX: Final = re.compile(r"[0-9a-f]+")
OnBytes = Callable[[int], None]


def no_bytes(_: int) -> None:
    """For callers that count nothing."""


def new_hash(file: StoredFile, size_bytes: int) -> hashlib._Hash:
    """The hash to feed with the bytes of ``file``."""
    return content_hash(file.sha256, file.blob_id, size_bytes)


def expected(file: StoredFile) -> str | None:
    """What ``new_hash`` should come to."""
    return file.sha256 or file.blob_id


def hash_file(path: Path, file: StoredFile, on_bytes: OnBytes = no_bytes, check: Check = go_on) -> str:
    """The hash of what lies at ``path``.

    Args:
        path: read from start to end.
        file: says which hash.
        on_bytes: told how many more bytes were read.
        check: called between chunks; may raise ``Cancelled``.

    Raises:
        DiskError: it cannot be read.
    """
    try:
        digest = new_hash(file, path.stat().st_size)
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                check()
                digest.update(chunk)
                on_bytes(len(chunk))
    except OSError as error:
        raise unreadable(path, error) from error
    return str(digest.hexdigest())


def by_blob_name(path: Path, size_bytes: int | None) -> StoredFile:
    """The hash that the name of a blob states: 64 digits are SHA-256, 40 are git's."""
    name = path.resolve().name
    known = name if _HEX.fullmatch(name) else ""
    return StoredFile(
        path.name,
        size_bytes,
        sha256=known if len(known) == 64 else None,
        blob_id=known if len(known) == 40 else None,
    )


def unreadable(path: Path, error: OSError) -> DiskError:
    """The error for a file that the system does not let us read."""
    return DiskError(
        f"{path.name} cannot be read: {error.strerror or error}.",
        value=path,
        action="Check the drive, or fetch the file again with `pirouette models repair`.",
    )
