"""Scrolls the timeline while something is dragged beyond its edge."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QTimer

if TYPE_CHECKING:
    from desktop.views.timeline.canvas import TimelineCanvas

_EVERY_MS: Final = 30
# Pixels a second for each pixel beyond the edge, at least and at most.
_FORCE: Final = 12.0
_SLOWEST: Final = 200.0
_FASTEST: Final = 1300.0
# A turn that comes later than this does not make up for it: the hand could not have stopped it.
_LONGEST_S: Final = 0.2


class Pull(QObject):
    """Passes a drag on, again and again while the pointer is outside."""

    def __init__(self, canvas: TimelineCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._x = 0.0
        self._turned_s = 0.0
        self._drag: Callable[[float], None] | None = None
        self._turn = QTimer(self, interval=_EVERY_MS)
        self._turn.timeout.connect(self._scroll)

    def follow(self, x: float, drag: Callable[[float], None]) -> None:
        """The pointer is at ``x``; ``drag`` is told so, and again after each scroll."""
        self._x, self._drag = x, drag
        drag(x)
        if self._beyond:
            if not self.active:
                self._turned_s = monotonic()
                self._turn.start()
        else:
            self._turn.stop()

    @property
    def active(self) -> bool:
        """Does it scroll?"""
        return self._turn.isActive()

    def stop(self) -> None:
        """The button was let go."""
        self._turn.stop()
        self._drag = None

    @property
    def _beyond(self) -> float:
        return min(self._x, 0.0) + max(self._x - self._canvas.width(), 0.0)

    def _scroll(self) -> None:
        scale, drag, now_s = self._canvas.scale, self._drag, monotonic()
        # As fast where painting is slow and turns are rare.
        passed_s = min(now_s - self._turned_s, _LONGEST_S)
        self._turned_s = now_s
        # Where the window is as wide as the screen the pointer cannot get far beyond.
        speed = math.copysign(min(_SLOWEST + abs(self._beyond) * _FORCE, _FASTEST), self._beyond)
        self._canvas.scroll_to(scale.start_s + speed * passed_s / scale.px_per_s)
        if drag is not None and self._canvas.scale != scale:
            drag(self._x)
