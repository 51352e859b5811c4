"""Places in the queue: higher priorities first, equal ones by position.

Positions have gaps, so that a move writes one row. Where a gap is used up, as few of the following jobs as
possible are spread out again. Finished jobs keep their places: they are in nobody's way.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from core.errors import BadSetting
from core.jobs.queue.job import FINISHED, STATE_NAMES, StateName
from core.jobs.queue.lease import ANY_DEVICE
from core.jobs.queue.rows import REVISION

GAP: Final = 2**32
PRIORITY_LIMIT: Final = 1_000
# A gap that was just made takes this many moves before it is used up, in powers of two.
_ROOMY: Final = 2**16
_FIRST_WINDOW: Final = 32
WAITING: Final = tuple(name for name in STATE_NAMES if name not in (*FINISHED, "running"))


class Place(NamedTuple):
    """Where a job stands."""

    priority: int
    position: int


def check_priority(priority: int) -> None:
    """Raises ``BadSetting`` where it is out of range."""
    if not -PRIORITY_LIMIT <= priority <= PRIORITY_LIMIT:
        raise BadSetting(
            f"The priority {priority} is out of range.",
            value=priority,
            limit=f"-{PRIORITY_LIMIT} to {PRIORITY_LIMIT}",
            action="Choose a smaller number; 0 is usual.",
        )


def at_end(connection: sqlite3.Connection, priority: int) -> Place:
    """Behind all others of this priority."""
    query = "SELECT max(position) FROM job WHERE priority = ?"
    (last,) = connection.execute(query, (priority,)).fetchone()
    return Place(priority, 0 if last is None else last + GAP)


def last_priority(connection: sqlite3.Connection) -> int:
    """The lowest priority of all that wait; 0 where none does."""
    found = [_end_of(connection, state, "priority, position DESC") for state in WAITING]
    return min((place.priority for _, place in filter(None, found)), default=0)


def first_waiting(connection: sqlite3.Connection) -> str | None:
    """The job that stands before all others that wait."""
    found = filter(None, (_end_of(connection, state, "priority DESC, position") for state in WAITING))
    first = min(found, key=lambda item: (-item[1].priority, item[1].position), default=None)
    return None if first is None else first[0]


def in_place(
    connection: sqlite3.Connection, states: Collection[StateName], device: str = ANY_DEVICE
) -> Iterator[int]:
    """Row numbers of the jobs in these states by their places; reads no further than it is asked.

    Args:
        device: only jobs that may run there; they may ask for a GPU by the beginning of its UUID.
    """
    query = """
        SELECT -priority, position, rowid FROM job
        WHERE state = :state AND (:device = :any OR device = 'auto' OR instr(:device, device) = 1)
        ORDER BY priority DESC, position"""
    names = {"device": device, "any": ANY_DEVICE}
    found = (connection.execute(query, {"state": state, **names}) for state in states)
    return (number for _, _, number in heapq.merge(*found))


def before(connection: sqlite3.Connection, place: Place) -> Place:
    """A free place right before a taken one; makes room where there is none."""
    low = _neighbour(connection, place, "<", "DESC")
    if low is None:
        return Place(place.priority, place.position - GAP)
    high = place.position
    if high - low < 2:
        _spread(connection, place.priority, low)
        high = _after(connection, place.priority, low)
    return Place(place.priority, low + (high - low) // 2)


def behind(connection: sqlite3.Connection, place: Place) -> Place:
    """A free place right behind a taken one."""
    high = _neighbour(connection, place, ">", "ASC")
    if high is None:
        return Place(place.priority, place.position + GAP)
    return before(connection, Place(place.priority, high))


def _end_of(connection: sqlite3.Connection, state: str, order: str) -> tuple[str, Place] | None:
    """The first of a state in an order; reads one entry of the index."""
    query = f"SELECT id, priority, position FROM job WHERE state = ? ORDER BY {order} LIMIT 1"
    row = connection.execute(query, (state,)).fetchone()
    return None if row is None else (row[0], Place(row[1], row[2]))


def _neighbour(connection: sqlite3.Connection, place: Place, side: str, order: str) -> int | None:
    query = (
        f"SELECT position FROM job WHERE priority = ? AND position {side} ? ORDER BY position {order} LIMIT 1"
    )
    row = connection.execute(query, place).fetchone()
    return None if row is None else int(row[0])


def _after(connection: sqlite3.Connection, priority: int, position: int) -> int:
    found = _neighbour(connection, Place(priority, position), ">", "ASC")
    return position + 2 * GAP if found is None else found


def _spread(connection: sqlite3.Connection, priority: int, low: int) -> None:
    """Give the jobs behind ``low`` new positions, of as few as makes the gaps between them roomy."""
    count = _FIRST_WINDOW
    query = "SELECT id, position FROM job WHERE priority = ? AND position > ? ORDER BY position LIMIT ?"
    while True:
        rows = connection.execute(query, (priority, low, count + 1)).fetchall()
        if len(rows) <= count:
            _space_out(connection, rows, low, GAP)
            return
        gap = (rows[-1][1] - low) // (count + 1)
        if gap >= _ROOMY:
            _space_out(connection, rows[:-1], low, gap)
            return
        count *= 2


def _space_out(connection: sqlite3.Connection, rows: list[tuple[str, int]], low: int, gap: int) -> None:
    placed = [(low + gap * number, job_id) for number, (job_id, _) in enumerate(rows, 1)]
    connection.executemany(f"UPDATE job SET position = ?, revision = {REVISION} WHERE id = ?", placed)
