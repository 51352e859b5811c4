"""Copies of a sound database, the newest few, made while others read and write."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from core.jobs.queue.connection import connect, damaged, is_damage, is_sound, told
from core.jobs.queue.schema import version_of
from core.media.disk import disk_error, written_beside

_TIME: Final = "%Y%m%dT%H%M%S%fZ"
# No copy takes as long: what is older was left by a process that was killed.
_ABANDONED_S: Final = 3600.0


@dataclass(frozen=True)
class Backups:
    """The folder ``backups`` beside a database.

    Attributes:
        path: of the database.
        keep: the newest so many stay; 0 makes none.
        every_s: seconds between two of them, so that a hundred short commands do not push out the old ones.
        clock: seconds since 1970.
    """

    path: Path
    keep: int = 3
    every_s: float = 600.0
    clock: Callable[[], float] = time.time

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self.path.parent / "backups"

    def files(self) -> list[Path]:
        """The backups, the newest first."""
        found = self.folder.glob(f"{self.path.stem}-*{self.path.suffix}")
        return sorted((path for path in found if _made_at(path) is not None), reverse=True)

    def due(self) -> bool:
        """Whether the database has changed since the newest backup and that one is old enough."""
        if self.keep < 1:
            return False
        newest = next(iter(self.files()), None)
        made_at = None if newest is None else _made_at(newest)
        if newest is None or made_at is None:
            return True
        age_s = self.clock() - made_at.timestamp()
        return not 0 <= age_s < self.every_s and newest.stat().st_mtime_ns != _changed_ns(self.path)

    def make(self) -> Path:
        """Copy the database as it stands now, and drop the oldest copies.

        Raises:
            DiskError: no space, the folder cannot be written, or the copy is not sound.
        """
        target = self._named("", self.clock())
        changed_ns = _changed_ns(self.path)
        with written_beside(target) as part:
            part.unlink(missing_ok=True)
            with told(self.path):
                _copy(self.path, part)
            # The date of what is inside tells ``due`` whether the database has changed since.
            os.utime(part, ns=(changed_ns, changed_ns))
        self._drop_old()
        return target

    def newest_sound(self, newest_version: int) -> Path | None:
        """The newest backup without damage, of a version that this program knows."""
        for path in self.files():
            with told(path):
                if _is_usable(path, newest_version):
                    return path
        return None

    def damaged_file(self, when_s: float) -> Path:
        """The name of a database that is set aside, repaired ``when_s`` seconds after 1970."""
        return self._named("damaged-", when_s)

    def _named(self, prefix: str, when_s: float) -> Path:
        stamp = datetime.fromtimestamp(when_s, UTC).strftime(_TIME)
        return self.folder / f"{prefix}{self.path.stem}-{stamp}{self.path.suffix}"

    def _drop_old(self) -> None:
        try:
            for path in self.files()[max(1, self.keep) :]:
                path.unlink(missing_ok=True)
            for path in self.folder.glob(f".{self.path.stem}-*"):
                if self.clock() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise disk_error(error, self.folder) from error


def words_of(backup: Path) -> str:
    """When a backup was made, for people."""
    made_at = _made_at(backup)
    return backup.name if made_at is None else f"{made_at:%Y-%m-%d %H:%M} UTC"


def _made_at(path: Path) -> datetime | None:
    try:
        return datetime.strptime(path.stem.rpartition("-")[2], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


def _changed_ns(path: Path) -> int:
    """When the database was last written, as far as the file system tells; an empty WAL says nothing."""
    wal = path.with_name(f"{path.name}-wal")
    try:
        status = wal.stat()
        wal_ns = status.st_mtime_ns if status.st_size else 0
    except FileNotFoundError:
        wal_ns = 0
    return max(path.stat().st_mtime_ns, wal_ns)


def _copy(source_path: Path, target_path: Path) -> None:
    """All pages in one step: readers and writers of the source go on meanwhile, thanks to its WAL."""
    with closing(connect(source_path)) as source, closing(sqlite3.connect(target_path)) as target:
        source.backup(target)
        # One file, which can be copied by hand.
        target.execute("PRAGMA journal_mode = DELETE")
        if not is_sound(target):
            raise damaged(source_path)


def _is_usable(path: Path, newest_version: int) -> bool:
    try:
        with closing(sqlite3.connect(path)) as database:
            return 1 <= version_of(database) <= newest_version and is_sound(database, thorough=True)
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return False
        raise
