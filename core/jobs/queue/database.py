"""The queue's database: short transactions from any thread of any process, sound or repaired when opened.

Connections are lent from a small pool instead of belonging to a thread: threads come and go, and one that
reads and then writes finds its pages still in memory. Readers never wait for a writer (WAL).
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from core.errors import DiskError
from core.jobs.queue.backup import Backups
from core.jobs.queue.connection import (
    BUSY_TIMEOUT_S,
    busy,
    connect,
    file_of,
    is_read_only,
    is_sound,
    newer,
    told,
)
from core.jobs.queue.opening import make_ready, noted
from core.jobs.queue.schema import MIGRATIONS, Migrations, version_of

_LOGGER = logging.getLogger(__name__)
_MOST_IDLE: Final = 4
_TRIES: Final = 5
_WRITE: Final = "BEGIN IMMEDIATE"
# A file that could not be opened for writing is opened for reading by SQLite, without a word and for as long
# as the connection lasts, and its write transactions are none: this fails then, and a new connection may not.
_WRITE_NOTHING: Final = "DELETE FROM setting WHERE 0"


@dataclass(frozen=True)
class _Opened:
    """A connection and which file it has: a repair by another process puts a new one in its place."""

    connection: sqlite3.Connection
    file: tuple[int, int]


class Database:
    """One SQLite file, usable from several threads and processes.

    After an error the same object goes on as soon as its cause is gone.

    Args:
        path: of the file; made with its folder where there is none.
        keep_backups: how many copies of the newest sound states stay in ``backups`` beside it.
        backups_every_s: seconds between two of them. One is made in the background after opening, where the
            database has changed since the last one.
        migrations: what makes the tables, by version.
        busy_timeout_s: how long other writers are waited for.

    Attributes:
        notes: what the user should know of the opening, such as a repair; one may come from the background.

    Raises:
        DiskError: a drive that is full or fails, no write permission, a newer version's file.
    """

    def __init__(
        self,
        path: Path,
        keep_backups: int = 3,
        *,
        backups_every_s: float = 600.0,
        migrations: Migrations = MIGRATIONS,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> None:
        self.path = path
        self._version = len(migrations)
        self._busy_timeout_s = busy_timeout_s
        self._lock = threading.Lock()
        self._idle: list[_Opened] = []
        self._closed = False
        self._writing = threading.Lock()
        self._writer: int | None = None
        self._watching = threading.Lock()
        self._watch: _Opened | None = None
        self._seen = 0
        self._changes = 0
        self._backups = Backups(path, keep_backups, backups_every_s)
        self.notes = make_ready(path, self._backups, migrations)
        # Stays open: else each transaction would be the last one of its file, which moves the WAL's pages.
        with told(path):
            self._return(self._open())
        noted(path)
        self._first_backup = threading.Thread(target=self.back_up, name="queue-backup")
        self._first_backup.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent snapshot, whatever others write meanwhile.

        Raises:
            DiskError: the file cannot be read.
        """
        with told(self.path), self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All that the block does, or nothing: rolled back on any exception, on the disk at its end.

        Raises:
            DiskError: no space, a failing drive, a lock that another process does not give back, damage.
        """
        if self._writer == threading.get_ident():
            raise RuntimeError("A write inside a write would wait for itself.")
        if not self._writing.acquire(timeout=self._busy_timeout_s):
            raise busy(self.path)
        self._writer = threading.get_ident()
        try:
            with told(self.path), self._transaction(_WRITE) as connection:
                yield connection
        finally:
            self._writer = None
            self._writing.release()

    def changes(self) -> int:
        """A number that differs from an earlier one where anybody, of any process, has committed since.

        Raises:
            DiskError: the file cannot be read.
        """
        with self._watching, told(self.path):
            if self._watch is None or self._watch.file != file_of(self.path):
                self._stop_watching()
                # On its own connection: SQLite counts only what others commit.
                self._watch = self._open()
                self._changes += 1
                self._seen = _data_version(self._watch.connection)
            seen = _data_version(self._watch.connection)
            self._changes += seen != self._seen
            self._seen = seen
            return self._changes

    def back_up(self) -> None:
        """Make a backup if one is due, and check the indexes first, which opening has no time for.

        One that fails is told in ``notes``: the queue works without.
        """
        try:
            if self._backups.due() and (self._backups.files() or self._has_jobs()):
                self._check_indexes()
                self._backups.make()
        except (DiskError, OSError, sqlite3.Error) as error:
            sentence = error.sentence() if isinstance(error, DiskError) else str(error)
            _LOGGER.warning("No backup of the queue: %s", sentence)
            self.notes = (*self.notes, f"No backup of the queue could be made. {sentence}")

    def close(self) -> None:
        """Wait for a backup on its way, and end all connections; those in use end with their transaction."""
        self._first_backup.join()
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for opened in idle:
            opened.connection.close()
        with self._watching:
            self._stop_watching()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        opened = self._begin(begin)
        try:
            yield opened.connection
            opened.connection.execute("COMMIT")
        except sqlite3.Error:
            opened.connection.close()  # which rolls back, and leaves nothing of the trouble behind
            raise
        except BaseException:
            self._roll_back(opened)
            raise
        self._return(opened)

    def _begin(self, begin: str) -> _Opened:
        """A transaction on the file that has the name now."""
        for tries_left in reversed(range(_TRIES)):
            opened = self._borrow()
            try:
                opened.connection.execute(begin)
                version = version_of(opened.connection)  # begins the snapshot, too
                if version > self._version:
                    raise newer(self.path, version, self._version)
                if begin == _WRITE:
                    opened.connection.execute(_WRITE_NOTHING)
                if opened.file == file_of(self.path):
                    return opened
            except BaseException as error:
                opened.connection.close()
                if not (tries_left and isinstance(error, sqlite3.Error) and is_read_only(error)):
                    raise
            opened.connection.close()
        raise busy(self.path)

    def _roll_back(self, opened: _Opened) -> None:
        try:
            opened.connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            _LOGGER.debug("A connection that cannot roll back is closed, which does: %s", error)
            opened.connection.close()
        else:
            self._return(opened)

    def _borrow(self) -> _Opened:
        with self._lock:
            if self._closed:
                raise RuntimeError("The queue's database is closed.")
            opened = self._idle.pop() if self._idle else None
        return opened or self._open()

    def _return(self, opened: _Opened) -> None:
        with self._lock:
            keep = not self._closed and len(self._idle) < _MOST_IDLE
            if keep:
                self._idle.append(opened)
        if not keep:
            opened.connection.close()

    def _open(self) -> _Opened:
        for _ in range(_TRIES):
            file = file_of(self.path)
            opened = _Opened(connect(self.path, self._busy_timeout_s), file)
            if file_of(self.path) == file:
                return opened
            opened.connection.close()
        raise busy(self.path)

    def _has_jobs(self) -> bool:
        with self.reading() as connection:
            return bool(connection.execute("SELECT EXISTS (SELECT 1 FROM job)").fetchone()[0])

    def _check_indexes(self) -> None:
        """Indexes can be made anew of the tables, which were found sound at opening."""
        with self.reading() as connection:
            agree = is_sound(connection, thorough=True)
        if not agree:
            with self.writing() as connection:
                connection.execute("REINDEX")
            self.notes = (*self.notes, "An index of the queue's file was damaged and has been made anew.")
            _LOGGER.warning("%s", self.notes[-1])

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.connection.close()
            self._watch = None


def _data_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])
