"""Somebody at the app: sees where things are on the screen, and uses them with a mouse and a keyboard.

The app runs on the main thread as always. The person is another thread that only looks, through functions
that the window's thread runs for it, and acts through the X server.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from PySide6.QtCore import QObject, QPoint, QtMsgType, Signal, qInstallMessageHandler
from PySide6.QtWidgets import QApplication, QWidget
from screen.pointer import Point, Pointer

from desktop.views.window import Window

Seen = TypeVar("Seen")
PATIENCE_S = 90.0
_LOOK_EVERY_S = 0.03


class Eyes(QObject):
    """Lives on the window's thread and looks at things for another one."""

    _asked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._asked.connect(lambda look: look())

    def see(self, look: Callable[[], Seen]) -> Seen:
        """What ``look`` returns when the window's thread runs it."""
        done = threading.Event()
        outcome: list[Any] = []

        def run() -> None:
            try:
                outcome.append((look(), None))
            except Exception as error:
                outcome.append((None, error))
            finally:
                done.set()

        self._asked.emit(run)
        assert done.wait(PATIENCE_S), "The window does not answer."
        value, error = outcome[0]
        if error is not None:
            raise error
        return value  # type: ignore[no-any-return]


class Person:
    """Eyes, mouse and keyboard.

    Args:
        display: of the X server, ``:N``.
    """

    def __init__(self, display: str) -> None:
        self.eyes = Eyes()
        self.hand = Pointer(display)
        self.warnings: list[str] = []
        self.failure: str | None = None

    @property
    def window(self) -> Window:
        """The app's one window."""
        return self.eyes.see(lambda: next(w for w in QApplication.topLevelWidgets() if isinstance(w, Window)))

    def wait(self, what: str, look: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
        """Watch until it is so."""
        until_s = time.monotonic() + patience_s
        while not self.eyes.see(look):
            assert time.monotonic() < until_s, f"Waited in vain: {what}."
            time.sleep(_LOOK_EVERY_S)
        print(what, flush=True)

    def place(self, widget: QWidget, x: float = 0.5, y: float = 0.5) -> Point:
        """On the screen, by shares of a widget's width and height."""

        def look() -> Point:
            inside = QPoint(int(widget.width() * x), int(widget.height() * y))
            there = widget.mapToGlobal(inside)
            return there.x(), there.y()

        return self.eyes.see(look)

    def click(self, widget: QWidget, x: float = 0.5, y: float = 0.5) -> None:
        """In the middle, or elsewhere inside."""
        self.hand.click(self.place(widget, x, y))

    def act(self, script: Callable[[Person], None]) -> threading.Thread:
        """Follow a script on a thread of its own; whatever goes wrong is kept and the app is ended."""
        qInstallMessageHandler(self._hear)

        def run() -> None:
            try:
                script(self)
            except BaseException:
                self.failure = traceback.format_exc()
                self.eyes.see(lambda: QApplication.exit(70))

        thread = threading.Thread(target=run, name="person", daemon=True)
        thread.start()
        return thread

    def _hear(self, kind: QtMsgType, _context: object, message: str) -> None:
        if kind != QtMsgType.QtInfoMsg and "propagateSizeHints" not in message:
            self.warnings.append(message)
