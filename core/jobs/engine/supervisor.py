"""Keeps one engine process: started on demand, kept warm, watched, ended, and started again after a crash.

A thread of its own does all of it and takes what others want from a mailbox, so nothing here is shared but
what the lock guards. It lives as long as the engine: on Linux the kernel takes the end of the thread that
started a process for the end of the app.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from core.errors import Cancelled, EngineDied, EngineError, EngineHung, Paused, PirouetteError, from_json
from core.hardware import Device, Machine, parse_device
from core.hardware.oom_kills import oom_kills
from core.jobs.engine.conversation import (
    Asked,
    Conversation,
    Ending,
    Looking,
    Patience,
    Post,
    Unload,
    Wake,
)
from core.jobs.engine.environment import engine_command, engine_environment
from core.jobs.engine.leftovers import remove_unfinished
from core.jobs.engine.liveness import Limits
from core.jobs.engine.mailbox import Clock, Mailbox, MonotonicClock
from core.jobs.engine.process import Ended, EngineProcess
from core.jobs.engine.reasons import died
from core.jobs.engine.rendering import OnEvent, OnLog, Rendering
from core.jobs.engine.share import with_share
from core.jobs.engine.states import Busy, EngineState, Off, Starting, Waiting, Warm
from core.protocol import ProtocolError, unload_message
from core.types import Checkpointing, Failure, Phase, Plan, Previewing, RenderRequest, Result

_LOGGER = logging.getLogger(__name__)
BACK_OFF_S: Final = (1.0, 2.0, 5.0, 15.0, 60.0)
# A pause is to give the GPU back within 5 s, and the system takes up to 3 s of them to end an engine that has
# page-locked 16 GiB (docs/benchmarks.md). Waiting longer saves little: a step that takes longer than this has
# left the one before it on disk.
PAUSE_S: Final = 1.0
_LIMITS: Final = Limits()
# Standard error is another pipe than the answer's: what was said before it may arrive this much later.
_LATE_S: Final = 1.0


class Supervisor:
    """One engine process, kept warm. All methods may be called from any thread; ``close`` it at the end.

    Args:
        command: the engine's command line, of whatever Python environment; by default ``engine_command``.
        warm_s: how long an idle engine keeps its model.
        limits: how long it may give no sign of life.
        grace_s: how long a cancelled or idle engine may take to end before it is killed.
        pause_s: the same for one that shall keep its state.
        clock: what all times are measured by.
        on_state: hears of each new state, in the supervising thread: it must not wait.
        on_log: gets lines of the engine's standard error that belong to no render.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        warm_s: float = 300.0,
        limits: Limits = _LIMITS,
        grace_s: float = 5.0,
        pause_s: float = PAUSE_S,
        clock: Clock | None = None,
        on_state: Callable[[EngineState], None] = lambda _: None,
        on_log: OnLog = lambda _: None,
    ) -> None:
        self._command, self._warm_s, self._limits = tuple(command or engine_command()), warm_s, limits
        self._patience = Patience(grace_s, pause_s)
        self._clock = clock or MonotonicClock()
        self._on_state, self._on_log = on_state, on_log
        self._listener: tuple[OnLog, float] = (on_log, math.inf)
        self._mailbox: Mailbox[Post] = Mailbox(self._clock)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._current: Rendering | None = None
        self._closed = False
        self._state: EngineState = Off()
        # Of the supervising thread alone:
        self._engine: EngineProcess | None = None
        self._crashes = 0
        self._not_before_s = -math.inf

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_closed(self) -> bool:
        """Whether it renders no more."""
        return self._closed

    @property
    def state(self) -> EngineState:
        """How the engine stands."""
        return self._state

    def rendering(
        self,
        request: RenderRequest,
        plan: Plan,
        checkpointing: Checkpointing | None = None,
        on_log: OnLog = lambda _: None,
        previewing: Previewing | None = None,
    ) -> Rendering:
        """A render that can be stopped even before it is run.

        Args:
            on_log: gets the engine's standard error.
            previewing: where live previews go and whether they are wanted; None makes none.
        """
        return Rendering(
            request, plan, checkpointing, on_log, self._begin, self._stop, previewing, self._previews
        )

    def render(
        self,
        request: RenderRequest,
        plan: Plan,
        on_event: OnEvent,
        checkpointing: Checkpointing | None = None,
        on_log: OnLog = lambda _: None,
    ) -> Result:
        """Render, one at a time; see ``Rendering.run``."""
        return self.rendering(request, plan, checkpointing, on_log).run(on_event)

    def cancel(self) -> None:
        """Stop the render that is going on, if any."""
        if (current := self._current) is not None:
            current.cancel()

    def pause(self) -> None:
        """Stop the render that is going on, if any, and keep what was done."""
        if (current := self._current) is not None:
            current.pause()

    def set_previews(self, on: bool) -> None:
        """Whether somebody looks at the previews of the render that is going on, if any."""
        if (current := self._current) is not None:
            current.set_previews(on)

    def force_stop(self) -> None:
        """Kill the engine of the render that is going on, if any."""
        if (current := self._current) is not None:
            current.force_stop()

    def freed(self, machine: Machine) -> Machine:
        """The machine as the next render finds it: what our idle engine holds counts as free."""
        engine = self._engine
        if engine is None or self._current is not None:
            return machine
        return with_share(machine, engine.worker_pid, engine.gpu, engine.vram_bytes)

    def unload(self) -> None:
        """Let an idle engine give its model's memory back; a busy one is left alone."""
        self._mailbox.post(Unload())

    def close(self) -> None:
        """End the engine, and a render that is going on, for good."""
        with self._lock:
            self._closed = True
            thread = self._thread
        self.force_stop()
        self._mailbox.post(Wake())
        if thread is not None:
            thread.join()

    def _begin(self, rendering: Rendering) -> None:
        """Hand a render to the supervising thread, which is started with the first."""
        with self._lock:
            if self._closed:
                raise EngineError("The engine was closed.")
            if self._current is not None:
                raise EngineError("Another render is going on.", action="Wait for its end.")
            self._current = rendering
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="supervisor", daemon=True)
                self._thread.start()
        self._mailbox.post(rendering)

    def _stop(self, rendering: Rendering) -> None:
        self._mailbox.post(Asked(rendering))

    def _previews(self, rendering: Rendering) -> None:
        self._mailbox.post(Looking(rendering))

    def _work(self) -> None:
        while (rendering := self._idle()) is not None:
            outcome = self._outcome(rendering)
            self._settle(rendering, outcome)
            del rendering, outcome  # a warm engine may wait long, and these hold much
        self._end_engine()
        if self._current is not None:  # asked for while we were leaving
            self._settle(self._current, Cancelled())

    def _settle(self, rendering: Rendering, outcome: Result | BaseException) -> None:
        with self._lock:
            self._current = None
        rendering.settle(outcome)

    def _idle(self) -> Rendering | None:
        """Wait for the next render; None when closed."""
        since_s = self._clock.now()
        if self._engine is not None:
            self._tell(Warm(since_s))
        while not self._closed:
            match self._mailbox.take(None if self._engine is None else since_s + self._warm_s):
                case Rendering() as rendering:
                    return rendering
                case None:
                    self._end_engine()
                case Ended(engine) if engine is self._engine:
                    _LOGGER.warning("The idle engine %d ended", engine.pid)
                    self._end_engine()
                case Unload() if self._engine is not None:
                    self._engine.send(unload_message())
        return None

    def _outcome(self, rendering: Rendering) -> Result | BaseException:
        self._listener = (rendering.on_log, math.inf)
        try:
            return self._render(rendering)
        except PirouetteError as error:
            return error
        except Exception as error:  # of ours; whoever waits must hear of it
            _LOGGER.exception("The supervisor failed")
            self._end_engine(kill=True)
            return error
        finally:
            self._listener = (rendering.on_log, self._clock.now() + _LATE_S)
            remove_unfinished(Path(rendering.request.output.path))

    def _render(self, rendering: Rendering) -> Result:
        device = parse_device(rendering.request.device)
        self._wait_out(rendering)
        while True:
            is_new = self._ready(device)
            killed_before = oom_kills()
            engine, ending = self._converse(rendering, device)
            if ending.answer is not None:
                return self._answered(rendering, engine, ending.answer)
            code = self._end_engine(kill=isinstance(ending.error, EngineHung))
            if is_new or ending.begun or rendering.stop is not None:
                break  # else it had died before it was asked
        if rendering.stop is not None:
            raise rendering.stopped()
        killed_for_memory = oom_kills() != killed_before
        raise self._crashed(_reason(engine, ending, code, killed_for_memory))

    def _converse(self, rendering: Rendering, device: Device) -> tuple[EngineProcess, Ending]:
        engine = self._engine
        assert engine is not None
        rendering.engine_pid = engine.pid
        conversation = Conversation(
            engine,
            rendering,
            device,
            self._mailbox,
            self._clock,
            self._limits,
            self._patience,
            self._busy,
        )
        return engine, conversation.hold()

    def _wait_out(self, rendering: Rendering) -> None:
        """An engine that crashed again and again is not started at once."""
        while rendering.stop is None and self._clock.now() < self._not_before_s:
            self._tell(Waiting(self._not_before_s))
            self._mailbox.take(self._not_before_s)
        if rendering.stop is not None:
            self._tell(Off())
            raise rendering.stopped()

    def _ready(self, device: Device) -> bool:
        """See to an engine for this device; whether it had to be started."""
        environment = engine_environment(os.environ, device)
        if self._engine is not None and not self._engine.suits(environment):
            self._end_engine()
        if self._engine is not None:
            self._engine.forget_tail()
            return False
        self._tell(Starting())
        try:
            self._engine = EngineProcess(self._command, environment, self._mailbox.post, self._log)
        except EngineError:
            self._tell(Off())
            raise
        return True

    def _answered(self, rendering: Rendering, engine: EngineProcess, answer: Result | Failure) -> Result:
        """The render's result or error. A result counts even if a stop came meanwhile: its file is there."""
        self._crashes, self._not_before_s = 0, -math.inf
        stop = rendering.stop  # once: another may come while we look
        if stop == "pause" or engine.is_killed:
            self._end_engine(kill=True)
        if isinstance(answer, Result):
            return answer
        error = from_json(answer.error)
        if stop is None or (stop == "pause" and not isinstance(error, Cancelled)):
            raise error
        step = _step(error)
        rendering.kept = rendering.kept if step is None else step
        raise rendering.stopped()

    def _crashed(self, error: PirouetteError) -> PirouetteError:
        """``error``; after a crash the next start waits."""
        if isinstance(error, EngineDied):
            wait_s = BACK_OFF_S[min(self._crashes, len(BACK_OFF_S) - 1)]
            self._crashes += 1
            self._not_before_s = self._clock.now() + wait_s
        return error

    def _end_engine(self, kill: bool = False) -> int:
        """End the engine, if there is one, and tell its exit code."""
        engine, self._engine = self._engine, None
        if engine is None:
            return 0
        try:
            if kill:
                engine.kill()
            code = engine.finish(self._patience.grace_s)
        except Exception:  # of the system; this thread must live, or the next render waits for ever
            _LOGGER.exception("The engine %d could not be ended in order", engine.pid)
            code = -9
        self._tell(Off())
        return code

    def _busy(self, phase: Phase) -> None:
        self._tell(Busy(phase))

    def _tell(self, state: EngineState) -> None:
        if state == self._state:
            return
        self._state = state
        try:
            self._on_state(state)
        except Exception:  # whoever shows the state must not stop the render
            _LOGGER.exception("The engine's state cannot be handed on")

    def _log(self, line: str) -> None:
        """A line of the engine's standard error, in its thread."""
        listener, until_s = self._listener
        (listener if self._clock.now() <= until_s else self._on_log)(line)


def _reason(engine: EngineProcess, ending: Ending, code: int, killed_for_memory: bool) -> PirouetteError:
    error = ending.error
    if error is not None and (code == 0 or engine.is_killed or not isinstance(error, ProtocolError)):
        return error
    return died(code, engine.tail, engine.greeting is not None, killed_for_memory)


def _step(error: PirouetteError) -> int | None:
    """The step that a pause tells; it crossed the pipe as text."""
    text = str(error.value)
    return int(text) if isinstance(error, Paused) and text.isdigit() else None
