"""``--demo-and-quit``: the shipped demo rendered through the window's own button, and played."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import QObject, QTimer

from core.catalogue.demo import demo_characters, demo_motions
from desktop.build import App

_LOG = logging.getLogger(__name__)
_PLAYED_FRAMES: Final = 8
_LONGEST_MS: Final = 600_000
_LOOK_EVERY_MS: Final = 50


class DemoRun(QObject):
    """Chooses, presses Render, waits, plays the first frames, and tells how it ended.

    Args:
        app: the window, shown.
        done: gets the process's exit code.
    """

    def __init__(self, app: App, done: Callable[[int], None]) -> None:
        super().__init__(app.window)
        self._app, self._done = app, done
        self._seen: set[int] = set()
        self._output: Path | None = None
        self._ended = False
        self._timer = QTimer(self, interval=_LOOK_EVERY_MS)
        self._timer.timeout.connect(self._look)
        QTimer.singleShot(_LONGEST_MS, self, lambda: self._end(1, "The demo took too long."))
        parts = app.parts
        parts.queue.finished.connect(self._on_finished)
        parts.queue.failed.connect(lambda _id, job: self._end(1, f"The render failed: {job.state}"))
        parts.actions.failed.connect(lambda message, action: self._end(1, f"{message} {action}"))
        parts.playback.position_changed.connect(self._on_position)
        parts.document.change(
            "Demo", reference=demo_characters()[0], motion=demo_motions()[0], model="mini", seed_locked=True
        )
        self._timer.start()

    def _look(self) -> None:
        """Press the button as soon as it can be pressed."""
        button = self._app.window.inspector.render_button
        if button.isEnabled():
            self._timer.stop()
            button.click()

    def _on_finished(self, _job_id: str, job: Any) -> None:
        self._output = Path(job.state.result.output)

    def _on_position(self, _position_s: float) -> None:
        if self._output is None or not self._app.parts.playback.playing:
            return
        self._seen.add(self._app.parts.playback.frame)
        if len(self._seen) >= _PLAYED_FRAMES:
            self._end(0, str(self._output))

    def _end(self, code: int, text: str) -> None:
        if self._ended:
            return
        self._ended = True
        self._timer.stop()
        (_LOG.info if code == 0 else _LOG.error)("%s", text)
        self._done(code)
