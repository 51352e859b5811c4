"""One render in one engine process, for whoever has no queue. Never imports the engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from core.errors import EngineError
from core.jobs.engine.rendering import Rendering
from core.jobs.engine.supervisor import Supervisor
from core.types import Plan, RenderEvent, RenderRequest, Result

GRACE_S = 5.0
OnEvent = Callable[[RenderEvent], None]


class Runner:
    """One render in one engine process; make a new one for each render.

    Args:
        command: the engine's command line; by default ``engine_command``.
        grace_s: how long a cancelled or finished engine may take before it is killed.
        on_log: receives the engine's standard error line by line, from a thread of its own.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        grace_s: float = GRACE_S,
        on_log: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._command, self._grace_s, self._on_log = command, grace_s, on_log
        self._lock = threading.Lock()
        self._rendering: Rendering | None = None
        self._stop: Callable[[Rendering], None] | None = None

    def run(self, request: RenderRequest, plan: Plan, on_event: OnEvent) -> Result:
        """Render and return the result; ``on_event`` gets every other event, in this thread.

        The engine has ended when this returns.

        Raises:
            PirouetteError: see ``Rendering.run``.
        """
        supervisor = Supervisor(self._command, grace_s=self._grace_s, on_log=self._on_log)
        with supervisor:
            return self._made(supervisor, request, plan).run(on_event)

    def cancel(self) -> None:
        """Ask the engine to stop; it is killed when it has not ended after the grace period."""
        self._ask(Rendering.cancel)

    def force_stop(self) -> None:
        """Kill the engine now."""
        self._ask(Rendering.force_stop)

    @property
    def engine_pid(self) -> int | None:
        """Process id of the engine, once started."""
        return None if self._rendering is None else self._rendering.engine_pid

    def _made(self, supervisor: Supervisor, request: RenderRequest, plan: Plan) -> Rendering:
        with self._lock:
            if self._rendering is not None:
                raise EngineError("A runner renders once.", action="Make a new runner.")
            rendering = self._rendering = supervisor.rendering(request, plan, on_log=self._on_log)
            stop = self._stop
        if stop is not None:
            stop(rendering)
        return rendering

    def _ask(self, stop: Callable[[Rendering], None]) -> None:
        """Stop the render, or the one to come."""
        with self._lock:
            self._stop = stop
            rendering = self._rendering
        if rendering is not None:
            stop(rendering)
