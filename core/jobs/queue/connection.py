"""How the queue's database is opened, and what its errors mean to people."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from core.errors import DiskError
from core.media.disk import existing_folder

BUSY_TIMEOUT_S: Final = 10.0
# Under this much space an error of the disk means that it is full: not even a page or two can be written.
_SPARE_BYTES: Final = 256 * 2**10
_CACHE_KIB: Final = 64 * 2**10
_WAL_LIMIT_BYTES: Final = 16 * 2**20
_PRAGMAS: Final = (
    # What was told to be queued is on the disk, whatever happens to the power (the second for macOS).
    "synchronous = FULL",
    "fullfsync = ON",
    "foreign_keys = ON",
    "trusted_schema = OFF",
    "cell_size_check = ON",
    f"cache_size = -{_CACHE_KIB}",
    f"journal_size_limit = {_WAL_LIMIT_BYTES}",
)
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
_UNWRITABLE: Final = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)


def connect(path: Path, timeout_s: float = BUSY_TIMEOUT_S) -> sqlite3.Connection:
    """A connection without transactions of its own making, for whichever thread has it at the moment.

    Raises:
        sqlite3.Error: as SQLite says it (``told`` makes sentences of it).
    """
    connection = sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=False)
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def file_of(path: Path) -> tuple[int, int]:
    """Which file has this name now: a repair by another process puts a new one in its place.

    Raises:
        DiskError: none has.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise DiskError(
            f"The queue's file is gone: {error.strerror or error}.",
            value=path,
            limit="a file that stays where it is while Pirouette runs",
            action="Put it back, or start Pirouette again: it takes the newest backup.",
        ) from error
    return status.st_dev, status.st_ino


def use_wal(connection: sqlite3.Connection) -> None:
    """Readers never wait; a file system that cannot do it keeps SQLite's older journal, which is as safe."""
    connection.execute("PRAGMA journal_mode = WAL")


def is_sound(connection: sqlite3.Connection, thorough: bool = False) -> bool:
    """Whether all pages and rows are what they must be.

    Args:
        thorough: whether the indexes hold exactly what the tables do, too, which takes twice the time.

    Raises:
        sqlite3.Error: the file cannot be read now, which is not damage.
    """
    check = "integrity_check" if thorough else "quick_check"
    try:
        return bool(connection.execute(f"PRAGMA {check}(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return False
        raise


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file's content is wrong, rather than the drive or the moment."""
    return _kind(error) in _DAMAGED


def is_read_only(error: sqlite3.Error) -> bool:
    """Whether SQLite could open the file for reading only."""
    return _kind(error) == sqlite3.SQLITE_READONLY


def is_of_content(error: sqlite3.Error) -> bool:
    """Whether it lies in what a damaged file says, so that reading may go on behind it."""
    return _kind(error) not in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, *_BUSY, *_UNWRITABLE)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Errors of SQLite inside the block become sentences.

    Raises:
        DiskError: in place of what the drive, another process or the file caused; mistakes in SQL pass.
    """
    try:
        yield
    except sqlite3.Error as error:
        sentence = disk_error_of(error, path)
        if sentence is None:
            raise
        raise sentence from error


def disk_error_of(error: sqlite3.Error, path: Path) -> DiskError | None:
    """What the user is told of an error; None for a mistake in SQL, which is ours."""
    kind = _kind(error)
    if kind == sqlite3.SQLITE_FULL or (kind in (sqlite3.SQLITE_IOERR, *_UNWRITABLE) and _is_full(path)):
        return _full(path)
    if kind == sqlite3.SQLITE_IOERR:
        return DiskError(
            f"The drive failed while the queue was read or written: {error}.",
            value=f"{path} ({getattr(error, 'sqlite_errorname', 'unknown')})",
            limit="a drive that reads and writes",
            action="Try again; if it comes back, check the drive and move Pirouette's folder to another one.",
        )
    if kind in _BUSY:
        return busy(path)
    if kind in _DAMAGED:
        return damaged(path)
    if kind in _UNWRITABLE:
        return DiskError(
            f"The queue cannot be opened for writing: {error}.",
            value=path,
            limit="a file and a folder with write permission",
            action="Allow writing there, or free the files that this session has open.",
        )
    return None


def busy(path: Path) -> DiskError:
    """Another process kept the database longer than anybody should."""
    return DiskError(
        "Another program keeps the queue for itself.",
        value=path,
        limit=f"{BUSY_TIMEOUT_S:g} s of waiting",
        action="Try again; if it stays so, end other programs that have this file open.",
    )


def damaged(path: Path) -> DiskError:
    """Damage met in the middle of work; opening repairs it."""
    return DiskError(
        "The queue's file is damaged.",
        value=path,
        limit="a sound SQLite file",
        action="Close Pirouette and start it again: it repairs the queue, with its newest backup's help.",
    )


def newer(path: Path, version: int, known: int) -> DiskError:
    """The file is of a version that this program must not touch."""
    return DiskError(
        "The queue was written by a newer Pirouette.",
        value=f"version {version} of {path}",
        limit=f"version {known}",
        action="Update Pirouette, or move the queue's folder away to begin a new one.",
    )


def _full(path: Path) -> DiskError:
    folder = existing_folder(path)
    return DiskError(
        f"The drive of {folder} is full: the queue could not be written.",
        value=f"{shutil.disk_usage(folder).free} bytes free",
        limit="some megabytes for the queue",
        action="Free some space: the queue goes on then, and nothing that was queued is lost.",
    )


def _is_full(path: Path) -> bool:
    """Not every error of a full drive says so: making a file fails as "cannot open"."""
    return shutil.disk_usage(existing_folder(path)).free < _SPARE_BYTES


def _kind(error: sqlite3.Error) -> int:
    """Extended codes have the kind in their lowest byte."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
