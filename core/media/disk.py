"""Writing a file beside its place and renaming it: readers see the whole file or none."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from core.errors import BadSetting, DiskError

# As long as process ids get: the unfinished file's name has one in it.
LARGEST_PID: Final = 2**32 - 1
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_output(path: Path, needed_bytes: int = 0) -> None:
    """See before the work whether a file can be written; creates nothing.

    Raises:
        DiskError: the path is a folder, its folder cannot be made or written, or lacks ``needed_bytes``.
    """
    if path.is_dir():
        raise DiskError(f"{path} is a folder.", value=path, limit="a file name", action="Add a file name.")
    folder = existing_folder(path)
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise _unwritable(folder)
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise _full(folder, needed_bytes)


def check_names(paths: Iterable[Path]) -> None:
    """Raises ``BadSetting`` for a path that the system cannot even look up, such as one that is too long."""
    for path in paths:
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue  # whoever reads or writes it says so
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise BadSetting(
                f"This path cannot be used: {reason}.",
                value=f"{path.name[:60]}...",
                limit="a usual file name",
                action="Rename the file or shorten the path.",
            ) from error


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A hidden temporary path in the same folder; renamed to ``path`` on success, removed on anything else.

    Raises:
        DiskError: the folder cannot be written or the drive is full. Errors of the disk inside the block too.
    """
    beside = part_file(path, os.getpid())
    try:
        check_output(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        beside.replace(path)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        _remove(beside)


def part_file(path: Path, pid: int) -> Path:
    """The unfinished file of process ``pid`` beside ``path``; it stays only where the process was killed."""
    return path.with_name(f".{path.stem}.{pid}.part{path.suffix}")


def flush_folder(folder: Path) -> None:
    """Write the names in a folder through to the drive, so that a renaming lasts over a power cut.

    Windows does so by itself and opens no folders.
    """
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def disk_error(error: OSError, path: Path) -> DiskError:
    """The plain sentence for an operating system error while writing ``path``."""
    folder = existing_folder(path)
    if error.errno in _FULL:
        return _full(folder)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return _unwritable(folder)
    return DiskError(
        f"{path} could not be written: {error.strerror or error}.",
        value=path,
        action="Choose another folder.",
    )


def existing_folder(path: Path) -> Path:
    """The folder of a file, or the nearest one above it that exists (or is a file, which fails later)."""
    return next((folder for folder in path.absolute().parents if exists(folder)), Path.cwd())


def exists(path: Path) -> bool:
    """Whether something is there; ``Path.exists`` raises for names too long and drives that are gone."""
    return os.path.exists(path)  # noqa: PTH110


def _unwritable(folder: Path) -> DiskError:
    return DiskError(
        f"{folder} cannot be written.",
        value=folder,
        limit="a folder with write permission",
        action="Choose another folder.",
    )


def _full(folder: Path, needed_bytes: int = 0) -> DiskError:
    return DiskError(
        f"The drive of {folder} is full.",
        value=f"{shutil.disk_usage(folder).free} bytes free",
        limit=f"{needed_bytes} bytes" if needed_bytes else "enough space for the result",
        action="Free some space or choose a folder on another drive.",
    )


def _remove(beside: Path) -> None:
    try:
        beside.unlink(missing_ok=True)
    except NotADirectoryError:
        return  # its folder turned out to be a file, so nothing was written
