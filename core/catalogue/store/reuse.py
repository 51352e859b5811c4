"""Files that lie on this machine already: in the Hugging Face cache, in folders the user named, loose ones.

They are looked at and linked or copied, never moved, changed or deleted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from core.catalogue.catalogue import Asset
from core.catalogue.store import layout
from core.catalogue.store.copying import copy_checked
from core.catalogue.store.hashing import OnBytes, expected, hash_file, no_bytes
from core.catalogue.store.manifest import StoredFile
from core.catalogue.store.progress import Check, go_on
from core.errors import DiskError


def hub_caches() -> tuple[Path, ...]:
    """The Hugging Face caches of this user that exist."""
    home = Path.home() / ".cache"
    named = [os.environ.get(name) for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")]
    homes = [os.environ.get("HF_HOME"), Path(os.environ.get("XDG_CACHE_HOME") or home) / "huggingface"]
    paths = [*(Path(name) for name in named if name), *(Path(folder) / "hub" for folder in homes if folder)]
    return tuple(dict.fromkeys(path for path in map(Path.expanduser, paths) if path.is_dir()))


class Elsewhere:
    """Where files may lie already; each folder is listed once, at the first question.

    Args:
        root: of the store, whose own blobs and loose files count too.
        folders: that the user named: any layout, such as ComfyUI's ``models``.
        caches: in the layout of the Hugging Face cache.
    """

    def __init__(
        self, root: Path, folders: Sequence[Path] = (), caches: Sequence[Path] | None = None
    ) -> None:
        self._root = root
        self._folders = tuple(folders)
        others = hub_caches() if caches is None else caches
        self._caches = (root / layout.HUB, root / layout.GITHUB, *others)

    @cached_property
    def _by_size(self) -> dict[int, list[Path]]:
        found: dict[int, list[Path]] = {}
        listed = [layout.walk(self._root, skip=(layout.HUB, layout.GITHUB, layout.MANIFESTS))]
        listed += [layout.walk(folder) for folder in self._folders]
        for path in (path for paths in listed for path in paths):
            try:
                found.setdefault(path.stat().st_size, []).append(path)
            except OSError:
                continue  # a link to nothing
        return found

    def candidates(self, asset: Asset, file: StoredFile) -> list[Path]:
        """Files of the right size, the likeliest first; whether the bytes are right is not looked at."""
        if expected(file) is None or not file.size_bytes:
            return []
        names = [f"models--*/blobs/{file.blob_name}"]
        names.append(f"models--{asset.repository.replace('/', '--')}/snapshots/*/{file.path}")
        cached = [path for cache in self._caches for name in names for path in sorted(cache.glob(name))]
        found = [path for path in cached if _size(path) == file.size_bytes]
        found += self._by_size.get(file.size_bytes, [])
        return list({path.resolve(): path for path in reversed(found)}.values())[::-1]


def take(
    candidates: Sequence[Path],
    target: Path,
    file: StoredFile,
    on_bytes: OnBytes = no_bytes,
    check: Check = go_on,
) -> Path | None:
    """Let ``target`` hold the bytes of the first candidate that has the right hash.

    On the same drive it becomes a hard link, elsewhere a copy.

    Returns:
        The candidate; None where none was right or readable, ``target`` is not there then.
    """
    for source in candidates:
        if source.resolve() != target.resolve() and _holds(source, file, on_bytes, check):
            place(source, target, file, check=check)
            return source
    return None


def _holds(source: Path, file: StoredFile, on_bytes: OnBytes, check: Check) -> bool:
    try:
        return hash_file(source, file, on_bytes, check) == expected(file)
    except DiskError:
        return False  # not readable: it is fetched as if it were not there


def place(
    source: Path, target: Path, file: StoredFile, on_bytes: OnBytes = no_bytes, check: Check = go_on
) -> None:
    """A hard link at ``target``, or a checked copy where the drive or the file system asks for one.

    Raises:
        DiskError: it cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source.resolve())
    except OSError:
        copy_checked(source, target, file, on_bytes, check)


def needs_room(source: Path, root: Path) -> bool:
    """Whether taking ``source`` copies bytes."""
    folder = next((path for path in (root, *root.parents) if path.exists()), root)
    return not layout.same_drive(source, folder)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
