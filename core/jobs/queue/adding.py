"""How renders come into the queue, whoever asks: checked, planned, their inputs taken in; all or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from core.errors import BadSetting, PirouetteError
from core.jobs.preflight import Checked, check
from core.jobs.queue.expand import free_output
from core.jobs.queue.inputs import adopt, adopt_all
from core.jobs.queue.job import FINISHED, Job, name_of
from core.jobs.queue.names import FreeNames, result_name
from core.jobs.queue.queue import Queue
from core.jobs.queue.queue_import import import_jobs
from core.types import Plan, RenderRequest

Prepare = Callable[[RenderRequest], Checked]
# Told how many of how many are checked; may raise ``Cancelled``.
OnChecked = Callable[[int, int], None]


def checked_all(
    requests: Sequence[RenderRequest],
    on_checked: OnChecked = lambda *_: None,
    prepare: Prepare = check,
) -> tuple[list[Plan | None], list[str]]:
    """The plans of all, and what is to be known, each thing once. Filmed clips take seconds each.

    Raises:
        PirouetteError: of the first that cannot be rendered.
    """
    plans: list[Plan | None] = []
    notes: dict[str, None] = {}
    for number, request in enumerate(requests, 1):
        on_checked(number, len(requests))
        refuse_no_text(request.output.path)
        checked = prepare(request)
        plans.append(checked.plan)
        notes |= dict.fromkeys(checked.notes)
    return plans, list(notes)


def add_checked(
    queue: Queue,
    requests: Sequence[RenderRequest],
    on_checked: OnChecked = lambda *_: None,
    prepare: Prepare = check,
) -> tuple[list[Job], list[str]]:
    """Queue renders under free names; their jobs, and what is to be known.

    Raises:
        PirouetteError: one cannot be rendered, and none is queued.
    """
    names = FreeNames(queue.outputs())
    named = [_freely_named(request, names) for request in requests]
    plans, notes = checked_all(named, on_checked, prepare)
    return queue.add(adopt_all(named, queue.folder), names_of(named), plans=plans), notes


def add_imported(
    queue: Queue, path: Path, results: Path, on_checked: OnChecked = lambda *_: None, prepare: Prepare = check
) -> tuple[list[Job], dict[int, PirouetteError]]:
    """Queue the jobs of a queue file, those too that cannot run here; why not, by their number.

    Args:
        results: folder for their videos.

    Raises:
        BadInput: the file cannot be used, and none of it is queued.
        DiskError: there is no space for its inputs.
    """
    found = import_jobs(path, queue.folder, results, queue.outputs())
    plans: list[Plan | None] = []
    problems: dict[int, PirouetteError] = {}
    for number, (_, request) in enumerate(found):
        on_checked(number + 1, len(found))
        try:
            plans.append(prepare(request).plan)
        except PirouetteError as error:
            plans.append(None)
            problems[number] = error
    names, requests = [name for name, _ in found], [request for _, request in found]
    return queue.add(requests, names, 0, plans, relation="import"), problems


def names_of(requests: Sequence[RenderRequest], name: str | None = None) -> list[str]:
    """The names of the outputs, or the given one, numbered where there are several."""
    if name is None:
        stems = (Path(request.output.path).stem for request in requests)
        return ["".join(letter if letter.isprintable() else "_" for letter in stem) for stem in stems]
    return [name] if len(requests) == 1 else [f"{name} {number}" for number in range(1, len(requests) + 1)]


def duplicate_of(
    queue: Queue, job: Job, request: RenderRequest, plan: Plan | None, name: str | None = None
) -> Job:
    """The same again: ``request`` with an output of its own, named after it.

    Args:
        plan: of the request; None keeps what the queue knows.
    """
    made = queue.duplicate(job.id, request)
    if plan is not None:
        # Whoever works the queue may have begun with it already, and made a plan then.
        with suppress(BadSetting):
            queue.edit(made.id, request, plan)
    queue.rename(made.id, name or Path(request.output.path).stem)
    return made


def with_own_output(queue: Queue, job: Job, request: RenderRequest) -> RenderRequest:
    """A changed copy of the job's request, with a free name near the job's."""
    taken = {*queue.outputs(), Path(job.request.output.path)}
    path = free_output(_renamed(job.request, request), taken)
    return replace(request, output=replace(request.output, path=str(path), overwrite=False))


def retried_lighter(queue: Queue, job: Job, proposal: int) -> Job:
    """A new job of one of the proposals, from 0, under a free name.

    Raises:
        BadSetting: there is no such proposal.
    """
    output = job.request.output
    path = free_output(Path(output.path), queue.outputs())
    return queue.retry_lighter(job.id, proposal, replace(job.request, output=replace(output, path=str(path))))


def changed_request(
    queue: Queue, request: RenderRequest, prepare: Prepare = check
) -> tuple[RenderRequest, Plan]:
    """A job's new request, checked, and its inputs taken into the queue.

    Raises:
        PirouetteError: it cannot be rendered.
    """
    refuse_no_text(request.output.path)
    plan = prepare(request).plan
    return adopt(request, queue.folder), plan


def writes_shared_output(queue: Queue, job: Job) -> bool:
    """While it had failed, its output may have been given to another."""
    return name_of(job.state) in FINISHED and Path(job.request.output.path) in queue.outputs(job.id)


def refuse_no_text(output: str) -> None:
    """Neither the queue nor a queue file can hold bytes that are no UTF-8; raises ``BadSetting``."""
    if any("\ud800" <= letter <= "\udfff" for letter in output):
        raise BadSetting(
            "The output's path has bytes that are no text.",
            value=ascii(output),
            limit="UTF-8",
            action="Choose another name or folder with -o.",
        )


def _freely_named(request: RenderRequest, names: FreeNames) -> RenderRequest:
    if request.output.overwrite:
        return request
    path = names.take(Path(request.output.path))
    return replace(request, output=replace(request.output, path=str(path)))


def _renamed(old: RenderRequest, new: RenderRequest) -> Path:
    """The output of a duplicate: a name that was made of the inputs and the seed is made anew."""
    before = Path(old.output.path)
    made_of_old, made_of_new = (
        result_name(Path(request.reference.path), Path(request.motion.path), request.seed)
        for request in (old, new)
    )
    return before.with_name(made_of_new) if before.name == made_of_old else before
