"""Reads every byte of what is installed and compares with the hashes that the hub stated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from core.catalogue.store.hashing import by_blob_name, expected, hash_file
from core.catalogue.store.manifest import StoredFile
from core.catalogue.store.progress import Check, OnProgress, Totals, go_on, ignore
from core.catalogue.store.store import FileState, Store

Verdict = Literal["ok", "bad", "missing", "unknown"]


@dataclass(frozen=True)
class FileCheck:
    """What one file is found to be.

    Attributes:
        verdict: ``unknown`` where nobody has stated a hash, ``bad`` for other bytes or another size.
        found: the hash of the bytes, where they were read.
    """

    asset: str
    path: str
    verdict: Verdict
    file: Path
    size_bytes: int | None
    expected: str | None = None
    found: str | None = None


def verify(
    store: Store, asset_ids: Sequence[str], on_progress: OnProgress = ignore, check: Check = go_on
) -> tuple[FileCheck, ...]:
    """Check the files of these assets; of an asset that is not there nothing is checked.

    Args:
        store: is only read.
        asset_ids: each is looked at once.
        on_progress: told the totals.
        check: called between chunks; may raise ``Cancelled``.

    Raises:
        DiskError: a file cannot be read.
    """
    states = store.states(tuple(dict.fromkeys(asset_ids)))
    work = [(asset, file) for asset, state in states.items() if state.origin for file in state.files]
    totals = Totals(on_progress, len(work), sum(file.present_bytes for _, file in work))
    return tuple(_check_file(asset, file, totals, check) for asset, file in work)


def hashes_of(file: FileState) -> StoredFile:
    """The file with every hash that is known of it, be it from the name of its blob."""
    told = StoredFile(file.path, file.size_bytes, file.sha256, file.blob_id)
    if expected(told) is None and file.file.is_symlink():
        named = by_blob_name(file.file, file.size_bytes)
        told = replace(told, sha256=named.sha256, blob_id=named.blob_id)
    return told


def _check_file(asset: str, file: FileState, totals: Totals, check: Check) -> FileCheck:
    told = hashes_of(file)
    wanted = expected(told)
    key = f"{asset}: {file.path}"
    totals.start(key, "verify", 0)
    verdict, found = _verdict(file), None
    if verdict == "unknown" and wanted is not None:
        done = 0

        def read(size_bytes: int) -> None:
            nonlocal done
            done += size_bytes
            totals.at(key, "verify", done)

        found = hash_file(file.file, told, read, check)
        verdict = "ok" if found == wanted else "bad"
    totals.finish(key, "verify", file.present_bytes)
    return FileCheck(asset, file.path, verdict, file.file, file.size_bytes, wanted, found)


def _verdict(file: FileState) -> Verdict:
    """What the size tells."""
    if not file.file.is_file():
        return "missing"
    return "unknown" if file.state == "installed" else "bad"
