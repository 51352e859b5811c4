"""The one clock of everything on the stage."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from core.types import FPS
from desktop.model.playing import Run, frame_at, last_frame_before
from desktop.presenters.sound_out import SoundOut

FASTEST: Final = 8.0
_TICK_MS: Final = 16
_LARGEST_STEP_FRAMES: Final = 1 << 30


class Playback(QObject):
    """Position in seconds of the motion, and how it moves.

    While sound plays (forwards at its own speed), the sound device's clock leads; else ``clock`` does.
    Nothing ticks while nothing moves.

    Args:
        clock: seconds of a steady clock.
        sound: plays the sound; made on the same clock where not given.

    Signals:
        position_changed: seconds. Also sent when scrubbing ends, so that the exact frame is asked for.
        playing_changed, looping_changed: on or off.
        range_changed: start and end in seconds, end exclusive.
        duration_changed: seconds.
        speed_changed: 1, 2, 4 or 8, negative backwards.
        volume_changed: 0 to 1, and whether it is muted.
    """

    position_changed = Signal(float)
    playing_changed = Signal(bool)
    range_changed = Signal(float, float)
    duration_changed = Signal(float)
    speed_changed = Signal(float)
    looping_changed = Signal(bool)
    volume_changed = Signal(float, bool)

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sound: SoundOut | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._clock = clock
        self._sound = SoundOut(clock) if sound is None else sound
        self._timer = QTimer(self, interval=_TICK_MS, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._duration_s = 0.0
        self._range_s = (0.0, 0.0)
        self._position_s = 0.0
        self._speed = 1.0
        self._playing = self._scrubbing = False
        self._looping = True
        self._volume, self._muted = 1.0, False
        self._run: Run | None = None
        self._at_s = self._elapsed_s = 0.0
        self._heard = False

    @property
    def position_s(self) -> float:
        """As last told."""
        return self._position_s

    @property
    def frame(self) -> int:
        """Number of the frame on screen, on the grid of 16 a second."""
        return frame_at(self._position_s)

    @property
    def playing(self) -> bool:
        """Does it move by itself? Also true while a drag holds it."""
        return self._playing

    @property
    def scrubbing(self) -> bool:
        """Is it being dragged?"""
        return self._scrubbing

    @property
    def speed(self) -> float:
        """What it moves or would move with; negative backwards."""
        return self._speed

    @property
    def looping(self) -> bool:
        """Does it go round in the range?"""
        return self._looping

    @property
    def range_s(self) -> tuple[float, float]:
        """Start and end in seconds, end exclusive."""
        return self._range_s

    @property
    def duration_s(self) -> float:
        """Seconds of the whole motion."""
        return self._duration_s

    @property
    def volume(self) -> float:
        """0 to 1."""
        return self._volume

    @property
    def muted(self) -> bool:
        """Is the sound off?"""
        return self._muted

    def set_duration(self, duration_s: float) -> None:
        """Of what is on the stage. A range over the whole stays over the whole."""
        duration_s = max(0.0, duration_s)
        if duration_s == self._duration_s:
            return
        whole = self._range_s == (0.0, self._duration_s)
        self._duration_s = duration_s
        self.duration_changed.emit(duration_s)
        self.set_range(*((0.0, duration_s) if whole else self._range_s))
        if self._position_s > self._last_s(duration_s):
            self.seek(duration_s)

    def set_range(self, start_s: float, end_s: float) -> None:
        """The loop, and where Home and End go; kept inside the duration."""
        start_s = min(max(0.0, start_s), self._duration_s)
        bounds = (start_s, min(max(start_s, end_s), self._duration_s))
        if bounds != self._range_s:
            self._range_s = bounds
            self.range_changed.emit(*bounds)
            self._begin_again()

    def play(self) -> None:
        """Forwards at the motion's own speed; from the beginning of the range where its end is reached."""
        self._move(1.0)

    def pause(self) -> None:
        """Stay at the present frame."""
        self._tick()
        self._halt()
        self._set_speed(1.0)

    def toggle(self) -> None:
        """Play or pause."""
        if self._playing:
            self.pause()
        else:
            self.play()

    def seek(self, time_s: float, scrubbing: bool = False) -> None:
        """Go to a moment.

        Args:
            time_s: kept inside the duration.
            scrubbing: it is one of many during a drag. Playing holds and is silent until a seek without it.
        """
        ended = self._scrubbing and not scrubbing
        self._scrubbing = scrubbing
        self._place(min(max(0.0, time_s), self._last_s(self._duration_s)), always=ended)
        self._begin_again()

    def step(self, frames: int) -> None:
        """So many frames of the grid on, or back where negative; pauses."""
        self.pause()
        last = last_frame_before(self._duration_s)
        wanted = self.frame + max(-_LARGEST_STEP_FRAMES, min(frames, _LARGEST_STEP_FRAMES))
        self.seek(min(max(0, wanted), last) / FPS)

    def shuttle(self, direction: int) -> None:
        """-1 backwards, 1 forwards, again for twice as fast, up to 8 times; 0 pauses."""
        if direction == 0:
            self.pause()
            return
        same = self._playing and (self._speed > 0) == (direction > 0)
        faster = min(abs(self._speed) * 2, FASTEST) if same else 1.0
        self._move(faster if direction > 0 else -faster)

    def set_looping(self, on: bool) -> None:
        """Go round in the range, or stop at its end."""
        if on != self._looping:
            self._looping = on
            self.looping_changed.emit(on)
            self._begin_again()

    def set_sound(self, path: Path | None, offset_s: float = 0.0) -> None:
        """The clip whose sound is played; its first picture is at ``offset_s`` on the motion's clock."""
        self._sound.set_clip(path, offset_s)
        self._begin_again()

    def set_muted(self, on: bool) -> None:
        """Silent, or not."""
        self._set_volume(self._volume, on)

    def set_volume(self, volume: float) -> None:
        """0 to 1."""
        self._set_volume(min(max(0.0, volume), 1.0), self._muted)

    def close(self) -> None:
        """Stop; leaves no thread."""
        self._timer.stop()
        self._sound.close()

    def _move(self, speed: float) -> None:
        self._tick()
        if self._duration_s <= 0:
            return
        start_s, end_s = self._range_s
        at_end = self._last_s(end_s) <= self._position_s <= end_s
        if speed > 0 and (at_end or self._position_s >= self._last_s(self._duration_s)):
            self._place(start_s)
        elif speed < 0 and self._position_s in (0.0, start_s):
            self._place(self._last_s(end_s))
        self._set_speed(speed)
        if not self._playing:
            self._playing = True
            self.playing_changed.emit(True)
        self._begin_again()

    def _begin_again(self) -> None:
        """Playing starts anew from the present position, with what holds now."""
        self._sound.stop()
        self._run, self._heard = None, False
        if not self._playing or self._scrubbing:
            self._timer.stop()
            return
        self._run = self._run_from(self._position_s)
        self._at_s, self._elapsed_s = self._clock(), 0.0
        if self._speed == 1.0:
            self._heard = self._sound.start(self._run, self._at_s)
        self._timer.start()

    def _run_from(self, position_s: float) -> Run:
        """Beyond the range, playing goes to the end of the motion first."""
        low_s, high_s = self._range_s
        if self._speed > 0 and position_s >= high_s:
            high_s = self._duration_s
        if self._speed < 0 and position_s <= low_s:
            low_s = 0.0
        return Run(position_s, self._speed, low_s, high_s, self._looping)

    def _tick(self) -> None:
        run = self._run
        if run is None:
            return
        elapsed_s = self._clock() - self._at_s + (self._sound.drift_s if self._heard else 0.0)
        self._elapsed_s = max(self._elapsed_s, elapsed_s)
        if run.is_over(self._elapsed_s):
            self._halt()
            self._place(self._last_s(run.high_s) if run.speed > 0 else run.low_s)
            self._set_speed(1.0)
            return
        self._place(run.position_s(self._elapsed_s))
        beyond = run.high_s > self._range_s[1] or run.low_s < self._range_s[0]
        if beyond and self._elapsed_s >= run.ends_at():
            self._place(self._range_s[0] if run.speed > 0 else self._last_s(self._range_s[1]))
            self._begin_again()

    def _halt(self) -> None:
        self._timer.stop()
        self._sound.stop()
        self._run, self._heard = None, False
        if self._playing:
            self._playing = False
            self.playing_changed.emit(False)

    def _place(self, position_s: float, always: bool = False) -> None:
        if always or position_s != self._position_s:
            self._position_s = position_s
            self.position_changed.emit(position_s)

    def _set_speed(self, speed: float) -> None:
        if speed != self._speed:
            self._speed = speed
            self.speed_changed.emit(speed)

    def _set_volume(self, volume: float, muted: bool) -> None:
        if (volume, muted) != (self._volume, self._muted):
            self._volume, self._muted = volume, muted
            self._sound.set_gain(0.0 if muted else volume)
            self.volume_changed.emit(volume, muted)

    @staticmethod
    def _last_s(end_s: float) -> float:
        return last_frame_before(end_s) / FPS
