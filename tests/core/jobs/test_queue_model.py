"""Any steps in any order: the queue stands as a plain list of jobs would."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.errors import BadSetting
from core.jobs.queue.job import FINISHED, Proposal
from core.jobs.queue.queue import Queue
from core.types import Cancelled, Done, Interrupted, Paused, Progress, Queued, Running
from tests.fakes.queue_jobs import BROKEN, plan, request, result

WAITING = ("queued", "paused", "interrupted")
PRIORITIES = st.sampled_from((-1, 0, 0, 0, 2))
EXAMPLES = 10
MANY_EXAMPLES = 200


@dataclass
class Known:
    """What the model knows of a job."""

    name: str
    state: str = "queued"
    step: int = 0
    parent: str | None = None
    ended: int = 0
    deaths: int = 0
    wish: str | None = None
    proposals: int = 0
    edited: int | None = None


class Model(RuleBasedStateMachine):
    """One queue with one runner, seen by two others: whoever asks, and one that only lists."""

    jobs: Bundle[str] = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.now = 0
        self.queue = Queue(self.folder, clock=lambda: float(self.now))
        self.window = Queue(self.folder)
        self.known: dict[str, Known] = {}
        # All jobs of a priority, finished ones too, in the order of their positions.
        self.places: dict[int, list[str]] = {}
        self.running: str | None = None

    @initialize()
    def open_lease(self) -> None:
        self.lease = self.queue.open_lease()

    def teardown(self) -> None:
        self.queue.close()
        self.window.close()
        shutil.rmtree(self.folder)

    @rule(target=jobs, count=st.integers(1, 3), priority=PRIORITIES)
    def add(self, count: int, priority: int) -> object:
        made = self.queue.add([request(number) for number in range(count)], priority=priority)
        for job in made:
            self.known[job.id] = Known(job.name)
            self._append(job.id, priority)
        return multiple(*(job.id for job in made))

    @rule(job=jobs, before=jobs)
    def move(self, job: str, before: str) -> None:
        allowed = self._state(job) in WAITING and self._state(before) in (*WAITING, "running")
        if self._try(allowed, lambda: self.queue.move(job, before)) and job != before:
            self._take(job)
            place = self.places[self._priority(before)]
            place.insert(place.index(before), job)

    @rule(job=jobs)
    def move_to_the_end(self, job: str) -> None:
        lowest = min((self._priority(other) for other in self._waiting()), default=0)
        if self._try(self._state(job) in WAITING, lambda: self.queue.move(job, None)):
            self._append(job, lowest)

    @rule(job=jobs)
    def run_next(self, job: str) -> None:
        if self._try(self._state(job) in WAITING, lambda: self.queue.run_next(job)):
            first = self._waiting()[0]
            if first != job:
                self._take(job)
                place = self.places[self._priority(first)]
                place.insert(place.index(first), job)

    @rule(job=jobs, priority=PRIORITIES)
    def set_priority(self, job: str, priority: int) -> None:
        allowed = self._state(job) in WAITING
        done = self._try(allowed, lambda: self.queue.set_priority(job, priority))
        if done and self._priority(job) != priority:
            self._append(job, priority)

    @rule(job=jobs, name=st.sampled_from(("Ann", "Bob")))
    def rename(self, job: str, name: str) -> None:
        if self._try(job in self.known, lambda: self.queue.rename(job, name)):
            self.known[job].name = name

    @rule(job=jobs, number=st.integers(0, 3))
    def edit(self, job: str, number: int) -> None:
        allowed = self._state(job) in (*WAITING, "failed", "cancelled")
        if self._try(allowed, lambda: self.queue.edit(job, request(number, prompt="edited"))):
            if self.known[job].edited != number:  # else it is the same render
                self.known[job].step = self.known[job].proposals = 0
            self.known[job].edited = number

    @rule(target=jobs, job=jobs)
    def duplicate(self, job: str) -> object:
        made = self._try(job in self.known, lambda: self.queue.duplicate(job))
        if made is None:
            return multiple()
        self.known[made.id] = Known(self.known[job].name, parent=job, edited=self.known[job].edited)
        if self._state(job) in FINISHED:
            self._append(made.id, self._priority(job))
        else:
            place = self.places[self._priority(job)]
            place.insert(place.index(job) + 1, made.id)
        return made.id

    @rule(job=jobs)
    def retry(self, job: str) -> None:
        allowed = self._state(job) in ("failed", "cancelled")
        if self._try(allowed, lambda: self.queue.retry(job)):
            self._set(job, "queued", 0)
            self.known[job].deaths = self.known[job].proposals = 0
            self._append(job, self._priority(job))

    @rule(target=jobs, job=jobs, proposal=st.integers(0, 1))
    def retry_lighter(self, job: str, proposal: int) -> object:
        allowed = self._state(job) == "failed" and proposal < self.known[job].proposals
        made = self._try(allowed, lambda: self.queue.retry_lighter(job, proposal))
        if made is None:
            return multiple()
        self.known[made.id] = Known(self.known[job].name, parent=job, edited=self.known[job].edited)
        self._append(made.id, self._priority(job))
        return made.id

    @rule(job=jobs)
    def pause(self, job: str) -> None:
        state = self._state(job)
        if self._try(state is not None and state != "paused", lambda: self.queue.pause(job) or True):
            if state == "running":
                self.known[job].wish = "pause"
            elif state in WAITING:
                self._set(job, "paused", self.known[job].step)

    @rule(job=jobs)
    def resume(self, job: str) -> None:
        if self._try(self._state(job) == "paused", lambda: self.queue.resume(job)):
            self._set(job, "queued", self.known[job].step)

    @rule(job=jobs, keep=st.booleans())
    def cancel(self, job: str, keep: bool) -> None:
        state = self._state(job)
        if self._try(state is not None, lambda: self.queue.cancel(job, keep) or True):
            if state == "running":
                self.known[job].wish = "keep" if keep else "cancel"
            elif state in WAITING:
                self._set(job, "cancelled", self.known[job].step if keep else 0)

    @rule(job=consumes(jobs))
    def remove(self, job: str) -> None:
        allowed = self._state(job) not in (None, "running")
        if self._try(allowed, lambda: self.queue.remove([job])):
            self._take(job)
            del self.known[job]

    @rule()
    def clear_finished(self) -> None:
        gone = [job for job in self.known if self._state(job) in FINISHED]
        assert self.queue.clear_finished() == len(gone)
        for job in gone:
            self._take(job)
            del self.known[job]

    @rule()
    def claim(self) -> None:
        job = self.queue.claim(self.lease)
        ready = [one for one in self._waiting() if self._state(one) != "paused"]
        if self.running is not None or not ready:
            assert job is None
            return
        assert job is not None
        assert job.id == ready[0]
        self.running = job.id
        self.known[job.id].state = "running"

    @precondition(lambda self: self.running)
    @rule(step=st.integers(1, 9))
    def progress(self, step: int) -> None:
        assert self.running is not None
        assert self.queue.update(
            self.lease, self.running, state=Running(Progress("sample", step, 9)), kept_step=step
        )
        self.known[self.running].step = step

    @precondition(lambda self: self.running)
    @rule(
        how=st.sampled_from(("done", "failed", "paused", "cancelled", "kept", "died", "queued")),
    )
    def end(self, how: str) -> None:
        job, self.running = self.running, None
        assert job is not None
        known = self.known[job]
        state = {
            "done": Done(result()),
            "failed": BROKEN,
            "paused": Paused(known.step),
            "cancelled": Cancelled(),
            "kept": Cancelled(known.step),
            "died": Interrupted(known.deaths + 1, known.step, "It died."),
            "queued": Queued(known.step),
        }[how]
        more = {"proposals": (Proposal(plan(), (), True),)} if how == "failed" else {}
        assert self.queue.update(self.lease, job, state=state, **more)  # type: ignore[arg-type]
        known.deaths += how == "died"
        known.proposals = len(more) or known.proposals
        if how in ("died", "queued") and known.wish:
            how = {"pause": "paused", "keep": "kept", "cancel": "cancelled"}[known.wish]
        names = {"kept": "cancelled", "died": "interrupted"}
        self._set(job, names.get(how, how), 0 if how in ("done", "cancelled") else known.step)

    @rule()
    def close_and_open(self) -> None:
        self.queue.close()
        self.queue = Queue(self.folder, clock=lambda: float(self.now))
        self.lease = self.queue.open_lease()
        if self.running is not None:
            known = self.known[self.running]
            state = {"pause": "paused", "keep": "cancelled", "cancel": "cancelled", None: "queued"}[
                known.wish
            ]
            self._set(self.running, state, 0 if known.wish == "cancel" else known.step)
            self.running = None

    @invariant()
    def stands_as_the_model_says(self) -> None:
        self.now += 1
        rows = self.window.rows()
        assert [row.id for row in rows] == self._order()
        assert self.queue.rows(limit=10_000) == self.queue.rows() == rows
        for row in rows:
            known = self.known[row.id]
            assert (row.name, row.state, row.parent) == (known.name, known.state, known.parent)
            if row.state in ("queued", "paused", "interrupted", "cancelled"):
                assert row.step == known.step
        counts = self.queue.count()
        assert sum(counts.values()) == len(rows)
        if self.running is not None:
            assert self.queue.wish(self.running) == self.known[self.running].wish

    @rule(job=jobs)
    def lineage(self, job: str) -> None:
        if job not in self.known:
            return
        family, ancestor = {job}, self.known[job].parent
        while ancestor in self.known:
            family.add(ancestor)
            ancestor = self.known[ancestor].parent
        below = [job]
        while below:
            parent = below.pop()
            children = [one for one, known in self.known.items() if known.parent == parent]
            family.update(children)
            below += children
        assert {row.id for row in self.queue.lineage(job)} == family

    def _state(self, job: str) -> str | None:
        return self.known[job].state if job in self.known else None

    def _set(self, job: str, state: str, step: int) -> None:
        known = self.known[job]
        known.state, known.step, known.wish = state, step, None
        known.ended = self.now if state in FINISHED else 0

    def _priority(self, job: str) -> int:
        return next(priority for priority, jobs in self.places.items() if job in jobs)

    def _take(self, job: str) -> None:
        for jobs in self.places.values():
            if job in jobs:
                jobs.remove(job)

    def _append(self, job: str, priority: int) -> None:
        self._take(job)
        self.places.setdefault(priority, []).append(job)

    def _by_place(self) -> list[str]:
        return [job for priority in sorted(self.places, reverse=True) for job in self.places[priority]]

    def _waiting(self) -> list[str]:
        return [job for job in self._by_place() if self._state(job) in WAITING]

    def _order(self) -> list[str]:
        ended = [job for job in self.known if self._state(job) in FINISHED]
        ended.sort(key=lambda job: -self.known[job].ended)
        return [job for job in [self.running] if job] + self._waiting() + ended

    def _try(self, allowed: bool, step: Callable[[], object]) -> object:
        """What the step gives, or True for nothing; None where the model, and so the queue, refuses it."""
        if allowed:
            given = step()
            return True if given is None else given
        with pytest.raises(BadSetting):
            step()
        return None


def run(examples: int, steps: int, derandomize: bool) -> None:
    run_state_machine_as_test(
        Model,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=derandomize,
            # Explaining a failure traces every line, which takes minutes here.
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_steps_in_any_order_leave_the_queue_as_a_plain_list_would() -> None:
    run(EXAMPLES, 30, derandomize=True)


@pytest.mark.faults
def test_many_steps_in_any_order_leave_the_queue_as_a_plain_list_would() -> None:
    run(MANY_EXAMPLES, 50, derandomize=False)
    print(f"queue against its model: {MANY_EXAMPLES} runs of up to 50 steps, 0 differences")
