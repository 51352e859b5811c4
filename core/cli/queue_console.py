"""What a person sees of the queue: one line a job, and when each will be done."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Final

from core.cli.console import print_json
from core.cli.models_console import duration, table
from core.codec import to_data
from core.errors import DiskError
from core.jobs.queue.job import FINISHED, STATE_NAMES, Job, JobRow, StateName, kept_step, name_of
from core.jobs.queue.queue import Queue
from core.jobs.queue.waiting import moment

UNFINISHED: Final[tuple[StateName, ...]] = tuple(name for name in STATE_NAMES if name not in FINISHED)
_SHORTEST_ID: Final = 8
_LONGEST_NAME: Final = 40
_SHORTEST_NAME: Final = 8
_HEADINGS: Final = ("ID", "STATE", "PROGRESS", "NAME", "SIZE", "FRAMES", "STEPS", "TIME", "END")
_NAME: Final = _HEADINGS.index("NAME")
_RIGHT: Final = (5, 6, 7)
# What is left of a render when only pictures have to be made of the latents; the estimate tells it not apart.
_SHARE_AFTER_SAMPLING: Final = 0.05


@contextmanager
def opened() -> Iterator[Queue]:
    """The user's queue; what is to be known of its opening goes to standard error."""
    queue = Queue()
    try:
        for note in queue.notes:
            print(f"Note: {note}", file=sys.stderr)
        # What a killed process was rendering is not running any more. Looking must work on a full drive, too.
        with suppress(DiskError):
            queue.recover()
        yield queue
    finally:
        queue.close()


def job_data(job: Job) -> dict[str, Any]:
    """What changes of a job print with ``--json``."""
    return {
        "id": job.id,
        "name": job.name,
        "state": name_of(job.state),
        "step": kept_step(job.state),
        "priority": job.priority,
        "output": job.request.output.path,
        "wish": job.wish,
        "time_s": None if job.plan is None else job.plan.time_s,
    }


def tell(queue: Queue, job_ids: Sequence[str], as_json: bool, **more: Any) -> int:
    """How the jobs stand after a change, and ``more`` for programs; returns the exit code."""
    jobs = [queue.get(job_id) for job_id in job_ids]
    if as_json:
        print_json({"jobs": [job_data(job) for job in jobs], **more})
        return 0
    for line in table([(short(job.id), _standing(job), job.name) for job in jobs]):
        print(line)
    return 0


def tell_who_runs(queue: Queue) -> None:
    """Somebody who queues and leaves should know when nothing works the queue."""
    if not queue.runners():
        print("Nothing renders yet: `pirouette queue run` works the queue.", file=sys.stderr)


def short(job_id: str) -> str:
    """As much of an id as a person types."""
    return job_id[:_SHORTEST_ID]


def row_data(row: JobRow, end: datetime | None) -> dict[str, Any]:
    """A row for programs; ``end`` with the offset of this place."""
    return {
        **row._asdict(),
        "expected_end": None if end is None else end.astimezone().isoformat("T", "seconds"),
    }


def job_table(
    rows: Sequence[JobRow], ends: Mapping[str, datetime], now: datetime, columns: int | None = None
) -> list[str]:
    """The list of jobs; no lines where there are none.

    Args:
        columns: of the terminal, for which names are cut; None where there is none.
    """
    if not rows:
        return []
    cells = [list(_HEADINGS), *(_cells(row, ends.get(row.id), now) for row in rows)]
    longest = _LONGEST_NAME
    if columns is not None:
        widths = [max(len(line[at]) for line in cells) for at in range(len(_HEADINGS)) if at != _NAME]
        longest = min(max(columns - sum(widths) - 2 * len(widths), _SHORTEST_NAME), longest)
    for line in cells:
        line[_NAME] = _cut(line[_NAME], longest)
    return table(cells, right=_RIGHT)


def expected_ends(rows: Sequence[JobRow], now: datetime, opening: datetime | None) -> dict[str, datetime]:
    """When each unfinished job will be done, one after the other; ends at the first without an estimate.

    Args:
        rows: all that is ahead, in the order in which it is rendered.
        now: the wall clock here; opening: when the schedule lets the next one start, None for now.
    """
    ends: dict[str, datetime] = {}
    at = now
    for row in rows:
        if row.state not in ("running", "queued", "interrupted"):
            continue
        if row.time_s is None:
            break
        if row.state != "running" and opening is not None:
            at = max(at, opening)
        at += timedelta(seconds=row.time_s * _share_left(row))
        ends[row.id] = at
    return ends


def progress_of(row: JobRow) -> str:
    """``sample 12/40`` of a running job, ``from 12/40`` of one that goes on there."""
    if row.state == "running":
        return f"{row.phase} {row.step}/{row.steps}" if row.phase == "sample" and row.steps else row.phase
    if row.step and row.state != "done":
        return f"from {row.step}/{row.steps}"
    return ""


def local_time(text: str) -> datetime | None:
    """A time of the queue (UTC, ISO 8601) by the wall clock here; None where it has not come to that."""
    return datetime.fromisoformat(text).astimezone().replace(tzinfo=None) if text else None


def state_data(job: Job) -> Any:
    """Everything of a job for programs."""
    return to_data(job, Job)


def _share_left(row: JobRow) -> float:
    if row.state == "running" and row.phase in ("decode", "write"):
        return _SHARE_AFTER_SAMPLING
    if row.state == "running" and row.phase != "sample":
        return 1.0
    return 1 - min(row.step / row.steps, 1.0) if row.steps else 1.0


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _cells(row: JobRow, end: datetime | None, now: datetime) -> list[str]:
    ended = local_time(row.ended)
    when = ended or end
    return [
        short(row.id),
        row.state,
        progress_of(row),
        " ".join(row.name.split()),
        f"{row.width}x{row.height}" if row.width else "",
        str(row.frames or ""),
        str(row.steps or ""),
        "" if row.time_s is None else duration(row.time_s),
        "" if when is None else _when(when, now),
    ]


def _when(then: datetime, now: datetime) -> str:
    """The time of day, of another week the date."""
    days = abs((then.date() - now.date()).days)
    return f"{then:%Y-%m-%d %H:%M}" if days >= 7 else moment(then, now)


def _standing(job: Job) -> str:
    state = name_of(job.state)
    if job.wish is not None and state == "running":
        return f"running, {_WISHES[job.wish]}"
    return f"{state} from step {kept_step(job.state)}" if kept_step(job.state) else state


_WISHES: Final = {
    "pause": "will be paused",
    "cancel": "will be cancelled",
    "keep": "will be cancelled, its state kept",
    "stop": "is being stopped",
}
