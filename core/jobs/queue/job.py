"""What the queue holds: a job with its whole request, where it came from, and how it stands.

The states are those of ``core.types``. They change like this; whoever runs a job holds its lease:

    Queued ──claim──> Running ──> Done | Failed | Cancelled
                         │ pause                    Paused ──resume──> Queued
                         │ engine or machine died   Interrupted ──claim──> Running, the third time Failed
    Failed | Cancelled ──retry──> Queued            a kept state makes each of them go on where it stopped
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from core.types import (
    Cancelled,
    Done,
    Failed,
    Interrupted,
    JobState,
    Paused,
    Plan,
    Queued,
    RenderRequest,
    Running,
)

StateName = Literal["queued", "running", "paused", "interrupted", "done", "failed", "cancelled"]
STATE_NAMES: tuple[StateName, ...] = (
    "queued",
    "running",
    "paused",
    "interrupted",
    "done",
    "failed",
    "cancelled",
)
FINISHED: tuple[StateName, ...] = ("done", "failed", "cancelled")
CLAIMABLE: tuple[StateName, ...] = ("interrupted", "queued")
Relation = Literal["duplicate", "lighter", "import"]
# What a user asks of a running job, from whatever process: the one that runs it obeys.
# pause: keep the state and stop; cancel: stop and drop it; keep: cancel but keep the state for a retry;
# stop: kill the engine now, and cancel.
Wish = Literal["pause", "cancel", "keep", "stop"]
MOST_RESUMES = 2


def name_of(state: JobState) -> StateName:
    """The state's name as it stands in the database and in ``--json``."""
    match state:
        case Queued():
            return "queued"
        case Running():
            return "running"
        case Paused():
            return "paused"
        case Interrupted():
            return "interrupted"
        case Done():
            return "done"
        case Failed():
            return "failed"
        case Cancelled():
            return "cancelled"


def kept_step(state: JobState) -> int:
    """The step that a job in this state goes on from; 0 where it begins anew."""
    match state:
        case Queued(step) | Paused(step) | Cancelled(step):
            return step
        case Interrupted(step=step):
            return step
        case _:
            return 0


@dataclass(frozen=True)
class Proposal:
    """A lighter way to render a job whose memory did not suffice.

    Attributes:
        plan: what would run, ``parts`` empty where other files are needed.
        changes: what is different, one sentence each.
        keeps_quality: whether the picture stays what it was.
    """

    plan: Plan
    changes: tuple[str, ...]
    keeps_quality: bool


@dataclass(frozen=True)
class Job:
    """One render in the queue.

    Attributes:
        id: 32 hexadecimal digits, never used again.
        name: what a person calls it, not unique.
        request: everything to render; inputs are copies or pinned by hash.
        priority: higher ones go first; equal ones by ``position``.
        position: place in the list, only its order means something.
        created, started, ended: date and time in UTC, ISO 8601; empty where it has not come to that.
        parent: the job that it came from, and ``relation`` how.
        plan: the estimate made when it was queued, from its start on what was executed.
        forced_plan: run this one instead of planning anew: "retry lighter", or memory did not suffice.
        deaths: how often the engine or the machine died over it since it was queued or retried.
        wish: what the user asked for while it runs.
        proposals: lighter ways, where memory did not suffice.
        notes: what the user should know.
    """

    id: str
    name: str
    request: RenderRequest
    state: JobState
    priority: int = 0
    position: int = 0
    created: str = ""
    started: str = ""
    ended: str = ""
    parent: str | None = None
    relation: Relation | None = None
    plan: Plan | None = None
    forced_plan: Plan | None = None
    deaths: int = 0
    wish: Wish | None = None
    proposals: tuple[Proposal, ...] = ()
    notes: tuple[str, ...] = ()


class JobRow(NamedTuple):
    """A job as a list shows it, without the whole request: ten thousand of these are quick.

    Attributes:
        state: its name; ``step`` of ``steps`` and ``phase`` tell how far it is.
        frames: 0 where they are not known before the motion is looked at; ``width``, ``height``: of the area
            budget, 0 where the preset decides.
        time_s: the estimate, None where there is none.
        message: why it failed or was interrupted, empty else.
        owner: whoever runs it (a lease's id), None else.
    """

    id: str
    name: str
    state: StateName
    priority: int
    position: int
    created: str
    started: str
    ended: str
    model: str
    preset: str
    width: int
    height: int
    frames: int
    steps: int
    step: int
    phase: str
    time_s: float | None
    reference: str
    motion: str
    output: str
    message: str
    parent: str | None
    relation: str | None
    owner: str | None
