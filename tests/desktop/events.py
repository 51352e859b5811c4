"""Waits with the event loop running, as it runs in the app."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

from PySide6.QtCore import QEventLoop, Qt, QTimer

# For what never comes: a busy machine may take long.
PATIENCE_S: Final = 120.0
_LOOK_EVERY_MS: Final = 5


def run_events(milliseconds: int) -> None:
    """Let the event loop run; ``QTest.qWait`` would keep other threads from Python."""
    loop = QEventLoop()
    timer = QTimer(interval=milliseconds, timerType=Qt.TimerType.PreciseTimer, singleShot=True)
    timer.timeout.connect(loop.quit)
    timer.start()
    loop.exec()


def run_until(condition: Callable[[], object], found: Callable[[], object] = str) -> None:
    """Let the event loop run until a condition holds.

    Args:
        condition: looked at every few milliseconds.
        found: what to say where it never holds.
    """
    until_s = monotonic() + PATIENCE_S
    while not condition():
        assert monotonic() < until_s, f"It never came about. {found()}"
        run_events(_LOOK_EVERY_MS)
