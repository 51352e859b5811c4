"""Moves the whole store to another folder or drive: copy, compare, switch, delete the old.

Until the switch nothing of the old store changes, so a move that was stopped, or killed, is gone on with by
asking for it again; ``moving_to`` in the settings remembers it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from core.catalogue.store import layout
from core.catalogue.store.choices import read_choices, write_choices
from core.catalogue.store.copying import PART, FreeBytes, check_space, copy_checked, free_bytes
from core.catalogue.store.hashing import by_blob_name
from core.catalogue.store.manifest import StoredFile
from core.catalogue.store.progress import Check, OnProgress, Totals, go_on, ignore
from core.errors import BadSetting
from core.media.disk import disk_error

MARK = "pirouette-models.txt"
_MARK_TEXT = "Pirouette keeps its models here. Move them with `pirouette models move DIR`.\n"


@dataclass(frozen=True)
class Moved:
    """What was done.

    Attributes:
        copied_bytes: 0 where both folders are on one drive.
        left: files of the old folder that could not be deleted.
    """

    old: Path
    new: Path
    files: int
    copied_bytes: int
    left: tuple[Path, ...] = ()


def move(
    old: Path,
    new: Path,
    on_progress: OnProgress = ignore,
    check: Check = go_on,
    free: FreeBytes = free_bytes,
) -> Moved:
    """Move everything from ``old`` to ``new`` and remember the new place.

    Args:
        old: the store's root.
        new: a folder that is empty, missing, or the goal of the same move before.
        on_progress: told the totals.
        check: called between chunks; may raise ``Cancelled``, then asking again goes on.
        free: free bytes of a drive.

    Raises:
        BadSetting: the new folder holds other files, or one folder lies in the other.
        DiskError: too little room, or a file cannot be copied.
    """
    old, new = old.absolute(), new.absolute()
    _check_goal(old, new)
    files, links = _listed(old)
    copied = _copied_bytes(files, old, new)
    check_space(new, copied, free)
    _mark(new)
    write_choices(replace(read_choices(), moving_to=new))
    totals = Totals(on_progress, len(files), sum(path.stat().st_size for path in files))
    for path in files:
        _bring(path, new / path.relative_to(old), path.relative_to(old).as_posix(), totals, check)
    for path in links:
        _copy_link(path, new / path.relative_to(old), old, new)
    write_choices(replace(read_choices(), root=new, moving_to=None))
    left = tuple(_deleted([*links, *files], old))
    return Moved(old, new, len(files), copied, left)


def _check_goal(old: Path, new: Path) -> None:
    one, other = old.resolve(), new.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise BadSetting(
            "The models cannot be moved into or around the folder where they are.",
            value=new,
            limit=old,
            action="Choose a folder elsewhere.",
        )
    if new.exists() and not new.is_dir():
        raise BadSetting(f"{new} is a file.", value=new, action="Choose a folder.")
    if new.is_dir() and not (new / MARK).is_file() and any(new.iterdir()):
        raise BadSetting(
            f"{new} holds other files.",
            value=new,
            limit="an empty or new folder",
            action=f"Choose an empty or new folder, such as {new / 'pirouette-models'}.",
        )


def _mark(new: Path) -> None:
    try:
        new.mkdir(parents=True, exist_ok=True)
        (new / MARK).write_text(_MARK_TEXT, "utf-8")
    except OSError as error:
        raise disk_error(error, new / MARK) from error


def _listed(old: Path) -> tuple[list[Path], list[Path]]:
    """Files and symbolic links of the store, without unfinished copies and the mark."""
    found = [path for path in _everything(old) if path.suffix != PART and path.name != MARK]
    return [path for path in found if not path.is_symlink()], [path for path in found if path.is_symlink()]


def _everything(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            yield from _everything(path)
        else:
            yield path


def _copied_bytes(files: list[Path], old: Path, new: Path) -> int:
    """What the new drive must take; nothing where hard links will do."""
    at = next(path for path in (new, *new.parents) if path.exists())
    missing = [path for path in files if not _is_whole(path, new / path.relative_to(old))]
    return sum(path.stat().st_size for path in missing if not layout.same_drive(path, at))


def _is_whole(path: Path, target: Path) -> bool:
    """Copies get their name only when they are whole and right."""
    return target.is_file() and target.stat().st_size == path.stat().st_size


def _bring(path: Path, target: Path, key: str, totals: Totals, check: Check) -> None:
    size = path.stat().st_size
    done = 0

    def read(size_bytes: int) -> None:
        nonlocal done
        done += size_bytes
        totals.at(key, "copy", done)

    check()
    if not _is_whole(path, target) and not _linked(path, target):
        told = by_blob_name(path, size) if path.parent.name == "blobs" else StoredFile(path.name, size)
        copy_checked(path, target, told, read, check)
    totals.finish(key, "copy", size)


def _linked(path: Path, target: Path) -> bool:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.hardlink_to(path)
    except OSError:
        return False  # another drive, or one without links
    return True


def _copy_link(path: Path, target: Path, old: Path, new: Path) -> None:
    """The same link; one that names the old store by its full path names the new one."""
    goal = path.readlink()
    inside = goal.is_absolute() and old in goal.parents
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.symlink_to(new / goal.relative_to(old) if inside else goal)
    except OSError:
        blob = (path.parent / goal).resolve()
        if old.resolve() in blob.parents:  # a drive without symbolic links
            layout.link(new / blob.relative_to(old.resolve()), target)
        else:
            copy_checked(path, target, StoredFile(path.name))


def _deleted(paths: list[Path], old: Path) -> Iterator[Path]:
    """Delete the old files and the folders that become empty; yields what stays."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            yield path
    (old / MARK).unlink(missing_ok=True)
    for folder in sorted((path for path in old.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    if old.is_dir() and not any(old.iterdir()):
        old.rmdir()
