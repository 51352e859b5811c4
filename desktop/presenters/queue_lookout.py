"""Looks at the queue, on a thread: what a list on screen needs to become what the queue is now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING, Final, Literal

from core.errors import BadInput
from desktop.model.list_steps import Step, steps_between

if TYPE_CHECKING:
    from core.jobs.queue.job import JobRow
    from core.jobs.queue.queue import Queue
    from core.jobs.queue.schedule import Schedule

FIRST_PAGE: Final = 100
# As in ``core.jobs.queue.waiting``, whose module takes a second to import: a first look needs no other.
HELD: Final = "held"
SCHEDULE: Final = "schedule"
_NEWEST: Final = 25
_AHEAD: Final = ("running", "interrupted", "queued")
Group = Literal["all", "ahead", "done", "failed"]
# What each choice of the filter shows.
_STATES: Final[Mapping[Group, tuple[str, ...] | None]] = {
    "all": None,
    "ahead": ("running", "interrupted", "queued", "paused"),
    "done": ("done",),
    "failed": ("failed", "cancelled"),
}


@dataclass(frozen=True)
class Wanted:
    """What the list is to show."""

    group: Group = "all"
    search: str = ""

    @property
    def is_all(self) -> bool:
        """Is nothing left out?"""
        return self.group == "all" and not self.search


@dataclass(frozen=True)
class Ahead:
    """What is still to be rendered.

    Attributes:
        order: ids of the jobs that wait, in the order in which they are rendered.
        offsets_s: when each of them ends, in seconds after the running one does; ends before the first that
            nobody knows the time of.
        known: all of them are in it.
        typical_s: what renders took here by model, for those without an estimate.
    """

    order: tuple[str, ...] = ()
    offsets_s: Mapping[str, float] = field(default_factory=dict)
    known: bool = True
    typical_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def total_s(self) -> float:
        """Of all that are known."""
        return max(self.offsets_s.values(), default=0.0)


@dataclass(frozen=True)
class Look:
    """The queue at one moment.

    Attributes:
        changes: the queue's number for it.
        rows: what is shown; steps: from what was shown before to it.
        renewed: rows of it that read differently than before.
        numbers: id -> row.
        counts: jobs by state, of the whole queue.
        wishes: what was asked of running jobs; others: ids of jobs that another process renders.
        other: that process, in words.
        held: further renders wait until the user says so.
        schedule: None while it is not read, or cannot be.
        opens: when the schedule lets the next one start, None for now.
        notes: what is to be known of the queue's opening.
        page: only the beginning was read, and quickly; the rest follows.
    """

    changes: int
    rows: list[JobRow]
    steps: list[Step]
    renewed: list[int]
    numbers: Mapping[str, int]
    counts: Mapping[str, int]
    ahead: Ahead
    running: tuple[JobRow, ...]
    wishes: Mapping[str, str]
    others: frozenset[str]
    other: str | None
    held: bool
    schedule: Schedule | None
    opens: datetime | None
    notes: tuple[str, ...]
    page: bool = False


def look(
    queue: Queue, base: Sequence[JobRow], wanted: Wanted, seen: int | None, page: bool = False
) -> Look | None:
    """What has become of the queue; None where nobody has changed anything since ``seen``.

    Args:
        base: what the list shows now.
        seen: the number of the last look; None looks in any case.
        page: read only the first rows, which takes the same time however many there are.

    Raises:
        DiskError: the queue cannot be read.
    """
    changes = queue.changes()
    if changes == seen:
        return None
    if page:
        every = shown = queue.rows(limit=FIRST_PAGE)
    else:
        every = queue.rows()
        states = _STATES[wanted.group]
        shown = every if wanted.is_all else queue.rows(states, wanted.search)  # type: ignore[arg-type]
    schedule = _schedule(queue)
    running = tuple(row for row in every[:FIRST_PAGE] if row.state == "running")
    before = {row.id: row for row in base}
    return Look(
        changes=changes,
        rows=shown,
        steps=steps_between([row.id for row in base], [row.id for row in shown]),
        renewed=[n for n, row in enumerate(shown) if row.id in before and before[row.id] != row],
        numbers={row.id: number for number, row in enumerate(shown)},
        counts={str(name): count for name, count in queue.count().items()},
        ahead=_ahead(every),
        running=running,
        wishes={row.id: wish for row in running if (wish := queue.wish(row.id)) is not None},
        others=frozenset(row.id for row in running if not queue.owns(row.owner)),
        other=queue.other_runner(None) if any(not queue.owns(row.owner) for row in running) else None,
        held=queue.setting(HELD, False) is True,
        schedule=schedule,
        opens=None if schedule is None else _opens(schedule),
        notes=queue.notes,
        page=page,
    )


def _schedule(queue: Queue) -> Schedule | None:
    """What is set; None where it cannot be read, which whoever works the queue says."""
    from core.codec import from_data
    from core.jobs.queue.schedule import Schedule

    data: object = queue.setting(SCHEDULE, {})
    with suppress(BadInput):
        return from_data(data, Schedule) if isinstance(data, dict) else None
    return None


def _opens(schedule: Schedule) -> datetime | None:
    """When it lets the next render start; None for now."""
    from core.jobs.queue.schedule import closed_until

    return closed_until(schedule, datetime.now())


def _ahead(rows: Sequence[JobRow]) -> Ahead:
    typical = _typical(rows)
    waiting = [row for row in rows if row.state in _AHEAD and row.state != "running"]
    offsets: dict[str, float] = {}
    at_s = 0.0
    known = True
    for row in waiting:
        takes_s = row.time_s or typical.get(row.model)
        if takes_s is None:
            known = False
            break
        at_s += takes_s * (1 - min(row.step / row.steps, 1.0) if row.steps else 1.0)
        offsets[row.id] = at_s
    return Ahead(tuple(row.id for row in waiting), offsets, known, typical)


def _typical(rows: Sequence[JobRow]) -> dict[str, float]:
    """Median seconds of the newest renders of each model."""
    taken: dict[str, list[float]] = {}
    for row in rows:
        if row.state == "done" and row.started and row.ended:
            times = taken.setdefault(row.model, [])
            if len(times) < _NEWEST:
                times.append(seconds_between(row.started, row.ended))
    return {model: median(times) for model, times in taken.items()}


def seconds_between(started: str, ended: str) -> float:
    """Of two moments of the queue, ISO 8601."""
    return max((datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds(), 0.0)
