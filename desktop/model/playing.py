"""Where playing is after some time: positions in seconds of the motion, from a start, a speed and a range."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from core.types import FPS

# Times are floats: a frame is reached this much before its time.
_EPSILON_FRAMES: Final = 1e-3
# Going round backwards comes out just before the end, which belongs to no frame itself.
_BEFORE_END_S: Final = 1e-6


@dataclass(frozen=True)
class Span:
    """A stretch played without a jump, ``seconds`` long from ``start_s`` on; None: silence after the end."""

    start_s: float | None
    seconds: float


@dataclass(frozen=True)
class Run:
    """Playing from ``from_s`` on with ``speed`` (backwards where negative) between ``low_s`` and ``high_s``.

    A run that begins beyond the side it moves to ends at once, or goes round.
    """

    from_s: float
    speed: float
    low_s: float
    high_s: float
    looping: bool

    def ends_at(self) -> float:
        """Seconds of playing until the end of the range is met for the first time."""
        bound_s = self.high_s if self.speed > 0 else self.low_s
        return max(0.0, (bound_s - self.from_s) / self.speed)

    def is_over(self, elapsed_s: float) -> bool:
        """Has playing come to its end?"""
        return not self.looping and elapsed_s >= self.ends_at()

    def position_s(self, elapsed_s: float) -> float:
        """Where playing is; the end of the range once it is over."""
        beyond_s = (elapsed_s - self.ends_at()) * abs(self.speed)
        if beyond_s < 0:
            return self.from_s + elapsed_s * self.speed
        span_s = self.high_s - self.low_s
        if not self.looping or span_s <= 0:
            return self.high_s if self.speed > 0 else self.low_s
        if self.speed > 0:
            return self.low_s + math.fmod(beyond_s, span_s)
        return min(self.high_s - math.fmod(beyond_s, span_s), self.high_s - _BEFORE_END_S)

    def spans(self, elapsed_s: float, seconds: float) -> list[Span]:
        """What is heard from ``elapsed_s`` on, for a run forwards at speed 1."""
        found: list[Span] = []
        while seconds > _BEFORE_END_S:
            if self.is_over(elapsed_s) or self.high_s - self.low_s <= _BEFORE_END_S:
                return [*found, Span(None, seconds)]
            start_s = self.position_s(elapsed_s)
            length_s = min(seconds, max(self.high_s - start_s, _BEFORE_END_S))
            found.append(Span(start_s, length_s))
            elapsed_s, seconds = elapsed_s + length_s, seconds - length_s
        return found


def frame_at(time_s: float) -> int:
    """Number of the frame on screen, on the output's grid."""
    return max(0, math.floor(time_s * FPS + _EPSILON_FRAMES))


def last_frame_before(end_s: float) -> int:
    """Number of the last frame of the grid that begins before ``end_s``."""
    return max(0, math.ceil(end_s * FPS - _EPSILON_FRAMES) - 1)
