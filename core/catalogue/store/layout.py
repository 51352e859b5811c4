"""Where files lie under the store's root.

``hub`` has the layout of the Hugging Face cache, so that other tools can read it (``HF_HUB_CACHE=root/hub``):
bytes in ``blobs`` under their hash, names in ``snapshots/<commit>`` as links to them. ``github`` has the same
for files that come from there. ``imported`` and ``converted`` hold plain files, ``installed`` the manifests.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from core.catalogue.catalogue import Asset

HUB: Final = "hub"
GITHUB: Final = "github"
IMPORTED: Final = "imported"
CONVERTED: Final = "converted"
MANIFESTS: Final = "installed"
# What a damaged file is called until repair has brought the good one.
ASIDE: Final = ".bad"
# Folders under the root in which no loose file is looked for.
OWN_FOLDERS: Final = (HUB, GITHUB, IMPORTED, CONVERTED, MANIFESTS)


def repository_folder(root: Path, asset: Asset) -> Path:
    """``models--OWNER--NAME`` of the asset's repository."""
    base = GITHUB if asset.source == "github" else HUB
    return root / base / "--".join(("models", *asset.repository.split("/")))


def blob(root: Path, asset: Asset, name: str) -> Path:
    """Where the bytes with this SHA-256 or git blob id lie."""
    return repository_folder(root, asset) / "blobs" / name


def snapshot(root: Path, asset: Asset, commit: str) -> Path:
    """The folder of names of one commit."""
    return repository_folder(root, asset) / "snapshots" / commit


def snapshots(root: Path, asset: Asset) -> list[Path]:
    """All commits that are there, the one that the asset's revision points to first."""
    folder = repository_folder(root, asset) / "snapshots"
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    wanted = read_ref(root, asset) or asset.revision
    return sorted(found, key=lambda path: path.name != wanted)


def imported_folder(root: Path, asset: Asset) -> Path:
    """Where imported files of the asset lie, under their paths in the repository."""
    return root / IMPORTED / asset.repository


def converted_folder(root: Path, asset: Asset) -> Path:
    """Where the asset lies that was made on this machine."""
    return root / CONVERTED / file_name(asset.id)


def file_name(asset_id: str) -> str:
    """The id as a file name."""
    return quote(asset_id, safe="")


def read_ref(root: Path, asset: Asset) -> str | None:
    """The commit that the asset's revision pointed to when it was fetched."""
    try:
        return (repository_folder(root, asset) / "refs" / asset.revision).read_text("utf-8").strip()
    except OSError:
        return None


def write_ref(root: Path, asset: Asset, commit: str) -> None:
    """Remember what the asset's revision points to."""
    if asset.revision == commit:
        return
    path = repository_folder(root, asset) / "refs" / asset.revision
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(commit, "utf-8")


def link(source: Path, name: Path) -> None:
    """Let ``name`` be ``source``: a relative symbolic link, else a hard link, else the file itself.

    Windows makes symbolic links for administrators and developers only, and some file systems know no links.
    """
    name.parent.mkdir(parents=True, exist_ok=True)
    name.unlink(missing_ok=True)
    try:
        name.symlink_to(Path(os.path.relpath(source, name.parent)))
        return
    except FileExistsError:
        return  # another process that brings the same was quicker
    except OSError:
        pass  # the next best
    try:
        name.hardlink_to(source)
    except FileExistsError:
        return
    except OSError:
        shutil.move(source, name)


def same_drive(one: Path, other: Path) -> bool:
    """Whether both (existing) paths are on one file system."""
    try:
        return one.stat().st_dev == other.stat().st_dev
    except OSError:
        return False


def walk(folder: Path, skip: tuple[str, ...] = ()) -> Iterator[Path]:
    """All files below, in a fixed order, without unreadable folders and those called ``skip`` at the top."""
    for at, folders, names in os.walk(folder):
        hidden = skip if Path(at) == folder else ()
        folders[:] = sorted(name for name in folders if name not in hidden and not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(at, name)


def delete_empty(folder: Path, root: Path) -> None:
    """Folders that have become empty, up to the root."""
    while folder != root and root in folder.parents and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
