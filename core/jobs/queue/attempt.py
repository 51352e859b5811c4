"""One claimed job, from its checks to its last state; what happens meanwhile goes into the queue and a log.

Two threads: ``run`` blocks in the one that claimed the job, ``ask`` comes from the one that watches.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

from core.errors import (
    BadInput,
    Cancelled,
    DiskError,
    EngineDied,
    EngineError,
    OutOfMemory,
    Paused,
    PirouetteError,
)
from core.hardware import Machine, inspect_machine
from core.jobs.engine.rendering import Rendering
from core.jobs.engine.supervisor import Supervisor
from core.jobs.log import EngineLog
from core.jobs.preflight import Checked
from core.jobs.queue import expand, folders
from core.jobs.queue.changes import died_too_often
from core.jobs.queue.inputs import verify
from core.jobs.queue.job import MOST_RESUMES, Job, Wish
from core.jobs.queue.ladder import Ladder
from core.jobs.queue.lease import ANY_DEVICE, Lease
from core.jobs.queue.queue import Queue
from core.jobs.remember import run_and_remember
from core.media.disk import disk_error, exists
from core.types import Cancelled as CancelledState
from core.types import (
    Checkpointing,
    Done,
    Failed,
    Failure,
    Interrupted,
    JobState,
    Kept,
    Note,
    Plan,
    Previewing,
    Progress,
    Queued,
    RenderEvent,
    RenderRequest,
    Result,
    Running,
)
from core.types import Paused as PausedState

_LOG = logging.getLogger(__name__)
# Progress is written this often at most, a new phase at once: each write waits for the drive.
_WRITE_EVERY_S: Final = 1.0
# A wish, or why whoever runs the queue stops this job: it leaves, the schedule closes, or a drive is full.
Reason = Wish | Literal["leave"]
Listener = Callable[[str, RenderEvent | JobState], None]
Prepare = Callable[..., Checked]


class LeaseLost(Exception):  # noqa: N818
    """Another process has taken the job over: nothing may be written any more."""


class _NotWritten(Exception):  # noqa: N818
    """The queue itself cannot be written, which is no fault of the job."""


class Attempt:
    """Runs ``job``; a new one for each claim.

    Args:
        queue: where the job stands; lease: that owns it.
        supervisor: of the engine.
        prepare: ``core.jobs.preflight.check``.
        ladder: what to do where memory does not suffice.
        listener: gets every event and every change of state with the job's id.
        is_full: whether a drive of these paths is full.
        slow_s: see ``Checkpointing``.
        machine: what this machine has.
        previews: whether somebody looks at live previews; ``set_previews`` changes that.
    """

    def __init__(
        self,
        job: Job,
        queue: Queue,
        lease: Lease,
        supervisor: Supervisor,
        prepare: Prepare,
        ladder: Ladder,
        listener: Listener,
        is_full: Callable[[Sequence[Path]], bool],
        slow_s: float = 1.0,
        machine: Callable[[], Machine] = inspect_machine,
        clock: Callable[[], float] = time.monotonic,
        previews: bool = False,
    ) -> None:
        self.job = job
        self._queue, self._lease, self._supervisor = queue, lease, supervisor
        self._prepare, self._ladder, self._listener, self._is_full = prepare, ladder, listener, is_full
        self._machine, self._clock = machine, clock
        self._folder = queue.job_folder(job.id)
        self._log = EngineLog(self._folder / folders.LOG_NAME, "a")
        self._checkpointing = Checkpointing(str(self._folder / folders.STATE_FOLDER), slow_s)
        self._previewing = Previewing(str(self._folder / folders.PREVIEWS_FOLDER), previews)
        self._lock = threading.Lock()
        self._asked: Reason | None = None
        self._rendering: Rendering | None = None
        self._lost = False
        self._kept = job.state.progress.step if isinstance(job.state, Running) else 0
        self._written = (-_WRITE_EVERY_S, "")

    def run(self) -> JobState:
        """The state that the job is in afterwards; it is not written yet, progress and plans are.

        Raises:
            LeaseLost: somebody else has the job.
        """
        try:
            return self._work()
        except Paused as stop:
            if isinstance(stop.value, int):
                self._kept = stop.value
            return self._stopped()
        except Cancelled:
            return self._stopped()
        except _NotWritten as stop:
            self._log(f"The queue cannot be written, the render begins again. {stop}")
            return self._stopped() if self.is_asked else Queued(self._kept)
        except (EngineDied, OutOfMemory, DiskError) as error:
            if self._lost:
                raise LeaseLost from None
            return self._ended_by(error)
        except PirouetteError as error:
            return self._stopped() if self._supervisor.is_closed else self._failed(error)
        except LeaseLost:
            raise
        except Exception as error:
            _LOG.exception("The job %s failed unexpectedly", self.job.id)
            self._log(f"{type(error).__name__}: {error}")
            return self._failed(EngineError(f"Something unexpected went wrong: {error}."))

    def ask(self, reason: Reason) -> None:
        """Stop for this reason; may be repeated, and a stronger one outdoes a weaker one. From any thread."""
        with self._lock:
            if self._asked is None or _STRENGTH[reason] > _STRENGTH[self._asked]:
                self._asked = reason
            asked, rendering = self._asked, self._rendering
        if rendering is not None:
            _stop(rendering, asked)

    def set_previews(self, on: bool) -> None:
        """Whether somebody looks at the previews. From any thread."""
        with self._lock:
            self._previewing = replace(self._previewing, on=on)
            rendering = self._rendering
        if rendering is not None:
            rendering.set_previews(on)

    def kill(self) -> None:
        """End the engine now, whatever was asked for before. From any thread."""
        if (rendering := self._rendering) is not None:
            rendering.force_stop()

    @property
    def is_asked(self) -> bool:
        """Whether it was asked to stop and has not yet."""
        return self._asked is not None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Whose drives the job writes to."""
        return Path(self.job.request.output.path), self._folder

    def _work(self) -> JobState:
        self._log(f"--- {self.job.name}, deaths so far: {self.job.deaths}")
        self._stop_if_asked()
        request = self._here(self._settled(self.job.request))
        verify(request, self._stop_if_asked)
        checked = self._checked(request)
        self._tell(*checked.notes)
        self._write(plan=checked.plan)
        result = self._stepping_down(checked.request, checked.plan)
        return Done(result)

    def _here(self, request: RenderRequest) -> RenderRequest:
        """On the device that our lease is for: another process may be rendering on the others."""
        ours = self._lease.device
        return replace(request, device=ours) if request.device == "auto" and ours != ANY_DEVICE else request

    def _checked(self, request: RenderRequest) -> Checked:
        """Checked and planned; a render that goes on keeps its checkpoint, to which the state belongs."""
        made = self.job.plan
        if not self._kept or made is None or self.job.forced_plan is not None or made.model == request.model:
            return self._prepare(request, forced=self.job.forced_plan, inspect=self._inspect)
        try:
            checked = self._prepare(replace(request, model=made.model), inspect=self._inspect)
        except BadInput as error:
            self._log(f"It cannot go on with {made.model}: {error.sentence()}")
            return self._prepare(request, inspect=self._inspect)
        return replace(checked, request=replace(checked.request, model=request.model))

    def _inspect(self) -> Machine:
        return self._supervisor.freed(self._machine())

    def _settled(self, request: RenderRequest) -> RenderRequest:
        """The request whose output is ours: chosen before the first start, the same for all later ones."""
        begun = self._folder / folders.BEGUN_NAME
        if begun.exists() or request.output.overwrite:
            return request
        wanted = Path(request.output.path)
        free = expand.free_output(wanted, self._queue.outputs(besides=self.job.id))
        if free != wanted:
            request = replace(request, output=replace(request.output, path=str(free)))
            self._tell(f"{wanted.name} is there already: the video is written as {free.name}.")
            self._write(request=request)
            self.job = replace(self.job, request=request)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            begun.touch()
        except OSError as error:
            raise disk_error(error, begun) from error
        return request

    def _stepping_down(self, request: RenderRequest, plan: Plan) -> Result:
        """Render; where memory does not suffice, again with less of it as long as the picture stays."""
        while True:
            try:
                return self._once(request, plan)
            except OutOfMemory as error:
                lighter = self._ladder.step_down(plan, error)
                if lighter is None:
                    self._write(proposals=self._ladder.proposals(plan, error))
                    raise
                self._tell(f"{error.message} {lighter.lighter_steps[-1]}")
                plan = lighter
                self._write(plan=plan, forced_plan=plan)

    def _once(self, request: RenderRequest, plan: Plan) -> Result:
        def run(request: RenderRequest, plan: Plan, on_event: Callable[[RenderEvent], None]) -> Result:
            with self._lock:
                rendering = self._supervisor.rendering(
                    request, plan, self._checkpointing, self._log, self._previewing
                )
                self._rendering, asked = rendering, self._asked
            if asked is not None:
                _stop(rendering, asked)
            return rendering.run(on_event)

        try:
            return run_and_remember(run, request, plan, self._on_event, self._inspect)
        finally:
            with self._lock:
                self._rendering = None
            folders.drop_previews(self._folder)

    def _on_event(self, event: RenderEvent) -> None:
        match event:
            case Progress():
                self._on_progress(event)
            case Kept(step=step):
                self._on_kept(step)
            case Note(text):
                self._log(f"Note: {text}")
        self._listener(self.job.id, event)

    def _on_kept(self, step: int) -> None:
        """Whoever gets further than the last time is not the one that dies again and again."""
        further = step > self._kept
        self._kept = step
        if further:
            self.job = replace(self.job, deaths=0)
        self._try_to_write(kept_step=step, deaths=self.job.deaths)

    def _on_progress(self, progress: Progress) -> None:
        written_s, phase = self._written
        now_s = self._clock()
        if progress.phase == phase and now_s - written_s < _WRITE_EVERY_S:
            return
        self._written = (now_s, progress.phase)
        self._try_to_write(state=Running(progress))

    def _stop_if_asked(self) -> None:
        if self._lost:
            raise LeaseLost
        match self._asked:
            case None:
                return
            case "pause" | "keep" | "leave":
                raise Paused
            case _:
                raise Cancelled

    def _stopped(self) -> JobState:
        """What becomes of the job depends on who asked; a killed engine goes on at the newest state."""
        if self._lost:
            raise LeaseLost
        if not exists(Path(self.job.request.output.path)):
            # Nothing of ours lies there: what does when it goes on is somebody else's.
            folders.drop_begun(self._folder)
        match self._asked:
            case "pause":
                return PausedState(self._kept)
            case "keep":
                return CancelledState(self._kept)
            case "cancel" | "stop":
                return self._dropped()
            case _:  # whoever runs the queue leaves
                return Queued(self._kept)

    def _dropped(self) -> JobState:
        if self._lost:
            raise LeaseLost
        folders.drop_render(self._folder)
        return CancelledState()

    def _ended_by(self, error: PirouetteError) -> JobState:
        self._log(error.sentence())
        match error:
            case EngineDied() if self.job.deaths < MOST_RESUMES:
                return Interrupted(self.job.deaths + 1, self._kept, error.statement())
            case EngineDied():
                return Failed(died_too_often(self.job.deaths + 1, error.statement()))
            case DiskError() if self._is_full(self.paths):
                self._tell(f"{error.message} The render waits for space.")
                return Queued(self._kept)
            case _:
                return self._failed(error)

    def _failed(self, error: PirouetteError) -> JobState:
        if self._lost:
            raise LeaseLost
        self._log(error.sentence())
        return Failed(Failure(error.to_json(), error.exit_code))

    def _tell(self, *notes: str) -> None:
        """Notes of this job, each once."""
        new = tuple(note for note in dict.fromkeys(notes) if note not in self.job.notes)
        if not new:
            return
        self.job = replace(self.job, notes=(*self.job.notes, *new))
        for note in new:
            self._log(f"Note: {note}")
            self._listener(self.job.id, Note(note))
        self._try_to_write(notes=self.job.notes)

    def _try_to_write(self, **changes: Any) -> None:
        """What the next write tells anyway: the render need not stop for it."""
        try:
            self._write(**changes)
        except _NotWritten as error:
            _LOG.warning("The progress of %s is not written: %s", self.job.name, error)

    def _write(self, **changes: Any) -> None:
        """Change what the queue holds of this job.

        Raises:
            LeaseLost: the job is not ours any more; the engine is killed.
            _NotWritten: the queue cannot be written.
        """
        try:
            if not self._lost and self._queue.update(self._lease, self.job.id, **changes):
                return
        except DiskError as error:
            raise _NotWritten(error.sentence()) from error
        self._lost = True
        self.kill()
        raise LeaseLost


# Who kills the engine now outdoes who waits for it; who drops the state outdoes who keeps it.
_STRENGTH: Final[dict[Reason, int]] = {"leave": 0, "pause": 1, "keep": 2, "cancel": 3, "stop": 4}


def _stop(rendering: Rendering, asked: Reason) -> None:
    match asked:
        case "stop":
            rendering.force_stop()
        case "cancel":
            rendering.cancel()
        case _:
            rendering.pause()
