"""What was fetched of an asset: commit, names, sizes and hashes, one JSON file an asset.

It is written before the first byte is asked for, so that sizes and part files are known offline from then on.
"""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.catalogue.catalogue import Asset
from core.catalogue.store import layout
from core.codec import from_json, to_json
from core.errors import BadInput
from core.media.disk import written_beside

Origin = Literal["downloaded", "imported", "converted"]


@dataclass(frozen=True)
class StoredFile:
    """A file of an asset.

    Attributes:
        path: in the repository.
        sha256, blob_id: hashes as far as known; ``blob_id`` is git's, a SHA-1 of a header and the bytes.
    """

    path: str
    size_bytes: int | None = None
    sha256: str | None = None
    blob_id: str | None = None

    @property
    def blob_name(self) -> str:
        """Its name among the blobs: the hash, or a hash of its path where nobody states the content's."""
        return self.sha256 or self.blob_id or hashlib.sha256(self.path.encode()).hexdigest()


@dataclass(frozen=True)
class Manifest:
    """Files in the asset's order; ``commit`` is None where the hub was not asked."""

    asset: str
    repository: str
    revision: str
    commit: str | None
    origin: Origin
    files: tuple[StoredFile, ...]
    date: str = ""
    schema: int = 1


def manifest_path(root: Path, asset_id: str) -> Path:
    """Where the manifest lies."""
    return root / layout.MANIFESTS / f"{layout.file_name(asset_id)}.json"


def read_manifest(root: Path, asset_id: str) -> Manifest | None:
    """The manifest, or None where there is none that can be read: then the files tell."""
    return from_path(manifest_path(root, asset_id))


def write_manifest(
    root: Path, asset: Asset, commit: str | None, origin: Origin, files: tuple[StoredFile, ...]
) -> Manifest:
    """Write it whole or not at all.

    Raises:
        DiskError: the folder cannot be written.
    """
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    made = Manifest(asset.id, asset.repository, asset.revision, commit, origin, files, today)
    path = manifest_path(root, asset.id)
    with written_beside(path) as beside:
        beside.write_text(to_json(made), "utf-8")
    return made


def delete_manifest(root: Path, asset_id: str) -> None:
    """Forget the asset's files."""
    manifest_path(root, asset_id).unlink(missing_ok=True)


def manifests(root: Path) -> list[Manifest]:
    """All that are there."""
    folder = root / layout.MANIFESTS
    if not folder.is_dir():
        return []
    found = [from_path(path) for path in sorted(folder.glob("*.json")) if not path.name.startswith(".")]
    return [item for item in found if item is not None]


def from_path(path: Path) -> Manifest | None:
    """The manifest in this file, None where it cannot be read."""
    try:
        found: Manifest = from_json(path.read_bytes(), Manifest)
    except (OSError, BadInput):
        return None
    return found
