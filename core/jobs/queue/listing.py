"""The whole list in memory: ten thousand rows take a tenth of a second to read, those that changed none.

Each transaction that changes jobs has a number, and each job that of the latest one that changed it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection
from pathlib import Path

from core.errors import DiskError
from core.jobs.queue.job import FINISHED, JobRow, StateName
from core.jobs.queue.rows import ROW_COLUMNS, fold, revision_of


class Listing:
    """All rows of a queue, as they stood when last asked; used from any thread.

    Args:
        path: of the database: where another file lies there, a repaired one, all is read anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file: tuple[int, int] | None = None
        self._revision = 0
        self._rows: dict[str, JobRow] = {}
        self._searched: dict[str, str] = {}
        self._ordered: list[JobRow] = []

    def rows(
        self, connection: sqlite3.Connection, states: Collection[StateName] | None = None, search: str = ""
    ) -> list[JobRow]:
        """What runs, what waits in its order, what has ended; of given states, with all words of a search."""
        with self._lock:
            self._refresh(connection)
            ordered, searched = self._ordered, self._searched
            if states is not None:
                ordered = [row for row in ordered if row.state in states]
            for word in fold(search).split():
                ordered = [row for row in ordered if word in searched[row.id] or word in row.state]
            return list(ordered)

    def _refresh(self, connection: sqlite3.Connection) -> None:
        file, revision = _identity(self._path), revision_of(connection)
        if file != self._file or revision < self._revision:
            self._rows, self._searched, self._revision = {}, {}, -1
        if revision == self._revision:
            return
        query = f"SELECT search, {ROW_COLUMNS} FROM job WHERE revision > ?"
        for search, *values in connection.execute(query, (self._revision,)):
            row = JobRow._make(values)
            self._rows[row.id], self._searched[row.id] = row, search
        self._drop_removed(connection)
        self._ordered = _in_order(self._rows.values())
        self._file, self._revision = file, revision

    def _drop_removed(self, connection: sqlite3.Connection) -> None:
        if connection.execute("SELECT count(*) FROM job").fetchone()[0] == len(self._rows):
            return
        there = {row[0] for row in connection.execute("SELECT id FROM job")}
        for job_id in self._rows.keys() - there:
            del self._rows[job_id], self._searched[job_id]


def _in_order(rows: Collection[JobRow]) -> list[JobRow]:
    ended = [row for row in rows if row.state in FINISHED]
    waiting = [row for row in rows if row.state not in FINISHED]
    waiting.sort(key=lambda row: (row.state != "running", -row.priority, row.position))
    ended.sort(key=lambda row: (row.ended, row.created, row.id), reverse=True)
    return waiting + ended


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError as error:
        raise DiskError(f"The queue's file is gone: {error}.", value=path, action="Put it back.") from error
    return status.st_dev, status.st_ino
