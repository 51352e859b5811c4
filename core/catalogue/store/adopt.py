"""Takes files that the user has into the store, under the names of the repository they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.catalogue.catalogue import Asset
from core.catalogue.store import layout
from core.catalogue.store.copying import FreeBytes, check_space, copy_checked, free_bytes
from core.catalogue.store.manifest import StoredFile, read_manifest, write_manifest
from core.catalogue.store.progress import Check, OnProgress, Totals, go_on, ignore
from core.catalogue.store.recognise import Recognised
from core.catalogue.store.store import Store
from core.errors import BadCheckpoint, DiskError
from core.media.disk import disk_error

Mode = Literal["auto", "copy", "link"]
How = Literal["hard link", "copy", "link", "there"]


@dataclass(frozen=True)
class Adopted:
    """A file that was taken in.

    Attributes:
        how: ``hard link`` (one file with two names), ``copy``, ``link`` (only a pointer: the file must stay
            where it is) or ``there`` (nothing was done).
        file: in the store.
    """

    found: Recognised
    how: How
    file: Path


def adopt(
    store: Store,
    found: Sequence[Recognised],
    mode: Mode = "auto",
    on_progress: OnProgress = ignore,
    check: Check = go_on,
    free: FreeBytes = free_bytes,
) -> tuple[Adopted, ...]:
    """Take recognised files in. The originals are neither moved nor changed.

    Args:
        store: the target.
        found: from ``recognise``.
        mode: ``auto`` makes hard links on the same drive and copies from others; ``copy`` always copies;
            ``link`` makes symbolic links.
        on_progress: told the totals of the copies.
        check: called between chunks; may raise ``Cancelled``.
        free: free bytes of a drive.

    Raises:
        DiskError: too little room, or a file cannot be written.
    """
    there = _there(store)
    totals = Totals(on_progress, len(found), sum(item.source.stat().st_size for item in found))
    check_space(store.root, _copied_bytes(store, found, mode), free)
    adopted = [_adopt(store, item, mode, there, totals, check) for item in found]
    for asset_id in dict.fromkeys(item.found.asset for item in adopted if item.how != "there"):
        _record(store, asset_id, [item.found for item in adopted if item.found.asset == asset_id])
    return tuple(adopted)


def claimed(store: Store, source: Path, asset_id: str) -> Recognised:
    """The user says what a file is; the name is not asked.

    Raises:
        BadCheckpoint: its size is another one than the catalogue states, or the asset has several files and
            none of this name.
    """
    asset = store.asset(asset_id)
    names = {file.path.split("/")[-1]: file for file in asset.files}
    file = asset.files[0] if len(asset.files) == 1 else names.get(source.name)
    size = source.stat().st_size
    if file is None or (file.size_bytes or size) != size:
        raise BadCheckpoint(
            f"{source.name} is not {asset_id}: "
            + (f"it has {size} bytes." if file else "none of its files has this name."),
            value=source,
            limit=f"{file.size_bytes} bytes" if file else ", ".join(names),
            action=f"Take another file, or download it: `pirouette models get {asset_id}`.",
        )
    path = file.path if "*" not in file.path else "/".join([*file.path.split("/")[:-1], source.name])
    return Recognised(source, asset_id, path, "name and size")


def _copied_bytes(store: Store, found: Sequence[Recognised], mode: Mode) -> int:
    root = next((path for path in (store.root, *store.root.parents) if path.exists()), store.root)
    sources = dict.fromkeys(item.source for item in found)
    return sum(
        source.stat().st_size
        for source in sources
        if mode == "copy" or (mode == "auto" and not layout.same_drive(source, root))
    )


def _adopt(
    store: Store,
    item: Recognised,
    mode: Mode,
    there: dict[tuple[str, str], Path],
    totals: Totals,
    check: Check,
) -> Adopted:
    target = there.get((item.asset, item.path))
    how: How = "there"
    if target is None:
        target = layout.imported_folder(store.root, store.asset(item.asset)) / item.path
        how = _place(item, target, mode, totals, check)
    totals.finish(f"{item.asset}: {item.path}", "copy", item.source.stat().st_size)
    return Adopted(item, how, target)


def _there(store: Store) -> dict[tuple[str, str], Path]:
    """Whole files that need not come a second time, by asset and path."""
    return {
        (asset_id, file.path): file.file
        for asset_id, state in store.states().items()
        for file in state.files
        if file.state == "installed"
    }


def _place(item: Recognised, target: Path, mode: Mode, totals: Totals, check: Check) -> How:
    done = 0

    def read(size_bytes: int) -> None:
        nonlocal done
        done += size_bytes
        totals.at(f"{item.asset}: {item.path}", "copy", done)

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if mode == "link":
            return _link(item.source, target)
        if mode == "auto" and _hard_link(item.source, target):
            return "hard link"
    except OSError as error:
        raise disk_error(error, target) from error
    copy_checked(item.source, target, StoredFile(item.path, sha256=item.hashed), read, check)
    return "copy"


def _link(source: Path, target: Path) -> How:
    target.unlink(missing_ok=True)
    try:
        target.symlink_to(source.absolute())
    except OSError:
        if not _hard_link(source, target):
            raise DiskError(
                f"No link to {source.name} can be made in {target.parent}.",
                value=source,
                limit="a file system with links, or the right to make them",
                action="Import it without --link.",
            ) from None
        return "hard link"
    return "link"


def _hard_link(source: Path, target: Path) -> bool:
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source.resolve())
    except OSError:
        return False
    return True


def _record(store: Store, asset_id: str, found: Sequence[Recognised]) -> None:
    """Write down the hashes, unless a download of the asset has begun: that knows more."""
    asset = store.asset(asset_id)
    before = read_manifest(store.root, asset_id)
    if before is not None and before.origin == "downloaded":
        return
    earlier = {file.path: file for file in before.files} if before else {}
    files = tuple(_stored(asset, index, found, earlier) for index in range(len(asset.files)))
    write_manifest(store.root, asset, None, "imported", files)


def _stored(
    asset: Asset, index: int, found: Sequence[Recognised], earlier: dict[str, StoredFile]
) -> StoredFile:
    file = asset.files[index]
    for item in found:
        matches = item.path == file.path or ("*" in file.path and Path(item.path).match(file.path))
        if matches:
            size = item.source.stat().st_size
            return StoredFile(item.path, file.size_bytes or size, file.sha256 or item.hashed)
    return earlier.get(file.path, StoredFile(file.path, file.size_bytes, file.sha256))
