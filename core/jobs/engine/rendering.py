"""One render as whoever asked for it sees it: events, an end, and a way to stop it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal

from core.errors import Cancelled, EngineError, Paused
from core.types import Checkpointing, Kept, Plan, Previewing, RenderEvent, RenderRequest, Result

Stop = Literal["pause", "cancel", "kill"]
OnEvent = Callable[[RenderEvent], None]
OnLog = Callable[[str], None]
_STRENGTH: Final[dict[Stop | None, int]] = {None: 0, "pause": 1, "cancel": 2, "kill": 3}


class Rendering:
    """Made by ``Supervisor.rendering``; run it once. A stop before ``run`` counts too.

    Attributes:
        stop: what the user wants, the strongest so far.
        kept: the newest step whose state is known to be on disk; None while none is.
        previewing: where previews go and whether they are wanted now; None where this render makes none.
        engine_pid: process id of the engine, once there is one.
    """

    def __init__(
        self,
        request: RenderRequest,
        plan: Plan,
        checkpointing: Checkpointing | None,
        on_log: OnLog,
        begin: Callable[[Rendering], None],
        on_stop: Callable[[Rendering], None],
        previewing: Previewing | None = None,
        on_previews: Callable[[Rendering], None] = lambda _: None,
    ) -> None:
        self.request, self.plan, self.checkpointing, self.on_log = request, plan, checkpointing, on_log
        self.stop: Stop | None = None
        self.kept: int | None = None
        self.engine_pid: int | None = None
        self.previewing = previewing
        self._begin, self._on_stop, self._on_previews = begin, on_stop, on_previews
        self._lock = threading.Lock()
        self._begun = False
        self._inbox: queue.SimpleQueue[RenderEvent | BaseException] = queue.SimpleQueue()

    def run(self, on_event: OnEvent) -> Result:
        """Render; ``on_event`` gets every event but the last, in this thread. What it raises ends the engine.

        Raises:
            Paused: ``pause`` was called; ``value`` is the step that is kept, None where it is not known.
            Cancelled: ``cancel`` or ``force_stop`` was called.
            OutOfMemory: reported by the engine, or the kernel says that it killed it for that.
            EngineHung: the engine gave no sign of life.
            EngineDied: the engine ended without an answer.
            EngineError: it cannot be started, or another render is going on.
            PirouetteError: any other error that the engine reports.
        """
        if self._begun:
            raise EngineError("A render runs once.", action="Ask for a new one.")
        self._begun = True
        self._begin(self)
        try:
            outcome = self._follow(on_event)
        except BaseException:
            self.force_stop()
            self._follow(lambda _: None)
            raise
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def pause(self) -> None:
        """Stop and keep what was done; the engine is ended, so that all of its memory is free."""
        self._ask("pause")

    def cancel(self) -> None:
        """Stop; nothing need be kept."""
        self._ask("cancel")

    def force_stop(self) -> None:
        """Kill the engine now."""
        self._ask("kill")

    def set_previews(self, on: bool) -> None:
        """Whether somebody looks at the previews, from the next step on. From any thread."""
        with self._lock:
            if self.previewing is None or self.previewing.on == on:
                return
            self.previewing = replace(self.previewing, on=on)
        self._on_previews(self)

    def tell(self, event: RenderEvent) -> None:
        """An event of the engine, from the supervising thread."""
        if isinstance(event, Kept):
            self.kept = event.step
        self._inbox.put(event)

    def settle(self, outcome: Result | BaseException) -> None:
        """The end, from the supervising thread."""
        self._inbox.put(outcome)

    def stopped(self) -> Cancelled:
        """What the caller gets for the stop that was asked for."""
        return Paused(value=self.kept) if self.stop == "pause" else Cancelled()

    def _ask(self, stop: Stop) -> None:
        with self._lock:
            if _STRENGTH[stop] <= _STRENGTH[self.stop]:
                return
            self.stop = stop
        self._on_stop(self)

    def _follow(self, on_event: OnEvent) -> Result | BaseException:
        while True:
            event = self._inbox.get()
            if isinstance(event, Result | BaseException):
                return event
            on_event(event)
