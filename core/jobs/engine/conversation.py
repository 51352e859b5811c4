"""One render with a running engine: asks, listens, looks for signs of life, and stops it when it must."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from core.errors import EngineHung, PirouetteError
from core.hardware import Device
from core.hardware.activity import cpu_seconds, gpu_busy, read_bytes
from core.jobs.engine.liveness import Limits, Liveness, stage_of
from core.jobs.engine.mailbox import Clock, Mailbox
from core.jobs.engine.process import Ended, EngineProcess, Heard
from core.jobs.engine.reasons import kernel_traces
from core.jobs.engine.rendering import Rendering
from core.protocol import (
    Message,
    ProtocolError,
    cancel_message,
    pause_message,
    previews_message,
    read_event,
    render_message,
)
from core.types import Failure, Phase, Progress, Result

_LOGGER = logging.getLogger(__name__)
# For faulthandler to write the stacks of an engine that hangs.
_STACKS_S: Final = 0.3
# For the pipes of a killed engine to be read to their end.
_GONE_S: Final = 10.0


@dataclass(frozen=True, eq=False)
class Asked:
    """Somebody wants ``rendering`` stopped."""

    rendering: Rendering


@dataclass(frozen=True, eq=False)
class Looking:
    """Somebody looks at the previews of ``rendering``, or does not any more."""

    rendering: Rendering


@dataclass(frozen=True, eq=False)
class Signs:
    """What the system tells of ``engine``; see ``Liveness.look``."""

    engine: EngineProcess
    cpu_s: float | None
    gpu_busy: bool | None
    read_bytes: int | None


@dataclass(frozen=True, eq=False)
class Wake:
    """Look again at what has changed."""


@dataclass(frozen=True, eq=False)
class Unload:
    """An idle engine shall let go of its model."""


Post = Heard | Ended | Asked | Looking | Signs | Wake | Unload | Rendering


@dataclass(frozen=True)
class Ending:
    """How the conversation ended: an answer, else without one.

    Attributes:
        error: the engine does not follow the protocol, or hangs.
        begun: whether the engine has taken the render up.
    """

    answer: Result | Failure | None = None
    error: PirouetteError | None = None
    begun: bool = False


@dataclass(frozen=True)
class Patience:
    """Seconds until an engine that was asked to stop is killed; ``pause_s`` where it shall keep its state."""

    grace_s: float
    pause_s: float


class Conversation:
    """Of one render; ``hold`` it once, in the thread that takes from the mailbox."""

    def __init__(
        self,
        engine: EngineProcess,
        rendering: Rendering,
        device: Device,
        mailbox: Mailbox[Post],
        clock: Clock,
        limits: Limits,
        patience: Patience,
        on_phase: Callable[[Phase], None],
    ) -> None:
        self._engine, self._rendering, self._device = engine, rendering, device
        self._mailbox, self._clock, self._limits, self._patience = mailbox, clock, limits, patience
        self._on_phase = on_phase
        now_s = clock.now()
        self._liveness = Liveness(limits, now_s, "greeting" if engine.greeting is None else "start")
        self._look_s = now_s + limits.tick_s
        self._kill_s: float | None = None
        self._gone_s: float | None = None
        self._error: PirouetteError | None = None
        self._begun = self._gathering = False

    def hold(self) -> Ending:
        """Ask for the render and follow it to its end, or the engine's."""
        rendering = self._rendering
        self._engine.send(
            render_message(rendering.request, rendering.plan, rendering.checkpointing, rendering.previewing)
        )
        if self._engine.greeting is not None:
            self._on_phase("start")
        self._heed_stop()
        while not self._over():
            ending = self._take(self._mailbox.take(self._next_s()))
            if ending is not None:
                return ending
            self._keep_time()
        return Ending(error=self._error, begun=self._begun)

    def _take(self, item: Post | None) -> Ending | None:
        match item:
            case Heard(engine, message) if engine is self._engine:
                answer = self._hear(message)
                return None if answer is None else Ending(answer, begun=True)
            case Ended(engine, error) if engine is self._engine:
                return Ending(error=self._error or error, begun=self._begun)
            case Signs(engine) if engine is self._engine:
                self._gathering = False
                self._look(item)
            case Asked(rendering) if rendering is self._rendering:
                self._heed_stop()
            case Looking(rendering) if rendering is self._rendering and rendering.previewing is not None:
                self._engine.send(previews_message(rendering.previewing.on))
        return None

    def _hear(self, message: Message) -> Result | Failure | None:
        """Pass an event on; the last one is the answer."""
        now_s = self._clock.now()
        if message["type"] == "hello":
            self._liveness.heard(now_s, "start")
            self._on_phase("start")
            return None
        if message["type"] == "heartbeat":
            self._liveness.heard(now_s)
            return None
        try:
            event = read_event(message)
        except PirouetteError as error:
            self._end(ProtocolError(f"An event of the engine cannot be read: {error.message}"))
            return None
        self._begun = True
        if isinstance(event, Result) or (isinstance(event, Failure) and self._error is None):
            return event
        if isinstance(event, Failure):
            return None  # the signal that asked for the stacks woke it
        self._liveness.heard(now_s, stage_of(event) if isinstance(event, Progress) else None)
        if isinstance(event, Progress):
            self._on_phase(event.phase)
        self._rendering.tell(event)
        return None

    def _heed_stop(self) -> None:
        """Do what the user wants, if anything; the shortest time that was ever promised counts."""
        match self._rendering.stop:
            case "pause":
                self._engine.send(pause_message())
                self._kill_by(self._patience.pause_s)
            case "cancel":
                self._engine.send(cancel_message())
                self._kill_by(self._patience.grace_s)
            case "kill":
                self._kill()

    def _kill_by(self, seconds: float) -> None:
        by_s = self._clock.now() + seconds
        self._kill_s = by_s if self._kill_s is None else min(self._kill_s, by_s)

    def _next_s(self) -> float:
        """When to look up at the latest."""
        if self._gone_s is not None:
            return self._gone_s
        look_s = self._next_look_s()
        return look_s if self._kill_s is None else min(look_s, self._kill_s)

    def _next_look_s(self) -> float:
        return self._look_s if self._error is not None else min(self._look_s, self._liveness.due_s)

    def _over(self) -> bool:
        return self._gone_s is not None and self._clock.now() >= self._gone_s

    def _keep_time(self) -> None:
        """Kill what was asked to stop and did not; look for signs of life."""
        now_s = self._clock.now()
        if self._gone_s is not None:
            return
        if self._kill_s is not None and now_s >= self._kill_s:
            if self._error is None:
                self._log("The engine did not stop when it was asked to: it is killed.")
            self._kill()
        elif now_s >= self._next_look_s():
            self._look_s = now_s + self._limits.tick_s
            self._look(None)
            self._gather()

    def _look(self, signs: Signs | None) -> None:
        now_s = self._clock.now()
        told = () if signs is None else (signs.cpu_s, signs.gpu_busy, signs.read_bytes)
        if self._liveness.look(now_s, *told) == "hung" and self._error is None and self._gone_s is None:
            self._give_up(self._liveness.silent_s(now_s))

    def _gather(self) -> None:
        """Ask the system on a thread: a driver that hangs too must not hold us up."""
        if not self._gathering and self._error is None and self._liveness.doubtful(self._clock.now()):
            self._gathering = True
            threading.Thread(target=self._tell_signs, name="engine-signs", daemon=True).start()

    def _tell_signs(self) -> None:
        busy = None
        if self._device.kind != "cpu":
            busy = gpu_busy(self._device.uuid, self._engine.worker_pid)
        pid, worker = self._engine.pid, self._engine.worker_pid
        self._mailbox.post(Signs(self._engine, cpu_seconds(pid), busy, read_bytes(worker)))

    def _give_up(self, silent_s: float) -> None:
        """The engine hangs: leave what is known in the log, then kill it."""
        stage = self._liveness.stage
        message = f"The engine showed no sign of life for {silent_s:.0f} s ({stage}) and was killed."
        for line in (message, *kernel_traces(self._engine.worker_pid)):
            self._log(line)
        self._engine.ask_stacks()
        self._end(EngineHung(message, value=stage, limit=f"{silent_s:.0f} s", action="Try again."))

    def _log(self, line: str) -> None:
        """A line for the render's log, which must not keep us from what it tells."""
        try:
            self._rendering.on_log(line)
        except Exception:
            _LOGGER.exception("The engine's log cannot be handed on")

    def _end(self, error: PirouetteError) -> None:
        self._error = self._error or error
        self._kill_by(_STACKS_S)

    def _kill(self) -> None:
        self._engine.kill()
        self._gone_s = self._clock.now() + _GONE_S
