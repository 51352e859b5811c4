"""Who runs which job: claims, changes by the one that runs it, and jobs whose runner is gone.

Every function works inside one writing transaction, so that two processes never get the same job, and every
change of a running job asks for its owner, so that whoever lost it changes nothing any more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final, TypedDict, Unpack

from core.errors import BadInput
from core.jobs.queue.changes import Moment, change, died, given_back, wished, write
from core.jobs.queue.job import CLAIMABLE, Job, Proposal
from core.jobs.queue.lease import Lease, LeaseRow, Observer, drop, lease_rows, meet
from core.jobs.queue.order import in_place
from core.jobs.queue.rows import (
    Values,
    job_of,
    notes_text,
    plan_columns,
    plan_text,
    proposals_text,
    request_columns,
    request_of,
    stored,
    unreadable,
)
from core.types import Cancelled, Interrupted, JobState, Plan, Progress, Queued, RenderRequest, Running


class Unset(Enum):
    """Says that an argument was not given, where None means something."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
_GONE: Final = "The program that rendered it is gone: it crashed, was killed, or the power failed."


class Changes(TypedDict, total=False):
    """What the one that runs a job may change of it; see ``Job``.

    ``kept_step`` is the step that it would go on from if everything died now.
    """

    state: JobState | Unset
    plan: Plan | Unset | None
    forced_plan: Plan | Unset | None
    notes: tuple[str, ...] | Unset
    deaths: int | Unset
    proposals: tuple[Proposal, ...] | Unset
    request: RenderRequest | Unset
    kept_step: int | Unset


def claim(moment: Moment, lease: Lease, observer: Observer) -> Job | None:
    """The next job that this lease may run, now running; None where there is none or the device is taken."""
    if _is_taken(moment.connection, lease, observer):
        return None
    for number in in_place(moment.connection, CLAIMABLE, lease.device):
        values = next(stored(moment.connection, "rowid = ?", number))
        try:
            request_of(values)
        except BadInput as error:
            change(moment, values, unreadable(error))
            continue
        running = Running(Progress("start", values["kept_step"]))
        change(moment, values, running, owner=lease.id, wish=None, started=moment.at, ended="")
        return job_of(next(stored(moment.connection, "rowid = ?", number)))
    return None


def update(moment: Moment, owner: str, job_id: str, **changes: Unpack[Changes]) -> Values | None:
    """Change a running job; its columns as they are then, or None where the owner has lost it."""
    mine = "id = ? AND state = 'running' AND owner = ?"
    values = next(stored(moment.connection, mine, job_id, owner), None)
    if values is None:
        return None
    columns = _columns(values, changes)
    if columns:
        write(moment.connection, job_id, columns)
        values = {**values, **columns}
    state = changes.get("state", UNSET)
    if state is not UNSET:
        _set_state(moment, values, state, counted="deaths" in columns)
    return next(stored(moment.connection, "id = ?", job_id))


def give_back(moment: Moment, owner: str) -> list[str]:
    """Let go of all jobs of a lease in order, and of the lease; the ids of those that keep nothing."""
    mine = [(values, given_back(values)) for values in _owned(moment.connection, owner)]
    for values, state in mine:
        change(moment, values, state, "Its runner was closed.")
    drop(moment.connection, owner)
    return [values["id"] for values, state in mine if state == Cancelled()]


def recover(moment: Moment, observer: Observer) -> list[Job]:
    """Take running jobs from dead leases; those that it changed, as they are now."""
    dead, orphans = dead_leases(moment.connection, observer)
    for values in orphans:
        state, deaths = died(values, _GONE)
        change(moment, values, state, deaths=deaths)
    for lease in dead:
        drop(moment.connection, lease.id)
        observer.forget(lease.id)
    changed = (next(stored(moment.connection, "id = ?", values["id"])) for values in orphans)
    return [job_of(values) for values in changed]


def dead_leases(connection: sqlite3.Connection, observer: Observer) -> tuple[list[LeaseRow], list[Values]]:
    """Leases that nobody stands behind, and running jobs without a living owner."""
    leases = lease_rows(connection)
    dead = [lease for lease in leases if not observer.is_alive(lease)]
    living = {lease.id for lease in leases} - {lease.id for lease in dead}
    running = stored(connection, "state = 'running'")
    return dead, [values for values in running if values["owner"] not in living]


def running_leases(connection: sqlite3.Connection) -> list[LeaseRow]:
    """Leases under which a job runs."""
    query = "SELECT DISTINCT owner FROM job WHERE state = 'running'"
    owners = {row[0] for row in connection.execute(query)}
    return [lease for lease in lease_rows(connection) if lease.id in owners]


def has_work(connection: sqlite3.Connection, lease: Lease, observer: Observer) -> bool:
    """Whether this lease could claim a job: who waits for one asks again and again, and writes nothing."""
    if _is_taken(connection, lease, observer):
        return False
    return next(in_place(connection, CLAIMABLE, lease.device), None) is not None


def _is_taken(connection: sqlite3.Connection, lease: Lease, observer: Observer) -> bool:
    return any(
        other.id == lease.id or (meet(lease.device, other.device) and observer.is_alive(other))
        for other in running_leases(connection)
    )


def _owned(connection: sqlite3.Connection, owner: str) -> Iterator[Values]:
    return stored(connection, "state = 'running' AND owner = ?", owner)


def _columns(values: Values, changes: Changes) -> Values:
    """The columns of all changes but the state's."""
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not UNSET}
    columns: Values = {}
    if "request" in given:
        columns |= request_columns(values["name"], given["request"])
    if "plan" in given:
        columns |= plan_columns(given.get("request") or job_of(values).request, given["plan"])
    if "forced_plan" in given:
        columns["forced_plan"] = plan_text(given["forced_plan"])
    if "notes" in given:
        columns["notes"] = notes_text(given["notes"])
    if "proposals" in given:
        columns["proposals"] = proposals_text(given["proposals"])
    return columns | {name: given[name] for name in ("deaths", "kept_step") if name in given}


def _set_state(moment: Moment, values: Values, state: JobState, counted: bool) -> None:
    """A wish that came too late for the runner to see still decides what a job becomes that would go on."""
    more: Values = {}
    if isinstance(state, Interrupted) and not counted:
        more["deaths"] = state.attempts
    if isinstance(state, Interrupted | Queued):
        state = wished(values["wish"], state.step) or state
    change(moment, values, state, **more)
