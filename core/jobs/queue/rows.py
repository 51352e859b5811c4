"""A job as columns of the database and back, and the text that a search looks through.

A column whose JSON cannot be read never stops a list: the job stands there as failed and says why.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from core.codec import from_json, to_json
from core.errors import BadInput
from core.jobs.queue.job import Job, JobRow, Proposal, kept_step, name_of
from core.types import (
    Failed,
    Failure,
    Interrupted,
    JobState,
    MediaInput,
    Output,
    Plan,
    RenderRequest,
    Running,
)

Values = dict[str, Any]
ROW_COLUMNS: Final = ", ".join(JobRow._fields)
# ``kept_step`` is what a running or failed job goes on from: its state does not tell.
_MORE: Final = (
    "device",
    "wish",
    "deaths",
    "kept_step",
    "search",
    "state_data",
    "request",
    "plan",
    "forced_plan",
    "proposals",
    "notes",
)
_ALL: Final = (*JobRow._fields, *_MORE)
ALL_COLUMNS: Final = ", ".join(_ALL)
# The number of the open transaction among all that changed jobs (``next_revision``).
REVISION: Final = "(SELECT CAST(value AS INTEGER) FROM setting WHERE name = 'revision')"
INSERT: Final = (
    f"INSERT INTO job ({ALL_COLUMNS}, revision) VALUES ({', '.join(f':{name}' for name in _ALL)}, {REVISION})"
)


def next_revision(connection: sqlite3.Connection) -> None:
    """Begin a transaction that changes jobs: lists read again what was written since they were read."""
    connection.execute(
        "INSERT INTO setting (name, value) "
        "VALUES ('revision', (SELECT coalesce(max(revision), 0) + 1 FROM job)) "
        "ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + 1"
    )


def revision_of(connection: sqlite3.Connection) -> int:
    """The number of the latest transaction that changed jobs; 0 where there was none."""
    row = connection.execute(f"SELECT {REVISION}").fetchone()
    return row[0] or 0


def stored(connection: sqlite3.Connection, where: str, *values: object) -> Iterator[Values]:
    """All columns of the jobs that meet a condition."""
    for row in connection.execute(f"SELECT {ALL_COLUMNS} FROM job WHERE {where}", values):
        yield dict(zip(_ALL, row, strict=True))


def columns_of(job: Job) -> Values:
    """All columns of a new job."""
    columns = {
        "id": job.id,
        "priority": job.priority,
        "position": job.position,
        "created": job.created,
        "started": job.started,
        "ended": job.ended,
        "parent": job.parent,
        "relation": job.relation,
        "owner": None,
        "wish": job.wish,
        "deaths": job.deaths,
        "kept_step": kept_step(job.state),
        "forced_plan": plan_text(job.forced_plan),
        "proposals": proposals_text(job.proposals),
        "notes": notes_text(job.notes),
    }
    return {
        **columns,
        **request_columns(job.name, job.request),
        **plan_columns(job.request, job.plan),
        **state_columns(job.state),
    }


def request_columns(name: str, request: RenderRequest) -> Values:
    """What the name and the request decide."""
    return {
        "name": name,
        "model": request.model,
        "preset": request.preset,
        "reference": request.reference.path,
        "motion": request.motion.path,
        "output": request.output.path,
        "device": request.device,
        "search": search_text(name, request),
        "request": to_json(request),
    }


def plan_columns(request: RenderRequest, plan: Plan | None) -> Values:
    """What the plan decides; without one what the request says about it."""
    size = plan.size if plan else request.size
    return {
        "width": size.width if size else 0,
        "height": size.height if size else 0,
        "frames": plan.frames if plan else request.frames or 0,
        "steps": plan.sampling.steps if plan else request.overrides.steps or 0,
        "time_s": plan.time_s if plan else None,
        "plan": plan_text(plan),
    }


def state_columns(state: JobState) -> Values:
    """What the state decides; the kept step is left to whoever changes it."""
    columns: Values = {
        "state": name_of(state),
        "state_data": to_json(state, JobState),
        "step": kept_step(state),
        "phase": "",
        "message": "",
    }
    match state:
        case Running(progress):
            columns |= {"step": progress.step, "phase": progress.phase}
        case Interrupted(reason=reason):
            columns["message"] = reason
        case Failed(failure):
            columns["message"] = str(failure.error.get("message") or "")
        case _:
            pass
    return columns


def plan_text(plan: Plan | None) -> str | None:
    """A plan's column."""
    return None if plan is None else to_json(plan)


def proposals_text(proposals: tuple[Proposal, ...]) -> str:
    """The proposals' column."""
    return to_json(proposals, tuple[Proposal, ...]) if proposals else "[]"


def notes_text(notes: tuple[str, ...]) -> str:
    """The notes' column."""
    return to_json(notes, tuple[str, ...]) if notes else "[]"


def search_text(name: str, request: RenderRequest) -> str:
    """Folded: name, prompts, model, preset and the names of all files; the state is added when searching."""
    inputs = (
        request.reference,
        request.motion,
        request.keypoints,
        request.sound_from,
        request.reference_keypoints,
    )
    paths = [item.path for item in inputs if item is not None]
    paths += [request.output.path, *(lora.path for lora in request.loras)]
    names = [path.replace("\\", "/").rpartition("/")[2] for path in paths]
    return fold(
        " ".join([name, request.prompt, request.negative_prompt or "", request.model, request.preset, *names])
    )


def fold(text: str) -> str:
    """Without case and accents, for a search."""
    if text.isascii():
        return text.casefold()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter)).casefold()


def is_unreadable(values: Values) -> bool:
    """Whether a job that has not failed must be shown as failed; a running one is its runner's matter."""
    return values["state"] not in ("failed", "running") and isinstance(job_of(values).state, Failed)


def unreadable(error: BadInput) -> Failed:
    """The state of a job whose stored request or state makes no sense."""
    told = BadInput(
        f"What the queue stored of this job cannot be read: {error.message}",
        value=error.value,
        action="Queue it again, and remove this one.",
    )
    return Failed(Failure(told.to_json(), told.exit_code))


def job_of(values: Values) -> Job:
    """The job; as failed where its request or its state cannot be read."""
    job = Job(
        id=values["id"],
        name=values["name"],
        request=_request_of_columns(values),
        state=Failed(Failure({}, 1)),
        priority=values["priority"],
        position=values["position"],
        created=values["created"],
        started=values["started"],
        ended=values["ended"],
        parent=values["parent"],
        relation=values["relation"],
        deaths=values["deaths"],
        wish=values["wish"],
    )
    try:
        job = replace(job, request=request_of(values))
        job = replace(job, state=from_json(values["state_data"], JobState))
    except BadInput as error:
        return replace(job, state=unreadable(error))
    return _with_extras(job, values)


def request_of(values: Values) -> RenderRequest:
    """The request; raises ``BadInput`` where it cannot be read."""
    request: RenderRequest = from_json(values["request"], RenderRequest)
    return request


def _with_extras(job: Job, values: Values) -> Job:
    """A job does without those of its plans, proposals and notes that cannot be read, and says so."""
    lost: list[str] = []

    def read(column: str, as_type: Any, otherwise: Any) -> Any:
        try:
            return otherwise if values[column] is None else from_json(values[column], as_type)
        except BadInput:
            lost.append(f"What the queue stored as {column} of this job cannot be read.")
            return otherwise

    return replace(
        job,
        plan=read("plan", Plan, None),
        forced_plan=read("forced_plan", Plan, None),
        proposals=read("proposals", tuple[Proposal, ...], ()),
        notes=(*read("notes", tuple[str, ...], ()), *lost),
    )


def _request_of_columns(values: Values) -> RenderRequest:
    """As much of a request as the list's columns tell, for a job whose own cannot be read."""
    return RenderRequest(
        reference=MediaInput(values["reference"]),
        motion=MediaInput(values["motion"]),
        output=Output(values["output"]),
        model=values["model"],
        preset=values["preset"],
    )
