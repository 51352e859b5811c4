"""``pirouette queue add``, ``edit`` and ``duplicate``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from core.cli.console import print_json
from core.cli.models_console import table
from core.cli.queue_console import job_data, opened, short, tell, tell_who_runs
from core.cli.request_options import changed, changes_anything, request_of
from core.errors import BadSetting
from core.jobs.queue.adding import (
    changed_request,
    checked_all,
    duplicate_of,
    names_of,
    with_own_output,
)
from core.jobs.queue.expand import expand
from core.jobs.queue.inputs import adopt_all
from core.jobs.queue.job import Job, name_of
from core.jobs.queue.names import same_name_key
from core.jobs.queue.order import check_priority
from core.jobs.queue.queue import Queue
from core.settings import places
from core.types import Plan, RenderRequest


def add(options: argparse.Namespace) -> int:
    """``pirouette queue add``: checks everything first, then queues all or none."""
    _check(options)
    with opened() as queue:
        requests = wanted(options, queue.outputs())
        plans, notes = _checked(requests)
        jobs = queue.add(
            adopt_all(requests, queue.folder),
            names_of(requests, options.name),
            options.priority,
            plans,
        )
        if options.next:
            for job in reversed(jobs):
                queue.run_next(job.id)
        if options.json:
            print_json({"jobs": [job_data(queue.get(job.id)) for job in jobs], "notes": notes})
            return 0
        for note in notes:
            print(f"Note: {note}", file=sys.stderr)
        for line in table([(short(job.id), job.name, job.request.output.path) for job in jobs]):
            print(line)
        tell_who_runs(queue)
    return 0


def edit(options: argparse.Namespace) -> int:
    """``pirouette queue edit``: only what is given changes."""
    _check(options)
    with opened() as queue:
        job = queue.get(options.id)
        changes = changes_anything(options) or options.overwrite
        if not changes and options.name is None and options.priority is None:
            raise BadSetting(
                "Nothing to change is given.", value="no option", action="See `pirouette queue edit --help`."
            )
        if changes:
            request, plan = _changed(queue, job, options)
            queue.edit(job.id, request, plan)
        if options.name is not None:
            queue.rename(job.id, options.name)
        if options.priority is not None:
            queue.set_priority(job.id, options.priority)
        code = tell(queue, [job.id], options.json)
        if name_of(job.state) in ("failed", "cancelled") and not options.json:
            print(f"It is rendered after `pirouette queue retry {short(job.id)}`.", file=sys.stderr)
        return code


def duplicate(options: argparse.Namespace) -> int:
    """``pirouette queue duplicate``: the same again, with the changes that are given and its own output."""
    _check(options)
    with opened() as queue:
        job = queue.get(options.id)
        request, plan = _changed(queue, job, options, own_output=True)
        made = duplicate_of(queue, job, request, plan, options.name)
        return tell(queue, [made.id], options.json, of=job.id)


def wanted(options: argparse.Namespace, taken: set[Path]) -> list[RenderRequest]:
    """A request for each reference with each motion.

    Raises:
        BadSetting: an option that cannot hold for all of them, or an output that is there already.
    """
    references, motions = _paths(options.reference), _paths(options.motion)
    count = len(references) * len(motions)
    base = request_of(options, str(references[0]), str(motions[0]), "")
    base = replace(base, output=replace(base.output, overwrite=options.overwrite))
    if options.output and not _is_folder(options.output, count > 1):
        if count > 1:
            raise _one_for_many(count, options.output)
        output = Path(options.output).absolute()
        _refuse_taken(output, options.overwrite, taken)
        return [replace(base, output=replace(base.output, path=str(output)))]
    results = Path(options.output).absolute() if options.output else places().results
    return expand(references, motions, base, results, taken)


def _check(options: argparse.Namespace) -> None:
    """Before anything is done, for what is told only after that would be done by half."""
    if options.name is not None and not (options.name.strip() and options.name.isprintable()):
        raise BadSetting(
            "This is no name for a job.",
            value=repr(options.name),
            limit="one line of letters",
            action="Give another one, or leave --name out.",
        )
    check_priority(getattr(options, "priority", None) or 0)


def _checked(requests: Sequence[RenderRequest]) -> tuple[list[Plan | None], list[str]]:
    """The plans of all, and what is to be known, each thing once.

    Filmed clips take seconds each, so somebody at a terminal sees how far it is.
    """
    shown = len(requests) > 1 and sys.stderr.isatty()

    def tell_checked(number: int, count: int) -> None:
        if shown:
            print(f"\rchecking {number} of {count}\x1b[K", end="", file=sys.stderr, flush=True)

    try:
        return checked_all(requests, tell_checked)
    finally:
        if shown:
            print(file=sys.stderr)


def _changed(
    queue: Queue, job: Job, options: argparse.Namespace, own_output: bool = False
) -> tuple[RenderRequest, Plan]:
    """The job's request with the options' changes, checked, and its inputs taken into the queue."""
    taken = queue.outputs(None if own_output else job.id)
    request = changed(job.request, options)
    if options.output:
        output = Path(options.output).absolute()
        _refuse_taken(output, options.overwrite, taken)
        # That another file may be replaced says nothing of this one.
        request = replace(request, output=replace(request.output, path=str(output), overwrite=False))
    elif own_output:
        request = with_own_output(queue, job, request)
    if options.overwrite:
        request = replace(request, output=replace(request.output, overwrite=True))
    return changed_request(queue, request)


def _paths(texts: Sequence[str]) -> list[Path]:
    """Absolute: whoever renders may stand in another folder."""
    return [Path(text).absolute() for text in dict.fromkeys(texts)]


def _is_folder(output: str, several: bool) -> bool:
    path = Path(output)
    return path.is_dir() or output.endswith(("/", os.sep)) or (several and path.suffix.lower() != ".mp4")


def _one_for_many(count: int, output: str) -> BadSetting:
    return BadSetting(
        f"{count} videos cannot be written to one file.",
        value=output,
        limit="a folder",
        action="Give a folder with -o, or leave it out.",
    )


def _refuse_taken(output: Path, overwrite: bool, taken: set[Path]) -> None:
    if same_name_key(output) in map(same_name_key, taken):
        raise BadSetting(
            f"A job in the queue writes {output.name} already.",
            value=output,
            limit="an output of its own",
            action="Choose another name, or leave -o out for a free one.",
        )
    refuse_existing(output, overwrite)


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raises ``BadSetting`` where a file would be replaced unasked."""
    if path.is_file() and not overwrite:
        raise BadSetting(
            f"{path.name} is there already.",
            value=path,
            limit="a new name",
            action="Choose another name, or replace it with --overwrite.",
        )
