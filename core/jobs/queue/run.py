"""Works the queue: claims jobs one after the other and has them rendered, whatever happens to one of them.

Three threads meet here: the caller's ``run``, which renders; one that watches while it runs (wishes of any
process, the lease's heartbeat, full drives, the schedule's end); and whoever calls ``stop``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from core.errors import BadSetting, DiskError
from core.hardware import Machine, inspect_machine
from core.jobs.engine.states import EngineState
from core.jobs.engine.supervisor import Supervisor
from core.jobs.preflight import MIN_FREE_BYTES, FreeBytes, check, free_bytes
from core.jobs.queue.attempt import Attempt, LeaseLost, Listener, Prepare
from core.jobs.queue.job import CLAIMABLE, Job, StateName, name_of
from core.jobs.queue.ladder import Ladder
from core.jobs.queue.lease import Lease
from core.jobs.queue.queue import Queue
from core.jobs.queue.waiting import Gate, Hold, gate_of, low_disk
from core.types import JobState

_LOG = logging.getLogger(__name__)
# How soon a wish of another process is seen; those of this one call ``wake``.
TICK_S: Final = 0.5
_BEAT_EVERY_S: Final = 5.0
_LOOK_EVERY_S: Final = 5.0
_BACK_UP_EVERY_S: Final = 3600.0


@dataclass(frozen=True)
class Summary:
    """What a run came to: job ids by what became of them, and why it ended."""

    done: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    cancelled: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()
    reason: Literal["empty", "stopped", "held"] = "empty"


def _unheard(_job_id: str, _news: object) -> None:
    """Nobody listens."""


def _harmless(listener: Callable[..., None]) -> Callable[..., None]:
    """Whoever shows what happens must not stop it."""

    def told(*news: object) -> None:
        try:
            listener(*news)
        except Exception:
            _LOG.exception("News of the queue cannot be handed on")

    return told


class QueueRunner:
    """Renders the jobs of a queue in this process.

    Args:
        queue: which.
        supervisor: of the engine, by default one of its own that ends with ``run``.
        listener: gets each job's events and states, from the rendering thread.
        device: what this runner renders on; another runner's jobs wait for it where they meet.
        prepare: checks and plans a request.
        ladder: the way down where memory does not suffice.
        machine: what this machine has, planned with as if our own engine had left it.
        gate: why no job may start now.
        free: free bytes of a folder's drive.
        slow_s: see ``Checkpointing``.
        on_hold: told when a reason to wait comes, changes or goes.
        on_engine: told how the engine stands, where it is this runner's own.
    """

    def __init__(
        self,
        queue: Queue,
        supervisor: Supervisor | None = None,
        listener: Listener = _unheard,
        device: str = "any",
        *,
        prepare: Prepare = check,
        ladder: Ladder | None = None,
        machine: Callable[[], Machine] = inspect_machine,
        gate: Gate | None = None,
        free: FreeBytes = free_bytes,
        slow_s: float = 1.0,
        on_hold: Callable[[Hold | None], None] = lambda _: None,
        on_engine: Callable[[EngineState], None] = lambda _: None,
    ) -> None:
        self._queue = queue
        self._supervisor = supervisor
        self._listener, self._device = _harmless(listener), device
        self._prepare, self._ladder, self._machine = prepare, ladder or Ladder(machine), machine
        self._free = free
        self._gate = gate or gate_of(queue, free=free)
        self._slow_s, self._on_hold, self._on_engine = slow_s, _harmless(on_hold), _harmless(on_engine)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._forced = False
        self._previews = False
        self._attempt: Attempt | None = None
        self._hold: Hold | None = None

    @property
    def current(self) -> str | None:
        """The id of the job being rendered."""
        attempt = self._attempt
        return None if attempt is None else attempt.job.id

    def run(self, until_empty: bool = True) -> Summary:
        """Render until nothing is left to do, or until ``stop``.

        Args:
            until_empty: return when no job waits any more, or the queue is held; else wait for more.

        Raises:
            DiskError: the queue cannot be opened for work at all.
        """
        counted = _Counts()
        engine = self._supervisor or Supervisor(on_state=self._on_engine)
        ended = threading.Event()
        with self._queue.open_lease(self._device) as lease:
            watcher = threading.Thread(target=self._watch, args=(lease, ended), name="queue-watch")
            watcher.start()
            try:
                reason = self._work(lease, engine, until_empty, counted)
                return replace(counted.summary, reason=reason)
            finally:
                ended.set()
                self._wake.set()
                watcher.join()
                if self._supervisor is None:
                    engine.close()

    def stop(self, pause_current: bool = True) -> None:
        """End ``run`` for good: after the current job, or with ``pause_current`` at once, its state kept."""
        self._stopping.set()
        attempt = self._attempt
        if pause_current and attempt is not None:
            attempt.ask("leave")
        self._wake.set()

    def force_stop(self) -> None:
        """End ``run`` now: the engine is killed, the job goes on another time from its last kept step."""
        self._forced = True
        self._stopping.set()
        attempt = self._attempt
        if attempt is not None:
            attempt.ask("leave")
            attempt.kill()
        self._wake.set()

    def set_previews(self, on: bool) -> None:
        """Whether somebody looks at live previews, which the listener gets; nobody does at first.

        From any thread, at any time; it holds from the next step on and for all later jobs.
        """
        self._previews = on
        attempt = self._attempt
        if attempt is not None:
            attempt.set_previews(on)

    def wake(self) -> None:
        """Something has changed in the queue: look now instead of at the next tick."""
        self._wake.set()

    def _work(
        self, lease: Lease, engine: Supervisor, until_empty: bool, counted: _Counts
    ) -> Literal["empty", "stopped", "held"]:
        while not (self._stopping.is_set() or engine.is_closed):
            hold, job = self._next(lease)
            self._set_hold(hold)
            if job is not None:
                state = self._render(job, lease, engine)
                if state is not None:
                    counted.add(job.id, name_of(state))
            elif until_empty and hold is not None and hold.kind == "held":
                return "held"
            elif until_empty and hold is None and not self._anything_comes(lease):
                return "empty"
            else:
                self._pause(_LOOK_EVERY_S if hold is None else min(hold.look_again_s, _LOOK_EVERY_S))
        return "stopped"

    def _next(self, lease: Lease) -> tuple[Hold | None, Job | None]:
        """The next job, or why there is none now; a drive that cannot be written is a reason, no error."""
        try:
            for job in self._queue.recover():
                self._listener(job.id, job.state)
            hold = self._gate.reason(self._paths_ahead())
            if hold is not None:
                return hold, None
            return None, self._queue.claim(lease)
        except DiskError as error:
            return Hold("disk", error.sentence(), _LOOK_EVERY_S), None

    def _paths_ahead(self) -> tuple[Path, ...]:
        """Where the next render would write."""
        ahead = self._queue.rows(CLAIMABLE, limit=1)
        return (self._queue.folder / ahead[0].id, *(Path(row.output) for row in ahead)) if ahead else ()

    def _anything_comes(self, lease: Lease) -> bool:
        """Whether jobs wait behind another process's, which may come back, too. Others are not for us."""
        counts = self._queue.count()
        waiting = any(counts.get(state) for state in (*CLAIMABLE, "running"))
        return waiting and self._queue.other_runner(lease) is not None

    def _render(self, job: Job, lease: Lease, engine: Supervisor) -> JobState | None:
        """The state the job is left in; None where another process has it."""
        self._listener(job.id, job.state)
        attempt = Attempt(
            job,
            self._queue,
            lease,
            engine,
            self._prepare,
            self._ladder,
            self._listener,
            lambda paths: low_disk(paths, MIN_FREE_BYTES, self._free) is not None,
            self._slow_s,
            self._machine,
            previews=self._previews,
        )
        self._attempt = attempt
        attempt.set_previews(self._previews)  # it may have changed before anybody knew of the attempt
        try:
            if self._stopping.is_set():
                attempt.ask("leave")
            return self._leave(lease, job.id, attempt.run())
        except LeaseLost:
            _LOG.warning("Another process has taken over %s.", job.name)
            return None
        finally:
            self._attempt = None

    def _leave(self, lease: Lease, job_id: str, state: JobState) -> JobState | None:
        """Write the last state, however long it takes until the drive takes it.

        Returns:
            What the job is now: a wish that came too late for the attempt counts. None where it is lost.
        """
        while True:
            try:
                kept = self._queue.update(lease, job_id, state=state)
            except DiskError as error:
                self._set_hold(Hold("disk", error.sentence(), _LOOK_EVERY_S))
                if self._forced:
                    raise
                self._pause(_LOOK_EVERY_S)
                continue
            if not kept:
                return None
            written = self._written(job_id, state)
            self._listener(job_id, written)
            return written

    def _written(self, job_id: str, state: JobState) -> JobState:
        """What stands in the queue now; ``state`` where somebody has removed the job or the drive fails."""
        try:
            return self._queue.get(job_id).state
        except (BadSetting, DiskError):
            return state

    def _set_hold(self, hold: Hold | None) -> None:
        if hold != self._hold:
            self._hold = hold
            self._on_hold(hold)

    def _pause(self, longest_s: float) -> None:
        self._wake.wait(longest_s)
        self._wake.clear()

    def _watch(self, lease: Lease, ended: threading.Event) -> None:
        """Beats, and looks for reasons to stop the job that runs."""
        watch = _Watch(self._queue, lease, self._gate)
        while not ended.wait(TICK_S):
            try:
                watch.look(self._attempt)
            except DiskError as error:
                _LOG.warning("The queue cannot be reached: %s", error.sentence())
            except Exception:  # without beats others would take the job over
                _LOG.exception("The running job is not watched as it should be")


@dataclass
class _Counts:
    """What became of the jobs of a run."""

    ids: dict[StateName, list[str]] = field(default_factory=dict)

    def add(self, job_id: str, state: StateName) -> None:
        """A job that was interrupted comes again and counts then."""
        self.ids.setdefault(state, []).append(job_id)

    @property
    def summary(self) -> Summary:
        def of(state: StateName) -> tuple[str, ...]:
            return tuple(self.ids.get(state, ()))

        return Summary(of("done"), of("failed"), of("cancelled"), of("paused"))


class _Watch:
    """What the watching thread does at each tick."""

    def __init__(
        self, queue: Queue, lease: Lease, gate: Gate, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._queue, self._lease, self._gate, self._clock = queue, lease, gate, clock
        self._beat_s = self._looked_s = self._backed_up_s = clock()
        self._seen: tuple[str, int] | None = None

    def look(self, attempt: Attempt | None) -> None:
        """Beat where it is time; tell the running job what is asked of it."""
        now_s = self._clock()
        if now_s - self._beat_s >= _BEAT_EVERY_S:
            self._beat_s = now_s
            self._lease.beat()
        if now_s - self._backed_up_s >= _BACK_UP_EVERY_S:
            self._backed_up_s = now_s
            self._queue.back_up()
        if attempt is None:
            return
        self._obey(attempt)
        if now_s - self._looked_s >= _LOOK_EVERY_S:
            self._looked_s = now_s
            self._look_around(attempt)

    def _obey(self, attempt: Attempt) -> None:
        """The wish is read only where the queue has changed, and told again until the job has stopped."""
        changes = self._queue.changes()
        if self._seen == (attempt.job.id, changes) and not attempt.is_asked:
            return
        self._seen = (attempt.job.id, changes)
        wish = self._queue.wish(attempt.job.id)
        if wish is not None:
            attempt.ask(wish)

    def _look_around(self, attempt: Attempt) -> None:
        if self._gate.stop_reason(attempt.paths) is not None:
            attempt.ask("leave")
