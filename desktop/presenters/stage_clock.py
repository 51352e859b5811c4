"""Gives the clock the length, loop and sound of what is on the stage."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from core.types import FPS
from desktop.presenters.stage_results import ResultItem

if TYPE_CHECKING:
    from desktop.presenters.playback import Playback


class StageClock(QObject):
    """Whoever trims sets the clock for the inputs; while a result is on the stage, its own span holds.

    Args:
        playback: the clock.
    """

    def __init__(self, playback: Playback, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._playback = playback
        self._result: ResultItem | None = None
        self._sound: tuple[Path, float] | None = None
        self._inputs = (playback.duration_s, playback.range_s)
        self._setting = False
        self.starting = False
        playback.range_changed.connect(self._on_set)
        playback.duration_changed.connect(self._on_set)

    @property
    def has_sound(self) -> bool:
        """Is there sound to what is shown?"""
        return self._sound is not None

    def show(self, result: ResultItem | None) -> None:
        """Take a result's span, or with None that of the inputs again."""
        known = result if result is not None and result.duration_s > 0 else None
        if known != self._result:
            self._result = known
            self._set_span()

    def set_sound(self, sound: tuple[Path, float] | None) -> None:
        """A file with sound, and where it begins in the motion in seconds."""
        if sound != self._sound:
            self._sound = sound
            self._playback.set_sound(*(sound or (None, 0.0)))

    def play_from(self, time_s: float) -> None:
        """Let the clock run; ``starting`` is true meanwhile, so that it counts as nobody's choice."""
        self.starting = True
        self._playback.seek(time_s)
        self._playback.play()
        self.starting = False

    def _on_set(self, *_: float) -> None:
        """Somebody else set length or loop, of the inputs: keep it for later, and the result's in force."""
        if self._setting:
            return
        if self._result is None:
            self._inputs = (self._playback.duration_s, self._playback.range_s)
            return
        duration_s, range_s = self._inputs
        result_s = _span(self._result)
        if self._playback.duration_s != max(duration_s, result_s[1]):
            duration_s = self._playback.duration_s
        if self._playback.range_s != result_s:
            range_s = self._playback.range_s
        self._inputs = (duration_s, range_s)
        self._set_span()

    def _set_span(self) -> None:
        duration_s, range_s = self._inputs
        if self._result is not None:
            range_s = _span(self._result)
        self._setting = True
        self._playback.set_duration(max(duration_s, range_s[1]))
        self._playback.set_range(*range_s)
        self._setting = False


def _span(result: ResultItem) -> tuple[float, float]:
    return result.start_s, result.start_s + result.duration_s


def place(playback: Playback) -> tuple[int, int, float]:
    """Where the clock stands in its range: which frame, from 1, of how many, and seconds from the start."""
    start_s, end_s = playback.range_s
    # What floating point adds to a whole number of frames is no frame.
    frames = max(1, math.ceil((end_s - start_s) * FPS - 1e-6))
    frame = playback.frame - round(start_s * FPS)
    frame = min(max(frame, 0), frames - 1)
    return frame + 1, frames, frame / FPS
