"""Small pieces of work on the queue that need no way back; called on threads, no Qt in here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import BadSetting
from core.types import MediaInput, RenderRequest
from desktop.presenters.queue_details import InputName
from desktop.presenters.queue_lookout import HELD

if TYPE_CHECKING:
    from core.jobs.queue.job import Job, StateName
    from core.jobs.queue.queue import Queue

# Jobs that "Stop now" has paused: they go on when the queue does.
_STOPPED: Final = "stopped"
# Said of a queue from which jobs were removed: copies of their inputs may lie there for nothing. They are
# needed while the removal can be undone, so the next start drops them.
COLLECT: Final = "collect"
_PAUSED: Final[tuple[StateName, ...]] = ("paused",)
_UNFINISHED: Final[tuple[StateName, ...]] = ("running", "queued", "paused", "interrupted")
_RUNNING: Final[tuple[StateName, ...]] = ("running",)


def hold(queue: Queue, on: bool) -> None:
    """Start no further render, or go on; what ``stop_now`` has paused goes on, too."""
    queue.set_setting(HELD, on)
    stopped: list[str] = queue.setting(_STOPPED, [])
    if on or not stopped:
        return
    for row in queue.rows(_PAUSED):
        if row.id in stopped:
            queue.resume(row.id)
    queue.set_setting(_STOPPED, [])


def stop_now(queue: Queue) -> None:
    """Pause what runs and start nothing further."""
    queue.set_setting(HELD, True)
    running = [row.id for row in queue.rows(_RUNNING)]
    stopped: list[str] = queue.setting(_STOPPED, [])
    queue.set_setting(_STOPPED, [*stopped, *running])
    for job_id in running:
        queue.pause(job_id)


def each(change: Callable[[Queue, str], object], job_ids: Sequence[str]) -> Callable[[Queue], None]:
    """The same with several jobs."""

    def work(queue: Queue) -> None:
        for job_id in job_ids:
            change(queue, job_id)

    return work


def pause(queue: Queue, job_id: str) -> None:
    """Stop it, keep its state."""
    queue.pause(job_id)


def resume(queue: Queue, job_id: str) -> None:
    """Let it wait for its turn."""
    queue.resume(job_id)


def cancel_running(queue: Queue, job_id: str) -> None:
    """Give it up and keep its state, so that a retry goes on there."""
    queue.cancel(job_id, keep=True)


def force_stop(queue: Queue, job_id: str) -> None:
    """Kill the engine."""
    queue.cancel(job_id, now=True)


def retry(queue: Queue, job_id: str) -> None:
    """Another job may have been given its output meanwhile: then it gets another one."""
    from core.jobs.queue.adding import with_own_output, writes_shared_output

    job = queue.get(job_id)
    if writes_shared_output(queue, job):
        queue.edit(job_id, with_own_output(queue, job, job.request), job.plan)
    queue.retry(job_id)


def duplicates(queue: Queue, job_ids: Sequence[str]) -> list[str]:
    """New jobs that make the same videos under other names."""
    from core.jobs.queue.adding import duplicate_of, with_own_output

    made = []
    for job_id in job_ids:
        job = queue.get(job_id)
        made.append(duplicate_of(queue, job, with_own_output(queue, job, job.request), None).id)
    return made


def lighter(queue: Queue, job_id: str, proposal: int) -> list[str]:
    """A new job of one of the proposals, from 0."""
    from core.jobs.queue.adding import retried_lighter

    return [retried_lighter(queue, queue.get(job_id), proposal).id]


def unfinished(queue: Queue) -> list[str]:
    """Ids of all that have not ended, in their order."""
    return [row.id for row in queue.rows(_UNFINISHED)]


def export(jobs: Sequence[Job], path: Path) -> None:
    """Write jobs with their inputs into a queue file."""
    from core.jobs.queue.queue_file import export_jobs

    if not jobs:
        raise BadSetting(
            "There is nothing to export.",
            value="0 jobs",
            action="Queue a render first, or name finished ones.",
        )
    export_jobs(jobs, path)


def drop_unused_inputs(queue: Queue) -> None:
    """Remove copies that no job needs, if jobs were removed since that was last done."""
    from core.jobs.queue.inputs import collect

    if queue.setting(COLLECT, False):
        collect(queue.folder, queue.requests())
        queue.set_setting(COLLECT, False)


def with_input(request: RenderRequest, name: InputName, path: Path) -> RenderRequest:
    """With another file; what was found in the old one goes with it."""
    media = MediaInput(str(path))
    if name == "reference":
        return replace(request, reference=media, reference_keypoints=None)
    if name == "motion":
        return replace(request, motion=media, keypoints=None, motion_kind="auto")
    return replace(request, **{name: media})  # type: ignore[arg-type]
