"""``pirouette queue list`` and ``show``."""

from __future__ import annotations

import argparse
import shutil
import sys
from datetime import datetime
from typing import Any

from core.catalogue.store.copying import gigabytes
from core.cli.console import print_json
from core.cli.models_console import duration, table
from core.cli.queue_console import (
    UNFINISHED,
    expected_ends,
    job_table,
    local_time,
    opened,
    row_data,
    short,
    state_data,
)
from core.codec import to_data
from core.errors import BadInput, BadSetting, from_json
from core.jobs.queue.folders import LOG_NAME
from core.jobs.queue.job import FINISHED, Job, JobRow, kept_step, name_of
from core.jobs.queue.queue import Queue
from core.jobs.queue.schedule import Schedule, closed_until, in_words
from core.jobs.queue.waiting import is_held, load_schedule, moment
from core.types import Failed, Interrupted, Plan, Running


def list_jobs(options: argparse.Namespace) -> int:
    """``pirouette queue list``: what is ahead; with ``--all``, ``--state`` or ``--search`` the history."""
    if options.limit is not None and options.limit < 1:
        raise BadSetting("The number of jobs must be at least 1.", value=options.limit, limit="at least 1")
    states = tuple(options.state) or (None if options.all or options.search else UNFINISHED)
    now = datetime.now()
    with opened() as queue:
        rows = queue.rows(states, options.search or "", options.limit)
        ends = _ends(queue, now)
        counts = {str(state): number for state, number in queue.count().items()}
        held, runner = is_held(queue), next(iter(queue.runners()), None)
        closed = _closed(queue, now)
    if options.json:
        shown = [row_data(row, ends.get(row.id)) for row in rows]
        print_json({"jobs": shown, "counts": counts, "held": held, "runner": runner})
        return 0
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in job_table(rows, ends, now, columns):
        print(line)
    filtered = bool(options.state or options.search)
    _tell_rest(counts, rows, filtered, held, runner)
    if closed is not None and any(counts.get(name) for name in UNFINISHED):
        print(f"The schedule lets the next render start at {moment(closed, now)}.", file=sys.stderr)
    return 0


def show(options: argparse.Namespace) -> int:
    """``pirouette queue show``: everything that is known of a job."""
    with opened() as queue:
        job = queue.get(options.id)
        lineage = queue.lineage(job.id)
        log = queue.job_folder(job.id) / LOG_NAME
        end = _ends(queue, datetime.now()).get(job.id)
    if options.json:
        more: dict[str, Any] = {
            "state_name": name_of(job.state),
            "kept_step": kept_step(job.state),
            "expected_end": None if end is None else end.astimezone().isoformat("T", "seconds"),
            "log": str(log) if log.is_file() else None,
            "lineage": [row._asdict() for row in lineage],
        }
        print_json({**state_data(job), **more})
        return 0
    for line in table(_facts(job, end)):
        print(line)
    _show_texts(job)
    for row in lineage if len(lineage) > 1 else ():
        mark = "*" if row.id == job.id else " "
        print(f"{mark} {short(row.id)}  {row.relation or 'first'}  {row.state}  {row.name}")
    if log.is_file():
        print(f"log: {log}")
    return 0


def _ends(queue: Queue, now: datetime) -> dict[str, datetime]:
    """When what is ahead will be done; nobody knows of a queue that is held or waits for others."""
    try:
        schedule = load_schedule(queue)
    except BadInput:
        return {}
    if is_held(queue) or schedule.only_idle_gpu:
        return {}
    return expected_ends(queue.rows(UNFINISHED), now, closed_until(schedule, now))


def _closed(queue: Queue, now: datetime) -> datetime | None:
    """When the schedule lets renders start again; a damaged one is told by ``run`` and ``schedule``."""
    try:
        return closed_until(load_schedule(queue), now)
    except BadInput:
        return None


def _nothing(counts: dict[str, int], filtered: bool) -> str:
    if not any(counts.values()):
        return "The queue is empty."
    return "No job in the queue is like that." if filtered else "Nothing is ahead."


def _tell_rest(
    counts: dict[str, int], rows: list[JobRow], filtered: bool, held: bool, runner: str | None
) -> None:
    if not rows:
        print(_nothing(counts, filtered), file=sys.stderr)
    shown = {row.state for row in rows}
    rest = ", ".join(f"{counts[name]} {name}" for name in FINISHED if counts.get(name) and name not in shown)
    if rest:
        print(f"{rest}: `pirouette queue list --all` shows them.", file=sys.stderr)
    if held:
        print("Held: no further render starts until `pirouette queue hold --off`.", file=sys.stderr)
    if runner is not None:
        print(f"Worked by {runner}.", file=sys.stderr)
    elif not held and any(counts.get(name) for name in ("queued", "interrupted")):
        print("Nothing renders now: `pirouette queue run` works the queue.", file=sys.stderr)


def _facts(job: Job, end: datetime | None) -> list[tuple[str, str]]:
    request, plan = job.request, job.plan
    facts = [
        ("id", job.id),
        ("name", job.name),
        ("state", _state(job)),
        ("priority", str(job.priority)),
        ("reference", request.reference.path),
        ("motion", request.motion.path),
        ("output", request.output.path),
        ("model", f"{request.model}, {request.preset}, seed {request.seed}"),
        ("prompt", request.prompt),
        ("device", request.device),
        ("plan", "" if plan is None else _plan(plan)),
        ("changed", "" if job.forced_plan is None else " ".join(job.forced_plan.lighter_steps)),
        ("queued", _time(job.created)),
        ("started", _time(job.started)),
        ("ended", _time(job.ended)),
        ("expected end", "" if end is None else f"{end:%Y-%m-%d %H:%M}"),
        ("from", "" if job.parent is None else f"{short(job.parent)} ({job.relation})"),
    ]
    return [(key, value) for key, value in facts if value]


def _state(job: Job) -> str:
    name = name_of(job.state)
    match job.state:
        case Running(progress):
            return f"{name}, {progress.phase} {progress.step}/{progress.steps}" if progress.steps else name
        case Interrupted(attempts, _, reason):
            return f"{name} ({attempts}): {reason}"
        case Failed(failure):
            return f"{name}: {from_json(failure.error).sentence()}"
        case _:
            step = kept_step(job.state)
            return f"{name}, goes on at step {step}" if step else name


def _plan(plan: Plan) -> str:
    size = f"{plan.size.width}x{plan.size.height}"
    parts = [plan.model, size, f"{plan.frames} frames", f"{plan.sampling.steps} steps"]
    if plan.time_s is not None:
        parts.append(f"about {duration(plan.time_s)}")
    if plan.vram_peak_bytes:
        parts.append(f"{gigabytes(plan.vram_peak_bytes)} of GPU memory")
    return ", ".join(parts)


def _show_texts(job: Job) -> None:
    for note in job.notes:
        print(f"note: {note}")
    for number, proposal in enumerate(job.proposals, 1):
        keeps = "the same picture" if proposal.keeps_quality else "another picture"
        print(f"lighter {number}: {' '.join(proposal.changes)} ({keeps})")
    if job.proposals:
        print(f"`pirouette queue retry {short(job.id)} --lighter N` takes one of them.", file=sys.stderr)


def _time(text: str) -> str:
    local = local_time(text)
    return "" if local is None else f"{local:%Y-%m-%d %H:%M:%S}"


def schedule_data(schedule: Schedule, held: bool, now: datetime) -> dict[str, Any]:
    """The schedule for programs."""
    until = closed_until(schedule, now)
    return {
        "schedule": to_data(schedule),
        "words": in_words(schedule),
        "open": until is None,
        "opens": None if until is None else until.isoformat("T", "minutes"),
        "held": held,
    }
