"""Decoded frames in memory, bounded in bytes, shared by all clips of the window."""

from __future__ import annotations

import bisect
import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PySide6.QtGui import QImage

LIMIT_BYTES: Final = 256 << 20


@dataclass(frozen=True)
class CachedFrame:
    """A picture and when it is on screen, in seconds from its clip's first frame.

    Attributes:
        time_s: its own time.
        from_s: on screen from here, minus infinity for the first.
        until_s: to here, exclusive; infinity for the last.
        side: how many pixels its longer side may have had.
    """

    image: QImage
    time_s: float
    from_s: float
    until_s: float
    side: int

    def covers(self, time_s: float) -> bool:
        """Is it on screen then?"""
        return self.from_s <= time_s < self.until_s

    def distance_s(self, time_s: float) -> float:
        """How far from being on screen then."""
        return max(0.0, self.from_s - time_s, time_s - self.until_s)


class FrameCache:
    """By clip, side and time; what was not used for longest goes first. For any number of threads.

    Args:
        limit_bytes: of all pictures.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._frames: OrderedDict[tuple[Hashable, int, float], CachedFrame] = OrderedDict()
        self._starts: dict[tuple[Hashable, int], list[float]] = {}
        self.held_bytes = 0

    def put(self, clip: Hashable, frame: CachedFrame) -> None:
        """Keep a frame; one that alone is too large is left out."""
        size_bytes = frame.image.sizeInBytes()
        if size_bytes > self.limit_bytes:
            return
        key = (clip, frame.side, frame.from_s)
        with self._lock:
            self._drop(key)
            while self._frames and self.held_bytes + size_bytes > self.limit_bytes:
                self._drop(next(iter(self._frames)))
            self._frames[key] = frame
            bisect.insort(self._starts.setdefault(key[:2], []), frame.from_s)
            self.held_bytes += size_bytes

    def at(self, clip: Hashable, side: int, time_s: float) -> CachedFrame | None:
        """The frame on screen then, of exactly this side."""
        with self._lock:
            starts = self._starts.get((clip, side), [])
            found = bisect.bisect_right(starts, time_s) - 1
            if found < 0:
                return None
            key = (clip, side, starts[found])
            frame = self._frames[key]
            if not frame.covers(time_s):
                return None
            self._frames.move_to_end(key)
            return frame

    def forget(self, clip: Hashable) -> None:
        """Drop all frames of a clip."""
        with self._lock:
            for key in [key for key in self._frames if key[0] == clip]:
                self._drop(key)

    def _drop(self, key: tuple[Hashable, int, float]) -> None:
        frame = self._frames.pop(key, None)
        if frame is None:
            return
        self.held_bytes -= frame.image.sizeInBytes()
        starts = self._starts[key[:2]]
        del starts[bisect.bisect_left(starts, key[2])]
        if not starts:
            del self._starts[key[:2]]
