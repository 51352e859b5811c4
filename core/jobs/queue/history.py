"""Short lists of jobs, counts, and where a job came from."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Collection, Iterator
from itertools import chain, islice
from typing import NamedTuple

from core.jobs.queue.job import FINISHED, STATE_NAMES, JobRow, StateName
from core.jobs.queue.order import WAITING, in_place
from core.jobs.queue.rows import ROW_COLUMNS


class Transition(NamedTuple):
    """One change of a job's state.

    Attributes:
        at: date and time in UTC, ISO 8601.
        old_state: empty for a new job.
    """

    at: str
    old_state: str
    new_state: str
    reason: str


def rows(
    connection: sqlite3.Connection, states: Collection[StateName] | None, limit: int | None, offset: int
) -> list[JobRow]:
    """Some jobs in the order of a list; reads only those."""
    wanted = STATE_NAMES if states is None else [name for name in STATE_NAMES if name in states]
    unfinished = [name for name in wanted if name in WAITING]
    numbers = chain(
        in_place(connection, [name for name in wanted if name == "running"]),
        in_place(connection, unfinished),
        _ended(connection, [name for name in wanted if name in FINISHED]),
    )
    query = f"SELECT {ROW_COLUMNS} FROM job WHERE rowid = ?"
    some = islice(numbers, offset, None if limit is None else offset + limit)
    return [JobRow._make(connection.execute(query, (number,)).fetchone()) for number in some]


def count(connection: sqlite3.Connection) -> dict[StateName, int]:
    """How many jobs are in each state; all states are there."""
    counted = dict(connection.execute("SELECT state, count(*) FROM job GROUP BY state").fetchall())
    return {name: counted.get(name, 0) for name in STATE_NAMES}


def lineage(connection: sqlite3.Connection, job_id: str) -> list[JobRow]:
    """A job with all that it came from and all that came from it, oldest first."""
    query = f"""
        WITH RECURSIVE
            ancestor(id) AS (VALUES (:id) UNION SELECT parent FROM job JOIN ancestor USING (id)),
            descendant(id) AS (
                VALUES (:id) UNION SELECT job.id FROM job JOIN descendant ON parent = descendant.id)
        SELECT {ROW_COLUMNS} FROM job
        WHERE id IN (SELECT id FROM ancestor UNION SELECT id FROM descendant) ORDER BY created, rowid"""
    return [JobRow._make(row) for row in connection.execute(query, {"id": job_id})]


def transitions(connection: sqlite3.Connection, job_id: str) -> list[Transition]:
    """How a job's state has changed, oldest first."""
    query = "SELECT at, old_state, new_state, reason FROM transition WHERE job_id = ? ORDER BY number"
    return [Transition._make(row) for row in connection.execute(query, (job_id,))]


def _ended(connection: sqlite3.Connection, states: Collection[StateName]) -> Iterator[int]:
    """Row numbers, the newest end first; reads no further than it is asked."""
    query = "SELECT ended, rowid FROM job WHERE state = ? ORDER BY ended DESC, rowid DESC"
    found = (connection.execute(query, (state,)) for state in states)
    return (number for _, number in heapq.merge(*found, reverse=True))
