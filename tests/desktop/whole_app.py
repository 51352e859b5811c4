"""The whole app for tests: every presenter and view real, only the engine process has no model in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PySide6.QtWidgets import QApplication

from core.jobs.engine.supervisor import Supervisor
from core.jobs.queue.queue import Queue
from core.jobs.queue.run import QueueRunner, Summary
from desktop.app import begin, open_last
from desktop.build import App, build_app, build_parts
from desktop.options import parse
from desktop.presenters.single_instance import SingleInstance
from desktop.views.window_commands import apply_theme

FAKE_ENGINE = (sys.executable, str(Path(__file__).resolve().parent.parent / "fakes" / "engine.py"))


class _Runner(QueueRunner):
    """Ends its engine with itself, as one does that was not given an engine."""

    def __init__(self, queue: Queue, hear: Callable[..., None], on_hold: Callable[..., None]) -> None:
        self._engine = Supervisor(FAKE_ENGINE, warm_s=0)
        super().__init__(queue, self._engine, hear, on_hold=on_hold)

    def run(self, until_empty: bool = True) -> Summary:
        """As always, and then no thread is left."""
        try:
            return super().run(until_empty)
        finally:
            self._engine.close()


def fake_runner(queue: Queue, hear: Callable[..., None], on_hold: Callable[..., None]) -> QueueRunner:
    """Works the queue with the engine of the tests."""
    return _Runner(queue, hear, on_hold)


@contextmanager
def opened_app(start: bool = True, theme: str = "light") -> Iterator[App]:
    """The window on the screen of the tests, with what was open last.

    Args:
        start: also what begins after the first paint: queue, estimates, meters.
    """
    # As the app does: a style sheet that is there is worked through by each view as it is made.
    QApplication.instance().setStyleSheet("")
    app = build_app(build_parts(make_runner=fake_runner))
    apply_theme(theme)  # type: ignore[arg-type]
    app.window.closed.connect(app.parts.close)
    open_last(app)
    app.window.resize(1400, 900)
    app.window.show()
    if start:
        begin(app, parse([]), SingleInstance(), lambda _code: None)
    try:
        yield app
    finally:
        app.window.close()
        app.window.deleteLater()
        QApplication.processEvents()
