"""The people of many frames in little memory, and as bytes for the cache."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from core.pose.extract.engine import Found
from core.pose.skeleton import JOINTS, Floats

# Changes whenever the bytes do.
LAYOUT: Final = "1"
MOST_PEOPLE: Final = 8
# A person is one row: the points, their scores, the box and its score.
_POINTS: Final = slice(0, 2 * JOINTS)
_SCORES: Final = slice(2 * JOINTS, 3 * JOINTS)
_BOX: Final = slice(3 * JOINTS, 3 * JOINTS + 4)
_ROW: Final = 3 * JOINTS + 5
_COUNT: Final = np.dtype("<u4")
_NUMBER: Final = np.dtype("<f4")


class FoundFrames(Sequence[Sequence[Found]]):
    """The people of each frame, held as float32 and made into ``Found`` (without hints) when asked for.

    Args:
        counts: [T] people in each frame.
        rows: [sum of counts, 407] float32, the people of all frames one after the other.
    """

    def __init__(self, counts: NDArray[np.uint32], rows: NDArray[np.float32]) -> None:
        self._counts, self._rows = counts, rows
        self._starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])

    def __len__(self) -> int:
        return len(self._counts)

    @overload
    def __getitem__(self, index: int) -> list[Found]: ...
    @overload
    def __getitem__(self, index: slice) -> FoundFrames: ...
    def __getitem__(self, index: int | slice) -> list[Found] | FoundFrames:
        if isinstance(index, int):
            frame = range(len(self))[index]
            return [_found(row) for row in self._rows[self._starts[frame] : self._starts[frame + 1]]]
        frames = range(len(self))[index]
        if frames.step != 1:
            raise ValueError("frames are sliced without gaps")
        rows = self._rows[self._starts[frames.start] : self._starts[max(frames.start, frames.stop)]]
        # Copied, so that a short range does not keep its whole clip alive.
        return FoundFrames(self._counts[index].copy(), rows.copy())

    def to_bytes(self) -> bytes:
        """Number of frames, counts, rows; little endian."""
        head = np.array([len(self)], _COUNT).tobytes()
        return head + self._counts.astype(_COUNT).tobytes() + self._rows.astype(_NUMBER).tobytes()


class JoinedFrames(Sequence[Sequence[Found]]):
    """The frames of several parts in turn; the parts stay where they are, for copies of them would double
    what a long clip takes.
    """

    def __init__(self, parts: Iterable[FoundFrames]) -> None:
        self._parts = [part for part in parts if len(part)]
        self._starts = list(accumulate(map(len, self._parts), initial=0))

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> list[Found]: ...
    @overload
    def __getitem__(self, index: slice) -> JoinedFrames: ...
    def __getitem__(self, index: int | slice) -> list[Found] | JoinedFrames:
        if isinstance(index, int):
            frame = range(len(self))[index]
            number = bisect_right(self._starts, frame) - 1
            return self._parts[number][frame - self._starts[number]]
        frames = range(len(self))[index]
        if frames.step != 1:
            raise ValueError("frames are sliced without gaps")
        cut = []
        for start, part in zip(self._starts, self._parts, strict=False):
            first, end = max(frames.start - start, 0), min(frames.stop - start, len(part))
            if first < end:
                cut.append(part if end - first == len(part) else part[first:end])
        return JoinedFrames(cut)


def pack(frames: Iterable[Sequence[Found]]) -> FoundFrames:
    """The first ``MOST_PEOPLE`` people of each frame, which are the surest."""
    kept = [list(people[:MOST_PEOPLE]) for people in frames]
    rows = [_row(person) for people in kept for person in people]
    counts = np.array([len(people) for people in kept], np.uint32)
    return FoundFrames(counts, np.stack(rows) if rows else np.zeros((0, _ROW), np.float32))


def unpack(data: bytes) -> FoundFrames | None:
    """What ``to_bytes`` wrote; None where these are no such bytes."""
    if len(data) < _COUNT.itemsize:
        return None
    length = int(np.frombuffer(data, _COUNT, 1)[0])
    body = _COUNT.itemsize * (1 + length)
    if len(data) < body:
        return None
    counts = np.frombuffer(data, _COUNT, length, _COUNT.itemsize).astype(np.uint32)
    if len(data) - body != int(counts.sum(dtype=np.int64)) * _ROW * _NUMBER.itemsize:
        return None
    rows = np.frombuffer(data, _NUMBER, offset=body).astype(np.float32).reshape(-1, _ROW)
    return FoundFrames(counts, rows)


def _row(person: Found) -> NDArray[np.float32]:
    parts = (person.keypoints.ravel(), person.scores, person.box, [person.score])
    return np.concatenate([np.asarray(part, np.float32) for part in parts])


def _found(row: NDArray[np.float32]) -> Found:
    numbers: Floats = row.astype(np.float64)
    left, top, right, bottom = numbers[_BOX].tolist()
    points = numbers[_POINTS].reshape(JOINTS, 2)
    return Found(points, numbers[_SCORES], (left, top, right, bottom), float(numbers[-1]))
