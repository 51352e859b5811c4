"""What a person changes in the queue, each with its way back; called on threads, no Qt in here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from core.types import Plan, RenderRequest

if TYPE_CHECKING:
    from core.jobs.queue.job import StateName
    from core.jobs.queue.queue import Queue, Removed

_PAUSED: Final[tuple[StateName, ...]] = ("paused",)
_WAITING: Final[tuple[StateName, ...]] = ("queued", "paused", "interrupted")


class QueueStep(Protocol):
    """A change that can be done, undone and done again.

    Both raise ``BadSetting`` where the jobs have moved on, ``DiskError`` where the queue cannot be written.
    """

    def do(self, queue: Queue) -> None: ...

    def undo(self, queue: Queue) -> None: ...


# Before which job the chosen ones go (None: behind all), given the order of all that wait.
Where = Callable[[Sequence[str], set[str]], str | None]


def before_job(job_id: str | None) -> Where:
    """Before this one, or the next behind it that is not itself moved; None: to the end."""
    return lambda order, chosen: _next_besides(order, job_id, chosen)


def one_up(order: Sequence[str], chosen: set[str]) -> str | None:
    """Before the one that stands before the first of them."""
    first = next((number for number, job_id in enumerate(order) if job_id in chosen), 0)
    return _next_besides(order, order[max(first - 1, 0)], chosen)


def one_down(order: Sequence[str], chosen: set[str]) -> str | None:
    """Behind the one that stands behind the last of them."""
    last = max((number for number, job_id in enumerate(order) if job_id in chosen), default=0)
    return order[last + 2] if last + 2 < len(order) else None


class Move:
    """Moves waiting jobs together, in the order in which they stood."""

    def __init__(self, job_ids: Sequence[str], where: Where) -> None:
        self._ids, self._where = tuple(job_ids), where
        self._order: list[str] = []

    def do(self, queue: Queue) -> None:
        """Each goes right before the same one, so their order stays."""
        self._order = waiting_order(queue)
        chosen = set(self._ids)
        moved = [job_id for job_id in self._order if job_id in chosen]
        before = self._where(self._order, chosen)
        for job_id in moved:
            queue.move(job_id, before)

    def undo(self, queue: Queue) -> None:
        """Back to where they stood among those that still wait."""
        restore_order(queue, self._ids, self._order)


class RunNext:
    """Puts waiting jobs before all others."""

    def __init__(self, job_ids: Sequence[str]) -> None:
        self._ids = tuple(job_ids)
        self._order: list[str] = []

    def do(self, queue: Queue) -> None:
        """The last first, so their order stays."""
        self._order = waiting_order(queue)
        chosen = set(self._ids)
        for job_id in [one for one in reversed(self._order) if one in chosen]:
            queue.run_next(job_id)

    def undo(self, queue: Queue) -> None:
        """Back to where they stood among those that still wait."""
        restore_order(queue, self._ids, self._order)


class Rename:
    """Calls a job something else."""

    def __init__(self, job_id: str, name: str) -> None:
        self._id, self._name = job_id, name
        self._before = ""

    def do(self, queue: Queue) -> None:
        """The new name."""
        self._before = queue.get(self._id).name
        queue.rename(self._id, self._name)

    def undo(self, queue: Queue) -> None:
        """The old name."""
        queue.rename(self._id, self._before)


class Edit:
    """Gives a job another request; ``made`` checks it and takes its inputs in, once.

    With ``again`` a job that has ended is queued again with it.
    """

    def __init__(
        self, job_id: str, made: Callable[[Queue], tuple[RenderRequest, Plan]], again: bool = False
    ) -> None:
        self._id, self._made, self._again = job_id, made, again
        self._after: tuple[RenderRequest, Plan] | None = None
        self._before: tuple[RenderRequest, Plan | None] | None = None

    def do(self, queue: Queue) -> None:
        """The new request."""
        if self._after is None:
            self._after = self._made(queue)
        job = queue.get(self._id)
        self._before = (job.request, job.plan)
        queue.edit(self._id, *self._after)
        if self._again and _state(queue, self._id) in ("failed", "cancelled"):
            queue.retry(self._id)

    def undo(self, queue: Queue) -> None:
        """The old request; a job that was queued again stays so."""
        assert self._before is not None, "done before undone"
        queue.edit(self._id, *self._before)


class Remove:
    """Takes jobs off the list; videos stay. What was rendered of them by half is lost."""

    def __init__(self, job_ids: Sequence[str] | None) -> None:
        self._ids = job_ids  # None: all that have ended
        self._removed: Removed | None = None

    def do(self, queue: Queue) -> None:
        """All of them or none."""
        ids = self._ids
        if ids is None:
            ids = self._ids = [row.id for row in queue.rows(("done", "failed", "cancelled"))]
        self._removed = queue.take_out(ids)

    def undo(self, queue: Queue) -> None:
        """As they were, in their places."""
        assert self._removed is not None, "done before undone"
        queue.put_back(self._removed)


class Added:
    """New jobs that come from others: duplicates, lighter tries. ``make`` returns their ids."""

    def __init__(self, make: Callable[[Queue], list[str]]) -> None:
        self._make = make
        self.ids: list[str] = []
        self._removed: Removed | None = None

    def do(self, queue: Queue) -> None:
        """Made the first time, brought back later."""
        if self._removed is None:
            self.ids = self._make(queue)
        else:
            queue.put_back(self._removed)

    def undo(self, queue: Queue) -> None:
        """Gone again; refused once one of them runs."""
        self._removed = queue.take_out(self.ids)


class CancelWaiting:
    """Gives up jobs that do not run; their kept state stays, so that they can go on."""

    def __init__(self, job_ids: Sequence[str]) -> None:
        self._ids = tuple(job_ids)
        self._order: list[str] = []
        self._paused: list[str] = []

    def do(self, queue: Queue) -> None:
        """They stand as cancelled."""
        self._order = waiting_order(queue)
        self._paused = [row.id for row in queue.rows(_PAUSED) if row.id in self._ids]
        for job_id in self._ids:
            queue.cancel(job_id, keep=True)

    def undo(self, queue: Queue) -> None:
        """They wait again, in their places."""
        for job_id in self._ids:
            queue.retry(job_id)
            if job_id in self._paused:
                queue.pause(job_id)
        restore_order(queue, self._ids, self._order)


def waiting_order(queue: Queue) -> list[str]:
    """Ids of all that wait, as they stand."""
    return [row.id for row in queue.rows(_WAITING)]


def restore_order(queue: Queue, moved: Sequence[str], order: Sequence[str]) -> None:
    """Put jobs back to where they stood in an earlier order; those that wait no more are left alone."""
    now = set(waiting_order(queue))
    behind: str | None = None
    for job_id in reversed(order):
        if job_id not in now:
            continue
        if job_id in moved:
            queue.move(job_id, behind)
        behind = job_id


def _next_besides(order: Sequence[str], before: str | None, chosen: set[str]) -> str | None:
    """``before``, or the next one behind it that is not itself moved."""
    if before is None or before not in chosen:
        return before
    behind = order[order.index(before) :] if before in order else []
    return next((job_id for job_id in behind if job_id not in chosen), None)


def _state(queue: Queue, job_id: str) -> str:
    from core.jobs.queue.job import name_of

    return name_of(queue.get(job_id).state)
