"""The frame on screen at any moment of a clip, however its file is built."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from core.errors import BadVideo
from core.media.probe import as_bad_video, check_complete, open_video, probe_video, quarter_turns
from core.types import FPS

# As in core.media.read: Matroska rounds times to milliseconds; swscale exact, bilinear.
_ROUNDED_S: Final = 6e-4
_EXACT: Final = 2 | 0x40000 | 0x2000
# A key frame nearer ahead than this is reached sooner by decoding on: a jump empties the decoder.
_NOT_WORTH_A_JUMP_S: Final = 0.4
# Without an index key frames may be anywhere; further ahead than this a jump is tried.
_UNKNOWN_AHEAD_S: Final = 2.0
_LARGEST_SIDE: Final = 1 << 14


@dataclass(frozen=True)
class Shown:
    """A decoded frame and when it is on screen, in seconds from the clip's first frame.

    Attributes:
        time_s: its own time.
        from_s: on screen from here, minus infinity for the first.
        until_s: to here, exclusive; infinity for the last.
    """

    time_s: float
    from_s: float
    until_s: float
    frame: Any

    def covers(self, time_s: float) -> bool:
        """Is it on screen then?"""
        return self.from_s <= time_s < self.until_s


class Seeker:
    """An open clip and a place in it. For one thread at a time.

    The same frames as ``core.media.read.read_frames``, in any order: the one on screen at a moment is the
    last whose time is not after it.

    Args:
        path: of the clip.

    Raises:
        BadVideo: as ``probe_video``; all methods too, where the file is damaged further on.
    """

    def __init__(self, path: Path) -> None:
        self.info = probe_video(path)
        self._path = path
        self._open = ExitStack()
        self._reformat = VideoReformatter()
        self._keys: list[float] = []
        self._next: tuple[float, Any] | None = None
        self._first_s = 0.0
        self._countable_only = False
        with as_bad_video(path):
            self._reopen()
            check_complete(self._stream, path)
            self._keys = self._indexed_keys()

    @property
    def longest_reach_frames(self) -> int:
        """How many frames may have to be decoded for one, by the index; all of them where there is none."""
        edges = [*self._keys, self.info.duration_s]
        gaps = [after - before for before, after in itertools.pairwise(edges)]
        return math.ceil(max(gaps, default=self.info.duration_s) * self.info.fps)

    def at(self, time_s: float) -> Shown:
        """The frame on screen at a moment; before the beginning the first, after the end the last."""
        shown = None
        for shown in self.walk(time_s):  # noqa: B007
            pass
        assert shown is not None, "a walk has at least its goal"
        return shown

    def walk(self, time_s: float) -> Iterator[Shown]:
        """Frames on the way to the one on screen at ``time_s``, which is the last one given.

        Decodes on from where the last walk stopped unless a key frame is nearer. May be left at any frame.
        """
        with as_bad_video(self._path):
            if not self._is_on_the_way(time_s):
                self._jump(time_s)
            while True:
                shown = self._shown()
                yield shown
                if time_s < shown.until_s:
                    return
                self._advance()

    def picture(self, shown: Shown, side: int = _LARGEST_SIDE) -> NDArray[np.uint8]:
        """Upright BGRA [H, W, 4] uint8, contiguous, scaled down to ``side`` pixels on the longer side."""
        frame = shown.frame
        scale = min(1.0, side / max(frame.width, frame.height))
        width, height = (max(1, round(length * scale)) for length in (frame.width, frame.height))
        with as_bad_video(self._path):
            scaled = self._reformat.reformat(frame, width, height, "bgra", interpolation=_EXACT)
            picture = scaled.to_ndarray()
        return np.ascontiguousarray(np.rot90(picture, quarter_turns(frame)), np.uint8)

    def close(self) -> None:
        """Give the file back."""
        self._open.close()

    def _shown(self) -> Shown:
        time_s, frame = self._current
        first = time_s <= self._first_s
        until_s = math.inf if self._next is None else self._next[0] - _ROUNDED_S
        return Shown(time_s, -math.inf if first else time_s - _ROUNDED_S, until_s, frame)

    def _advance(self) -> None:
        assert self._next is not None, "the last frame is on screen for ever"
        self._current, self._next = self._next, next(self._frames, None)

    def _is_on_the_way(self, time_s: float) -> bool:
        shown = self._shown()
        if shown.covers(time_s):
            return True
        if time_s < shown.from_s:
            return False
        if self._countable_only:
            return True
        if not self._keys:
            return time_s - shown.time_s < _UNKNOWN_AHEAD_S
        nearest = bisect.bisect_right(self._keys, time_s)
        return nearest == 0 or self._keys[nearest - 1] < shown.time_s + _NOT_WORTH_A_JUMP_S

    def _jump(self, time_s: float) -> None:
        """To the last place before ``time_s`` from where decoding is possible.

        Indexes hold decoding times: with reordered frames the key frame found may be shown later than asked
        for. Then we look further back, and in the end begin at the beginning.
        """
        back_s = 0.0
        while not self._countable_only and time_s - back_s > self._first_s:
            if self._try(time_s - back_s) and self._current[0] - _ROUNDED_S <= time_s:
                return
            back_s = max(1.0, back_s * 2)
        self._reopen()

    def _try(self, time_s: float) -> bool:
        """Jump and decode one frame; false where the file has no way to it."""
        target = int((self._origin + Fraction(time_s)) / self._base)
        try:
            self._container.seek(target, stream=self._stream, backward=True)
            self._frames = self._decoded(jumped=True)
            first = next(self._frames, None)
            self._next = None if first is None else next(self._frames, None)
        except (av.error.FFmpegError, EOFError):
            return False  # no index, or none that holds: the beginning is always there
        except _Timeless:
            self._countable_only = True
            return False
        if first is None:
            return False
        self._current = first
        return True

    def _reopen(self) -> None:
        self._open.close()
        self._container, self._stream = self._open.enter_context(open_video(self._path))
        self._base = Fraction(self._stream.time_base)
        self._origin = (self._stream.start_time or 0) * self._base
        self._frames = self._decoded(jumped=False)
        first = next(self._frames, None)
        if first is None:
            raise BadVideo(f"{self._path.name} has no frame that can be shown.", value="0 frames")
        self._current, self._first_s = first, first[0]
        self._next = next(self._frames, None)

    def _decoded(self, jumped: bool) -> Iterator[tuple[float, Any]]:
        """Times from the clip's first frame, and frames.

        After a jump, frames that are shown before the key frame but come after it in the file lack what they
        were made from: they are left out.
        """
        step_s = 1 / float(self._stream.average_rate or FPS)
        time_s, begins = -step_s, None
        for packet in self._container.demux(self._stream):
            if jumped and begins is None:
                begins = packet.pts
            for frame in packet.decode():
                if frame.pts is None and jumped:
                    raise _Timeless
                if frame.pts is not None and begins is not None and frame.pts < begins:
                    continue
                time_s = (
                    time_s + step_s if frame.pts is None else float(frame.pts * self._base - self._origin)
                )
                yield time_s, frame

    def _indexed_keys(self) -> list[float]:
        entries = self._stream.index_entries
        times = (entry.timestamp * self._base - self._origin for entry in entries if entry.is_keyframe)
        return sorted(float(time) for time in times)


class _Timeless(Exception):  # noqa: N818
    """Frames without times can only be counted from the beginning."""
