"""The whole list in memory: ten thousand rows take a tenth of a second to read, those that changed none.

Each transaction that changes jobs has a number, and each job that of the latest one that changed it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

from core.jobs.queue.connection import file_of
from core.jobs.queue.job import FINISHED, JobRow, StateName
from core.jobs.queue.rows import ROW_COLUMNS, fold, revision_of


class _Listed(NamedTuple):
    """A row, the text to search through, and what it is sorted by among the finished or the others."""

    row: JobRow
    text: str
    key: tuple[object, ...]


_KEY: Final = attrgetter("key")


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
        self._jobs: dict[str, _Listed] = {}
        self._ordered: list[_Listed] = []

    def rows(
        self, connection: sqlite3.Connection, states: Collection[StateName] | None = None, search: str = ""
    ) -> list[JobRow]:
        """What runs, what waits in its order, what has ended; of given states, with all words of a search."""
        with self._lock:
            self._refresh(connection)
            found = self._ordered
            if states is not None:
                found = [listed for listed in found if listed.row.state in states]
            for word in fold(search).split():
                found = [listed for listed in found if word in listed.text]
            return [listed.row for listed in found]

    def _refresh(self, connection: sqlite3.Connection) -> None:
        file, revision = file_of(self._path), revision_of(connection)
        if file != self._file or revision < self._revision:
            self._jobs, self._revision = {}, -1
        if revision == self._revision:
            return
        query = f"SELECT rowid, search, {ROW_COLUMNS} FROM job WHERE revision > ?"
        for number, search, *values in connection.execute(query, (self._revision,)):
            row = JobRow._make(values)
            self._jobs[row.id] = _Listed(row, f"{search} {row.state}", _key(row, number))
        self._drop_removed(connection)
        self._ordered = self._in_order()
        self._file, self._revision = file, revision

    def _drop_removed(self, connection: sqlite3.Connection) -> None:
        if connection.execute("SELECT count(*) FROM job").fetchone()[0] == len(self._jobs):
            return
        there = {row[0] for row in connection.execute("SELECT id FROM job")}
        for job_id in self._jobs.keys() - there:
            del self._jobs[job_id]

    def _in_order(self) -> list[_Listed]:
        """As ``history.rows`` has them."""
        ended = [one for one in self._jobs.values() if one.row.state in FINISHED]
        others = [one for one in self._jobs.values() if one.row.state not in FINISHED]
        ended.sort(key=_KEY, reverse=True)
        return sorted(others, key=_KEY) + ended


def _key(row: JobRow, number: int) -> tuple[object, ...]:
    if row.state in FINISHED:
        return row.ended, number
    return row.state != "running", -row.priority, row.position
