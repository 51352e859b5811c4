"""What getting assets means: every file with size, licence and state, and the room that it takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final, Literal

from core.catalogue.catalogue import Asset, Role
from core.catalogue.hub import Hub, RemoteFile, ResolvedAsset
from core.catalogue.store import layout
from core.catalogue.store.copying import FreeBytes, free_bytes
from core.catalogue.store.manifest import StoredFile, read_manifest
from core.catalogue.store.reuse import Elsewhere, needs_room
from core.catalogue.store.store import Store, part_bytes
from core.catalogue.transfer.download import RESERVE_BYTES
from core.errors import BadCheckpoint, BadSetting, NetworkError

_HASH: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Row:
    """One file, as a person sees it before the download.

    Attributes:
        state: ``found`` lies elsewhere on this machine (its content is compared before it is used),
            ``make`` is converted here.
        size_bytes: exact, except for what is made here.
        present_bytes: of it in the store already.
        found: where, with state ``found``.
    """

    asset: str
    role: Role
    path: str
    repository: str
    licence: str
    size_bytes: int
    present_bytes: int
    state: Literal["installed", "partial", "missing", "found", "make"]
    found: Path | None = None


@dataclass(frozen=True)
class Fetch:
    """A file to bring: its bytes to ``blob``, its name to ``name``."""

    asset: str
    remote: RemoteFile
    stored: StoredFile
    blob: Path
    name: Path
    candidates: tuple[Path, ...]

    @property
    def key(self) -> str:
        """For progress."""
        return f"{self.asset}: {self.remote.path}"


@dataclass(frozen=True)
class GetPlan:
    """What is there and what is not.

    Attributes:
        rows: of all assets asked for.
        resolved: the assets to bring, as the hub states them.
        convert: assets to make here once their source is there.
        needed_bytes: that the drive must take; ``reserve_bytes`` more must stay free.
    """

    rows: tuple[Row, ...]
    resolved: tuple[ResolvedAsset, ...]
    fetches: tuple[Fetch, ...]
    convert: tuple[str, ...]
    needed_bytes: int
    free_bytes: int
    reserve_bytes: int = RESERVE_BYTES

    @property
    def total_bytes(self) -> int:
        """Of all rows."""
        return sum(row.size_bytes for row in self.rows)

    @property
    def fits(self) -> bool:
        """Whether the drive has the room."""
        return not self.needed_bytes or self.needed_bytes + self.reserve_bytes <= self.free_bytes


def plan_get(
    store: Store,
    asset_ids: Sequence[str],
    hub: Hub,
    elsewhere: Elsewhere,
    free: FreeBytes = free_bytes,
) -> GetPlan:
    """Ask the hub for everything that is not installed; read no file.

    Args:
        store: the target.
        asset_ids: what shall be there.
        hub: is not asked where nothing is missing.
        elsewhere: where files may lie already.
        free: free bytes of a drive.

    Raises:
        BadSetting: an unknown id, or a local file that is gone.
        NetworkError, BadCheckpoint: as ``Hub.resolve``.
    """
    wanted = list(dict.fromkeys(_with_sources(store, asset_ids)))
    rows: list[Row] = []
    resolved: list[ResolvedAsset] = []
    fetches: list[Fetch] = []
    for asset_id in wanted:
        asset = store.asset(asset_id)
        if store.installed(asset_id) or asset.source == "converted":
            rows += _known_rows(store, asset)
            continue
        told = resolved_now(store, hub, asset)
        jobs = [_fetch(store, asset, told.revision, remote, elsewhere) for remote in told.files]
        resolved.append(told)
        fetches += jobs
        rows += [_row(asset, job) for job in jobs]
    make = tuple(row.asset for row in rows if row.state == "make")
    needed = _needed(store, fetches) + sum(row.size_bytes for row in rows if row.state == "make")
    return GetPlan(tuple(rows), tuple(resolved), tuple(fetches), make, needed, free(store.root))


def is_whole(path: Path, size_bytes: int) -> bool:
    """Whether a file of this size is there."""
    try:
        return path.stat().st_size == size_bytes
    except OSError:
        return False


def resolved_now(store: Store, hub: Hub, asset: Asset) -> ResolvedAsset:
    """As it stands at the hub; what has begun, or was there once, goes on with the same commit."""
    manifest = read_manifest(store.root, asset.id)
    if (
        manifest is not None
        and manifest.origin == "downloaded"
        and manifest.commit is not None
        and (manifest.repository, manifest.revision) == (asset.repository, asset.revision)
    ):
        try:
            return replace(hub.resolve(replace(asset, revision=manifest.commit)), asset=asset)
        except (BadSetting, BadCheckpoint):
            pass  # the hub has that commit no more: as it stands today
    return hub.resolve(asset)


def _with_sources(store: Store, asset_ids: Iterable[str]) -> Iterable[str]:
    """An asset that is made here needs what it is made of, unless it is there."""
    for asset_id in asset_ids:
        asset = store.asset(asset_id)
        if asset.source == "converted" and not store.installed(asset_id):
            yield str(asset.converted_from)
        if asset.source == "local" and not store.installed(asset_id):
            raise BadSetting(
                f"The file of {asset_id} is not where it was.",
                value=asset.files[0].path,
                action="Put it back, or take the entry away and add the file again.",
            )
        yield asset_id


def _known_rows(store: Store, asset: Asset) -> list[Row]:
    """Of what is there, or is made here."""
    state = store.state(asset.id)
    there = state.state == "installed"
    return [
        Row(
            asset.id,
            asset.role,
            file.path,
            asset.repository,
            asset.licence,
            file.size_bytes or file.present_bytes or wanted.bytes_for_planning,
            file.present_bytes if there else 0,
            "installed" if there else "make",
        )
        for file, wanted in zip(state.files, asset.files, strict=True)
    ]


def _fetch(store: Store, asset: Asset, commit: str, remote: RemoteFile, elsewhere: Elsewhere) -> Fetch:
    stored = StoredFile(remote.path, remote.size_bytes, remote.sha256, remote.blob_id)
    _check_safe(remote, commit)
    blob = layout.blob(store.root, asset, stored.blob_name)
    name = layout.snapshot(store.root, asset, commit) / remote.path
    there = is_whole(name, remote.size_bytes) or is_whole(blob, remote.size_bytes)
    candidates = () if there else tuple(elsewhere.candidates(asset, stored))
    return Fetch(asset.id, remote, stored, blob, name, candidates)


def _check_safe(remote: RemoteFile, commit: str) -> None:
    """Names and hashes become paths, so a server may not choose them freely."""
    parts = (*PurePosixPath(remote.path).parts, *PureWindowsPath(remote.path).parts)
    inside = not PureWindowsPath(remote.path).is_absolute() and not remote.path.startswith("/")
    hashes = [told for told in (remote.sha256, remote.blob_id) if told is not None]
    if not inside or ".." in parts or ":" in remote.path or not all(map(_HASH.fullmatch, hashes)):
        raise _odd(remote.path)
    if not commit or {"/", "\\"} & set(commit) or commit.startswith("."):
        raise _odd(commit)


def _odd(value: str) -> NetworkError:
    return NetworkError(
        "The server gives a file a name that is not possible.",
        value=value,
        action="Use another endpoint.",
    )


def _row(asset: Asset, job: Fetch) -> Row:
    size = job.remote.size_bytes
    present = size if is_whole(job.name, size) else part_bytes(job.blob)
    found = job.candidates[0] if job.candidates and present < size else None
    state: Literal["installed", "partial", "missing", "found"]
    state = "installed" if present == size else "found" if found else "partial" if present else "missing"
    return Row(
        asset.id, asset.role, job.remote.path, asset.repository, asset.licence, size, present, state, found
    )


def _needed(store: Store, fetches: Sequence[Fetch]) -> int:
    """Bytes that come to the drive; a file with two names counts once."""
    jobs = {job.blob: job for job in fetches if not is_whole(job.name, job.remote.size_bytes)}
    return sum(_room(store, job) for job in jobs.values())


def _room(store: Store, job: Fetch) -> int:
    if job.candidates:
        return job.remote.size_bytes if needs_room(job.candidates[0], store.root) else 0
    return max(0, job.remote.size_bytes - part_bytes(job.blob))
