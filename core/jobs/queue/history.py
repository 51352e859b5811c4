"""Short lists of jobs, counts, and where a job came from."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Final, NamedTuple

from core.jobs.queue.job import FINISHED, STATE_NAMES, JobRow, StateName
from core.jobs.queue.rows import ROW_COLUMNS

_FINISHED: Final = ", ".join(f"'{name}'" for name in FINISHED)
# What runs, what waits in its order, what has ended with the newest first.
_ORDER: Final = f"""
    CASE WHEN state = 'running' THEN 0 WHEN state IN ({_FINISHED}) THEN 2 ELSE 1 END,
    CASE WHEN state IN ({_FINISHED}) THEN 0 ELSE priority END DESC,
    CASE WHEN state IN ({_FINISHED}) THEN 0 ELSE position END,
    ended DESC, created DESC, id DESC"""


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
    """Jobs in the order of a list, some of them."""
    wanted = STATE_NAMES if states is None else tuple(states)
    query = (
        f"SELECT {ROW_COLUMNS} FROM job WHERE state IN ({', '.join('?' * len(wanted))}) "
        f"ORDER BY {_ORDER} LIMIT ? OFFSET ?"
    )
    found = connection.execute(query, (*wanted, -1 if limit is None else limit, offset))
    return list(map(JobRow._make, found))


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
