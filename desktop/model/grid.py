"""The output's grid of 16 frames a second: what a trim selects, how it changes, what a render takes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from core.geometry import TEMPORAL_STRIDE, fit_frames
from core.types import FPS, Trim

# The shortest that handles can be brought to: the first length above one frame.
LEAST_FRAMES: Final = 1 + TEMPORAL_STRIDE
# Times come out of containers rounded; that much is no frame. As ``core.media.read`` has it.
_EPSILON_S: Final = 1e-4


@dataclass(frozen=True)
class Selected:
    """What a trim selects of a motion.

    Attributes:
        start_s, end_s: in seconds of the motion, both within it.
        frames: output frames that begin within.
    """

    start_s: float
    end_s: float

    @property
    def frames(self) -> int:
        """Output frames that begin within, one at least."""
        return frames_in(self.end_s - self.start_s)


@dataclass(frozen=True)
class Taken:
    """How much of a selection a render takes.

    Attributes:
        frames: that are rendered, 4n+1.
        selected: frames of the selection.
        limit: the longest that the model makes, None where not known.
    """

    frames: int
    selected: int
    limit: int | None

    @property
    def seconds(self) -> float:
        """Length of the result."""
        return self.frames / FPS

    @property
    def cut(self) -> bool:
        """Does the selection reach further than the render?"""
        return self.selected > self.frames


def frames_in(seconds: float) -> int:
    """Output frames k with k / 16 < seconds, one at least, as a render counts them."""
    return max(1, math.ceil((seconds - _EPSILON_S) * FPS))


def frame_at(time_s: float) -> int:
    """Number of the frame that is on at this time; negative before 0."""
    return math.floor((time_s + _EPSILON_S) * FPS)


def nearest(time_s: float) -> int:
    """Number of the grid's line that is closest."""
    return math.floor(time_s * FPS + 0.5)


def selected(trim: Trim, duration_s: float) -> Selected:
    """What a trim selects of a motion of this length."""
    end_s = duration_s if trim.end_s is None else min(trim.end_s, duration_s)
    return Selected(min(max(0.0, trim.start_s), end_s), end_s)


def taken(frames: int, asked: int | None, limit: int | None) -> Taken:
    """How many of the selected frames are rendered.

    Args:
        frames: of the selection.
        asked: a length that was chosen; None takes all that is possible.
        limit: the model's native length; None where it is not known.
    """
    most = min(each for each in (frames, asked, limit) if each is not None)
    return Taken(fit_frames(frames, max(1, most)), frames, limit)


def with_start(trim: Trim, time_s: float, duration_s: float) -> Trim:
    """The trim with its start at the nearest line of the grid that leaves five frames before the end."""
    end = frames_in(selected(trim, duration_s).end_s)
    start = min(max(0, nearest(time_s)), max(0, end - LEAST_FRAMES))
    return Trim(start / FPS, trim.end_s)


def with_end(trim: Trim, time_s: float, duration_s: float) -> Trim:
    """The trim with its end at the nearest line that leaves five frames; None is the clip's own end."""
    first = math.ceil((trim.start_s - _EPSILON_S) * FPS)
    return _trim(trim.start_s, max(nearest(time_s), first + LEAST_FRAMES), duration_s)


def from_here(trim: Trim, time_s: float, duration_s: float) -> Trim:
    """Begin at this time; an end that lies before it, or too close, gives way to the clip's end."""
    start = min(max(0, nearest(time_s)), max(0, frames_in(duration_s) - LEAST_FRAMES))
    end = frames_in(selected(trim, duration_s).end_s)
    return Trim(start / FPS, trim.end_s if end - start >= LEAST_FRAMES else None)


def up_to_here(trim: Trim, time_s: float, duration_s: float) -> Trim:
    """End at this time; a start that lies behind it, or too close, gives way to the clip's beginning."""
    end = max(nearest(time_s), LEAST_FRAMES)
    start_s = trim.start_s if end / FPS - trim.start_s >= LEAST_FRAMES / FPS - _EPSILON_S else 0.0
    return _trim(start_s, end, duration_s)


def moved(trim: Trim, start_s: float, duration_s: float) -> Trim:
    """The same number of frames from the nearest line to ``start_s``, kept within the clip."""
    length = selected(trim, duration_s).frames
    start = min(max(0, nearest(start_s)), max(0, frames_in(duration_s) - length))
    return _trim(start / FPS, start + length, duration_s)


def _trim(start_s: float, end: int, duration_s: float) -> Trim:
    return Trim(start_s, end / FPS if end < frames_in(duration_s) else None)
