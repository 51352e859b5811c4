"""What is done with queued jobs: pause, resume, cancel, retry, move, remove, hold, schedule."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from core.cli.console import print_json
from core.cli.queue_console import job_data, opened, short, tell, tell_who_runs
from core.cli.queue_show import schedule_data
from core.errors import BadInput, BadSetting
from core.jobs.queue.adding import retried_lighter, writes_shared_output
from core.jobs.queue.inputs import collect
from core.jobs.queue.job import Job, StateName, name_of
from core.jobs.queue.queue import Queue
from core.jobs.queue.schedule import Schedule, in_words, parse_days
from core.jobs.queue.waiting import HELD, is_held, load_schedule, save_schedule


def pause(options: argparse.Namespace) -> int:
    """``pirouette queue pause``: jobs, or the queue after the render that runs now."""
    _either(options.ids, options.after_current, "--after-current")
    with opened() as queue:
        if options.after_current:
            return _set_held(queue, True, options.json)
        ids = _ids(queue, options.ids)
        _each(ids, queue.pause)
        return tell(queue, ids, options.json)


def resume(options: argparse.Namespace) -> int:
    """``pirouette queue resume``: paused jobs go on; ``--all`` releases a held queue, too."""
    _either(options.ids, options.all, "--all")
    with opened() as queue:
        if options.all:
            paused: tuple[StateName, ...] = ("paused",)
            ids = [row.id for row in queue.rows(paused)]
            queue.set_setting(HELD, False)
        else:
            ids = _ids(queue, options.ids)
        _each(ids, queue.resume)
        code = tell(queue, ids, options.json)
        if not options.json:
            tell_who_runs(queue)
        return code


def cancel(options: argparse.Namespace) -> int:
    """``pirouette queue cancel``."""
    with opened() as queue:
        ids = _ids(queue, options.ids)
        _each(ids, lambda job_id: queue.cancel(job_id, keep=options.keep, now=options.now))
        return tell(queue, ids, options.json)


def retry(options: argparse.Namespace) -> int:
    """``pirouette queue retry``: again, or as a new job that needs less memory."""
    with opened() as queue:
        job = queue.get(options.id)
        if options.lighter is None:
            _refuse_shared_output(queue, job)
            return tell(queue, [queue.retry(job.id).id], options.json)
        _refuse_without_proposals(job)
        if not 1 <= options.lighter <= len(job.proposals):
            raise BadSetting(
                f"'{job.name}' has no lighter way {options.lighter}.",
                value=options.lighter,
                limit=f"1 to {len(job.proposals)}",
                action=f"`pirouette queue show {short(job.id)}` lists them.",
            )
        made = retried_lighter(queue, job, options.lighter - 1)
        return tell(queue, [made.id], options.json, of=job.id)


def move(options: argparse.Namespace) -> int:
    """``pirouette queue move``."""
    with opened() as queue:
        job = queue.get(options.id)
        if options.first:
            queue.run_next(job.id)
        elif options.before is not None:
            queue.move(job.id, queue.get(options.before).id)
        else:
            queue.move(job.id, None)
        return tell(queue, [job.id], options.json)


def remove(options: argparse.Namespace) -> int:
    """``pirouette queue remove``: out of the list, with what is kept of them; videos stay."""
    with opened() as queue:
        jobs = [queue.get(job_id) for job_id in _ids(queue, options.ids)]
        queue.remove([job.id for job in jobs])
        freed_bytes = collect(queue.folder, queue.requests())
    if options.json:
        print_json({"removed": [job_data(job) for job in jobs], "freed_bytes": freed_bytes})
    else:
        for job in jobs:
            print(f"{short(job.id)}  removed  {job.name}")
    return 0


def clear(options: argparse.Namespace) -> int:
    """``pirouette queue clear``: all finished jobs."""
    with opened() as queue:
        count = queue.clear_finished()
        freed_bytes = collect(queue.folder, queue.requests())
    if options.json:
        print_json({"removed": count, "freed_bytes": freed_bytes})
    else:
        print(f"{count} finished job{'s' * (count != 1)} removed; the videos stay.", file=sys.stderr)
    return 0


def hold(options: argparse.Namespace) -> int:
    """``pirouette queue hold``: no further render starts; the running one is finished."""
    with opened() as queue:
        return _set_held(queue, not options.off, options.json)


def schedule(options: argparse.Namespace) -> int:
    """``pirouette queue schedule``: shows, changes what is given, or clears."""
    if options.off and _schedule_given(options):
        raise BadSetting(
            "--off clears the schedule, so nothing else can be set with it.",
            value="--off with other options",
            action="Leave --off out; `--idle-gpu 0` and `--days all` clear only these.",
        )
    with opened() as queue:
        if options.off:
            save_schedule(queue, Schedule())
        elif _schedule_given(options):
            save_schedule(queue, _scheduled(_stored(queue), options))
        stands = load_schedule(queue)
        held = is_held(queue)
    data = schedule_data(stands, held, datetime.now())
    if options.json:
        print_json(data)
        return 0
    print(in_words(stands))
    if not data["open"]:
        print(f"The next window opens {data['opens'].replace('T', ' at ')}.", file=sys.stderr)
    if held:
        print("Held: no further render starts until `pirouette queue hold --off`.", file=sys.stderr)
    return 0


def _set_held(queue: Queue, held: bool, as_json: bool) -> int:
    queue.set_setting(HELD, held)
    if as_json:
        print_json({"held": held})
    elif held:
        print("Held: a running render is finished, no further one starts.", file=sys.stderr)
    else:
        print("Released.", file=sys.stderr)
    return 0


def _stored(queue: Queue) -> Schedule:
    """A damaged one is told when it is shown; setting it anew replaces it."""
    try:
        return load_schedule(queue)
    except BadInput:
        return Schedule()


def _scheduled(old: Schedule, options: argparse.Namespace) -> Schedule:
    idle = options.idle_gpu
    return replace(
        old,
        from_time=old.from_time if options.from_time is None else options.from_time,
        to_time=old.to_time if options.to_time is None else options.to_time,
        days=old.days if options.days is None else parse_days(options.days),
        only_idle_gpu=old.only_idle_gpu if idle is None else idle != 0,
        idle_minutes=idle or old.idle_minutes,
        at_end=options.at_end or old.at_end,
    )


def _schedule_given(options: argparse.Namespace) -> bool:
    given = (options.from_time, options.to_time, options.days, options.idle_gpu, options.at_end)
    return any(value is not None for value in given)


def _ids(queue: Queue, texts: list[str]) -> list[str]:
    """Whole ids, each once; an unknown one is told before anything changes."""
    return list(dict.fromkeys(queue.get(text).id for text in texts))


def _each(ids: list[str], change: Callable[[str], object]) -> None:
    """Each one that can be changed; the first that cannot is told after that."""
    refused: list[BadSetting] = []
    for job_id in ids:
        try:
            change(job_id)
        except BadSetting as error:
            refused.append(error)
    if refused:
        raise refused[0]


def _either(ids: list[str], all_of_them: bool, option: str) -> None:
    if bool(ids) == all_of_them:
        raise BadSetting(
            f"Either IDs or {option} must be given.",
            value=", ".join(ids) or "nothing",
            action="`pirouette queue list` shows the ids.",
        )


def _refuse_without_proposals(job: Job) -> None:
    if not job.proposals:
        raise BadSetting(
            f"'{job.name}' has no lighter ways.",
            value=name_of(job.state),
            limit="a render that failed for want of memory",
            action=f"Edit it: `pirouette queue edit {short(job.id)} --frames N`, or with a smaller --size.",
        )


def _refuse_shared_output(queue: Queue, job: Job) -> None:
    if writes_shared_output(queue, job):
        raise BadSetting(
            f"Another job in the queue writes {Path(job.request.output.path).name} now.",
            value=job.request.output.path,
            action=f"Give it another name: `pirouette queue edit {short(job.id)} -o NAME.mp4`.",
        )
