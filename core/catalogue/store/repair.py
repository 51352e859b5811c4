"""Fetches damaged files again, and only those; a bad one is set aside until the good one is there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.catalogue.hub import Hub
from core.catalogue.store import layout
from core.catalogue.store.get import Convert, Download, Got, get
from core.catalogue.store.get_plan import plan_get, resolved_now
from core.catalogue.store.progress import Check, OnProgress, go_on, ignore
from core.catalogue.store.reuse import Elsewhere
from core.catalogue.store.store import Store
from core.catalogue.store.verify import FileCheck, verify
from core.catalogue.transfer.download import download
from core.errors import BadCheckpoint
from core.media.disk import disk_error


@dataclass(frozen=True)
class Repaired:
    """What was found and what was done."""

    checks: tuple[FileCheck, ...]
    got: Got

    @property
    def bad(self) -> tuple[FileCheck, ...]:
        """The files that were fetched again."""
        return tuple(check for check in self.checks if check.verdict in ("bad", "missing"))


def repair(
    store: Store,
    asset_ids: Sequence[str],
    hub: Hub,
    elsewhere: Elsewhere,
    on_progress: OnProgress = ignore,
    check: Check = go_on,
    convert: Convert | None = None,
    fetch: Download = download,
) -> Repaired:
    """Check all bytes, then bring what is bad or missing.

    The hub is asked only where something is. Good files are not touched.

    Raises:
        BadCheckpoint: a file of the user's own outside the store is damaged.
        DiskError, NetworkError: as ``verify`` and ``get``.
    """
    checks = verify(store, asset_ids, on_progress, check)
    bad = [item for item in checks if item.verdict in ("bad", "missing")]
    if not bad:
        return Repaired(checks, Got((), {}))
    for item in bad:
        if store.asset(item.asset).source == "local":
            raise BadCheckpoint(
                f"{item.file.name} is damaged, and Pirouette does not know where it comes from.",
                value=item.file,
                action="Download it again where you got it.",
            )
    damaged = tuple(dict.fromkeys(item.asset for item in bad))
    for asset_id in damaged:  # what cannot be fetched now is better left as it is
        if store.asset(asset_id).source != "converted":
            resolved_now(store, hub, store.asset(asset_id))
    aside = [_set_aside(item.file) for item in bad if item.verdict == "bad"]
    plan = plan_get(store, damaged, hub, elsewhere)
    got = get(store, plan, hub.token, on_progress, check, convert=convert, fetch=fetch)
    for path in (*aside, *_left_aside(store, damaged)):
        path.unlink(missing_ok=True)
    return Repaired(checks, got)


def _set_aside(name: Path) -> Path:
    """Rename the bytes behind ``name``; a link to a file outside the store just goes."""
    blob = name.parent / name.readlink() if name.is_symlink() else name
    in_store = not name.is_symlink() or blob.parent.name == "blobs"
    bad = blob.with_name(f"{blob.name}{layout.ASIDE}")
    try:
        if not in_store:
            name.unlink()
            return bad
        blob.replace(bad)
        if name.is_symlink():
            name.unlink()
        else:
            _forget_blob_of(name, bad)
    except OSError as error:
        raise disk_error(error, name) from error
    return bad


def _forget_blob_of(name: Path, bad: Path) -> None:
    """Where links are hard, the blob of a snapshot's file is the same bad file under its hash."""
    blobs = next((folder / "blobs" for folder in name.parents if (folder / "blobs").is_dir()), None)
    for blob in blobs.iterdir() if blobs else ():
        with suppress(FileNotFoundError):
            if blob.samefile(bad):
                blob.unlink()


def _left_aside(store: Store, asset_ids: Sequence[str]) -> list[Path]:
    """Bad files that an earlier repair, which did not end, has set aside."""
    found = []
    for file in (file for asset_id in asset_ids for file in store.state(asset_id).files):
        blob = file.file.resolve()
        found += [path for path in (blob.with_name(f"{blob.name}{layout.ASIDE}"),) if path.exists()]
    return found
