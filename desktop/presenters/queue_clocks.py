"""How the running renders come along: a clock for each, fed by news or by looks at the queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from core.types import Progress
from desktop.presenters.finish_time import JobClock, PhaseTimes, guessed, learned
from desktop.presenters.queue_words import Live

if TYPE_CHECKING:
    from core.jobs.queue.job import JobRow
    from core.jobs.queue.queue import Queue

# A stop that has not come through for so long may be forced.
STUCK_S: Final = 5.0
_MOST_PAST: Final = 200


class Clocks:
    """Of the running jobs, by id.

    Args:
        clock: seconds of a steady clock.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._clocks: dict[str, JobClock] = {}
        self._asked_s: dict[str, float] = {}

    def begin(self, job_id: str, time_s: float | None) -> None:
        """A job has begun, or begins anew; planned to take ``time_s``."""
        self._clocks[job_id] = JobClock(guessed(time_s), self._clock())

    def expect(self, job_id: str, times: PhaseTimes) -> None:
        """Past renders tell better."""
        if job_id in self._clocks:
            self._clocks[job_id].expect(times)

    def hear(self, job_id: str, progress: Progress) -> None:
        """The engine tells where it is."""
        if job_id not in self._clocks:
            self.begin(job_id, None)
        self._clocks[job_id].hear(progress, self._clock())

    def follow(self, running: Sequence[JobRow], others: frozenset[str], wishes: dict[str, str]) -> list[str]:
        """After a look at the queue; ids of jobs that run no more.

        Args:
            others: jobs of other processes, whose progress is only what the queue says.
        """
        for row in running:
            if row.id not in self._clocks:
                self.begin(row.id, row.time_s)
            if row.id in others:
                self.hear(row.id, Progress(row.phase or "start", row.step, row.steps))  # type: ignore[arg-type]
            if row.id in wishes:
                self._asked_s.setdefault(row.id, self._clock())
        there = {row.id for row in running}
        gone = [job_id for job_id in self._clocks if job_id not in there]
        for job_id in gone:
            self.drop(job_id)
        return gone

    def drop(self, job_id: str) -> None:
        """It runs no more."""
        self._clocks.pop(job_id, None)
        self._asked_s.pop(job_id, None)

    def live(self, job_id: str) -> Live | None:
        """How a job stands now; None where it does not run."""
        clock = self._clocks.get(job_id)
        if clock is None:
            return None
        now_s = self._clock()
        asked_s = self._asked_s.get(job_id)
        stuck = asked_s is not None and now_s - asked_s >= STUCK_S
        return Live(clock.progress, clock.fraction, clock.remaining_s(now_s), stuck)

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the jobs that run, ours and others'."""
        return tuple(self._clocks)


def learned_times(queue: Queue, job_id: str) -> PhaseTimes | None:
    """What past renders tell of a job's phases; on a thread. None where they tell nothing."""
    from core.catalogue.measurements import Measurements
    from core.catalogue.planning.duration import forwards

    plan = queue.get(job_id).plan
    if plan is None:
        return None
    past = Measurements().find(limit=_MOST_PAST, model=plan.model, weights=plan.weights, ok=True)
    volume = plan.size.area * plan.frames
    return learned(past, forwards(plan.sampling), volume)
