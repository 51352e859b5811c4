"""How a job changes its state: what is allowed from where, and what every change leaves behind."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from string import hexdigits
from typing import Any, Final

from core.errors import BadInput, BadSetting, EngineError
from core.jobs.queue.job import FINISHED, MOST_RESUMES, StateName, Wish, kept_step
from core.jobs.queue.order import WAITING
from core.jobs.queue.rows import REVISION, Values, job_of, request_of, state_columns, stored
from core.types import (
    Cancelled,
    Done,
    Failed,
    Failure,
    Interrupted,
    JobState,
    Paused,
    Queued,
    RenderRequest,
    Running,
)

# What a user may do with a job, by its state; the runner's own changes are those of ``core.jobs.queue.job``.
_ALLOWED: Final[dict[str, tuple[StateName, ...]]] = {
    "move": WAITING,
    "edit": (*WAITING, "failed", "cancelled"),
    "pause": ("queued", "running", "interrupted"),
    "resume": ("paused",),
    "cancel": (*WAITING, "running"),
    "retry": ("failed", "cancelled"),
    "retry lighter": ("failed",),
    "remove": (*WAITING, *FINISHED),
}
_PASSIVE: Final = {
    "move": "moved",
    "edit": "edited",
    "pause": "paused",
    "resume": "resumed",
    "cancel": "cancelled",
    "retry": "retried",
    "retry lighter": "retried lighter",
    "remove": "removed",
}
_SHORTEST: Final = 4


@dataclass(frozen=True)
class Moment:
    """When and in which open transaction something changes.

    Attributes:
        at: date and time in UTC, ISO 8601.
    """

    connection: sqlite3.Connection
    at: str


def require(values: Values, step: str) -> None:
    """Raises ``BadSetting`` unless the job's state allows this step."""
    allowed, state = _ALLOWED[step], values["state"]
    if state not in allowed:
        raise BadSetting(
            f"The job '{values['name']}' is {state}: it cannot be {_PASSIVE[step]}.",
            value=state,
            limit=", ".join(allowed),
            action=f"Possible now: {', '.join(possible(state))}.",
        )


def possible(state: StateName) -> tuple[str, ...]:
    """What a user may do with a job in this state, in the words of ``_ALLOWED``."""
    return tuple(name for name, states in _ALLOWED.items() if state in states)


def write(connection: sqlite3.Connection, job_id: str, columns: Values) -> None:
    """Set columns of a job."""
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    query = f"UPDATE job SET {assignments}, revision = {REVISION} WHERE id = :job_id"
    connection.execute(query, {**columns, "job_id": job_id})


def change(moment: Moment, values: Values, state: JobState, reason: str = "", **more: Any) -> None:
    """Set a job's state and what follows from it, and write down that it changed.

    Args:
        values: the job as it stands in the database.
        more: further columns.
    """
    columns = {**state_columns(state), **_consequences(moment, values, state), **more}
    write(moment.connection, values["id"], columns)
    if columns["state"] != values["state"]:
        record(moment, values["id"], values["state"], columns["state"], reason or columns["message"])


def record(moment: Moment, job_id: str, old: str, new: str, reason: str = "") -> None:
    """Write down a change of state."""
    moment.connection.execute(
        "INSERT INTO transition (job_id, at, old_state, new_state, reason) VALUES (?, ?, ?, ?, ?)",
        (job_id, moment.at, old, new, reason),
    )


def _consequences(moment: Moment, values: Values, state: JobState) -> Values:
    columns: Values = {}
    match state:
        case Running(progress):
            if progress.phase == "sample":  # other phases count other things
                columns["steps"] = progress.steps
            return columns
        case Done():
            columns |= {"step": values["steps"], "kept_step": 0}
        case Failed():
            columns["step"] = values["kept_step"]
        case _:
            columns["kept_step"] = kept_step(state)
    ended = moment.at if isinstance(state, Done | Failed | Cancelled) else ""
    return {**columns, "owner": None, "wish": None, "ended": ended}


def given_back(values: Values) -> JobState:
    """The state of a running job whose runner lets go of it in order."""
    return wished(values["wish"], values["kept_step"]) or Queued(values["kept_step"])


def died(values: Values, reason: str) -> tuple[JobState, int]:
    """The state of a running job whose runner is gone, and how often that has happened to it now."""
    deaths = values["deaths"] + 1
    asked = wished(values["wish"], values["kept_step"])
    if asked is not None:
        return asked, deaths
    if deaths > MOST_RESUMES:
        return Failed(died_too_often(deaths, reason)), deaths
    return Interrupted(deaths, values["kept_step"], reason), deaths


def wished(wish: Wish | None, step: int) -> JobState | None:
    """What a user's wish makes of a job that no longer runs; None where there was none."""
    match wish:
        case "pause":
            return Paused(step)
        case "keep":
            return Cancelled(step)
        case "cancel" | "stop":
            return Cancelled(0)
        case _:
            return None


def died_too_often(deaths: int, reason: str = "") -> Failure:
    """Why a job is given up whose engine or machine died too often."""
    error = EngineError(
        f"This render was interrupted {deaths} times and is not started by itself again. {reason}".strip(),
        value=deaths,
        limit=MOST_RESUMES,
        action="Look into its log, then retry it, or retry it with lighter settings.",
    )
    return Failure(error.to_json(), error.exit_code)


def only(connection: sqlite3.Connection, job_id: str) -> Values:
    """A job by its id or by a unique beginning of at least 4 digits.

    Raises:
        BadSetting: there is none, or there are several.
    """
    low = job_id.strip().lower()
    found: list[Values] = []
    if len(low) >= _SHORTEST and set(low) <= set(hexdigits):
        # 'g' sorts behind all digits.
        found = list(stored(connection, "id >= ? AND id < ? LIMIT 2", low, f"{low}g"))
    if len(found) == 1:
        return found[0]
    if found:
        raise BadSetting(
            f"Several jobs begin with '{job_id}'.", value=job_id, action="Give more digits of the id."
        )
    raise BadSetting(
        f"No job '{job_id}' is in the queue.",
        value=job_id,
        limit=f"an id of the queue, or at least {_SHORTEST} digits of one",
        action="`pirouette queue list --all` shows them.",
    )


def same_render(values: Values, request: RenderRequest) -> bool:
    """Whether a kept state still belongs to a changed request: nothing but the output differs."""
    try:
        before = request_of(values)
    except BadInput:
        return False
    return before == replace(request, output=before.output)


def begun_anew(values: Values) -> Values:
    """The columns of a job that keeps its state but has nothing to go on from."""
    state = job_of(values).state
    match state:
        case Queued() | Paused() | Interrupted() | Cancelled():
            return {**state_columns(replace(state, step=0)), "kept_step": 0}
        case _:
            return {"step": 0, "kept_step": 0}
