"""Small pictures of a clip at given moments, decoding as little of it as they take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.errors import BadVideo
from core.media.probe import open_video, quarter_turns

_EPSILON_S: Final = 1e-4
# Without an index of key frames: decoding on is cheaper than seeking for moments closer than this.
_CLOSE_S: Final = 2.0
_FALLBACK_FPS: Final = 25.0


def key_glimpse(path: Path, side: int) -> NDArray[np.uint8]:
    """The key frame at or before the middle, its longer side at most ``side`` pixels; uint8 RGB [h, w, 3].

    Raises:
        BadVideo: unreadable, or no frame can be shown.
    """
    with open_video(path) as (container, stream):
        middle_s = _duration_s(container, stream) / 2
        container.seek(_timestamp(stream, middle_s), stream=stream, backward=True)
        for frame in container.decode(stream):
            return _small(frame, side)
    raise _no_frame(path)


def glimpses(path: Path, times_s: Iterable[float], side: int) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """What is on screen at each of these moments, in their order in time, each moment once.

    Args:
        path: of the clip.
        times_s: seconds from the first frame; beyond the end the last frame is shown.
        side: of the longer side in pixels at most.

    Raises:
        BadVideo: unreadable, damaged on the way, or no frame can be shown.
    """
    with open_video(path) as (container, stream):
        reader = _Reader(container, stream)
        for time_s in sorted(set(times_s)):
            frame = reader.at(time_s)
            if frame is None:
                raise _no_frame(path)
            yield time_s, _small(frame, side)


class _Reader:
    """Moves forward through a clip; seeks only where a key frame lies between here and there."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container, self._stream = container, stream
        self._step_s = 1 / float(stream.average_rate or _FALLBACK_FPS)
        self._frames: Iterator[Any] = iter(())
        self._shown: Any = None
        self._ahead: Any = None
        self._ahead_s = -1.0
        self._begun = False

    def at(self, time_s: float) -> Any:
        """The frame on screen, None where there is none at all; times must not go back."""
        if not self._begun or self._worth_seeking(time_s):
            self._seek(time_s)
        while self._ahead is not None and (self._shown is None or self._ahead_s <= time_s + _EPSILON_S):
            self._shown = self._ahead
            self._next()
        return self._shown

    def _seek(self, time_s: float) -> None:
        self._container.seek(_timestamp(self._stream, time_s), stream=self._stream, backward=True)
        self._frames = self._container.decode(self._stream)
        self._begun = True
        self._ahead_s = max(self._ahead_s, 0.0) - self._step_s
        self._next()

    def _next(self) -> None:
        self._ahead = next(self._frames, None)
        if self._ahead is not None:
            self._ahead_s = self._seconds(self._ahead)

    def _seconds(self, frame: Any) -> float:
        if frame.pts is None:  # it follows the one before
            return self._ahead_s + self._step_s
        return float((frame.pts - (self._stream.start_time or 0)) * self._stream.time_base)

    def _worth_seeking(self, time_s: float) -> bool:
        if self._ahead is None:
            return False  # the end was reached
        entries = self._stream.index_entries
        target = _timestamp(self._stream, time_s)
        found = entries.search_timestamp(target, backward=True) if len(entries) else -1
        if found < 0:
            return time_s - self._ahead_s > _CLOSE_S
        start = self._stream.start_time or 0
        return float((entries[found].timestamp - start) * self._stream.time_base) > self._ahead_s


def _timestamp(stream: Any, time_s: float) -> int:
    return int(stream.start_time or 0) + int((time_s + _EPSILON_S) / stream.time_base)


def _duration_s(container: Any, stream: Any) -> float:
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return float(container.duration or 0) / 1e6


def _small(frame: Any, side: int) -> NDArray[np.uint8]:
    """Scaled while its colours are converted, then turned upright."""
    scale = min(1.0, side / max(frame.width, frame.height))
    width, height = (max(1, round(length * scale)) for length in (frame.width, frame.height))
    small = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
    picture: NDArray[np.uint8] = small.to_ndarray()
    return np.ascontiguousarray(np.rot90(picture, quarter_turns(frame)))


def _no_frame(path: Path) -> BadVideo:
    return BadVideo(
        f"{path.name} has no frame that can be shown.",
        value="0 frames",
        limit="at least 1",
        action="Give a video file such as MP4, MOV, WebM or MKV.",
    )
