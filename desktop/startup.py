"""How long the window takes to be usable: ``pirouette-desktop --measure-startup``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QTimer
from PySide6.QtWidgets import QWidget

_LOOK_EVERY_MS: Final = 1
_LONGEST_S: Final = 30.0
_ANSWER: Final = QEvent.Type.User


class StartupWatch(QObject):
    """Waits until a window is painted with all it shows and answers an event, then reports the time.

    Args:
        window: what is being started.
        filled: whether library, queue and project are shown.
        report: gets the milliseconds since the process started, None where it took too long.
    """

    def __init__(
        self, window: QWidget, filled: Callable[[], bool], report: Callable[[float | None], None]
    ) -> None:
        super().__init__(window)
        self._window, self._filled, self._report = window, filled, report
        self._painted = False
        self._asked = False
        self._timer = QTimer(self, interval=_LOOK_EVERY_MS)
        self._timer.timeout.connect(self._look)
        window.installEventFilter(self)
        self._timer.start()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The first paint, and the answer to our own event."""
        if event.type() == QEvent.Type.Paint:
            self._painted = True
        if event.type() == _ANSWER and self._asked:
            self._end(since_process_start_ms())
            return True
        return super().eventFilter(watched, event)

    def _look(self) -> None:
        elapsed_ms = since_process_start_ms()
        if elapsed_ms > 1000 * _LONGEST_S:
            self._end(None)
        elif self._painted and not self._asked and self._filled():
            self._asked = True
            self._window.repaint()
            # Behind everything that waits to be handled: the window answers when its turn comes.
            QCoreApplication.postEvent(self._window, QEvent(_ANSWER))

    def _end(self, elapsed_ms: float | None) -> None:
        self._timer.stop()
        self._window.removeEventFilter(self)
        self._report(elapsed_ms)


def since_process_start_ms() -> float:
    """Milliseconds since the system started this process."""
    if sys.platform != "linux":
        import psutil

        return 1000 * (time.time() - psutil.Process().create_time())
    # psutil adds the time of the boot, which the kernel tells in whole seconds.
    started_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return 1000 * (time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / os.sysconf("SC_CLK_TCK"))


def heavy_modules() -> tuple[str, ...]:
    """Packages that must not be loaded in the window's process and are."""
    return tuple(sorted({"torch", "diffusers", "transformers", "triton"} & sys.modules.keys()))


def say(text: str) -> None:
    """One line on standard output, also where nobody listens to it."""
    os.write(1, f"{text}\n".encode())
