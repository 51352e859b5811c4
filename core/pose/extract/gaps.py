"""Short gaps in a track are interpolated, long ones are told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.pose.skeleton import BODY, LEFT_HAND, RIGHT_HAND, SCORE_THRESHOLD, Floats, PoseTrack

LONGEST_S: Final = 0.5
_EPSILON_FRAMES: Final = 1e-3
# The points of a hand and its wrist.
_HANDS: Final = ((LEFT_HAND, 7), (RIGHT_HAND, 4))

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Gaps:
    """What was filled and what was not.

    Attributes:
        filled: frames in which at least one point was filled in.
        long: start and end in seconds of each time without anybody that is too long to fill, ends included.
    """

    filled: int
    long: tuple[tuple[float, float], ...] = ()


def fill_gaps(track: PoseTrack, longest_s: float = LONGEST_S) -> tuple[PoseTrack, Gaps]:
    """Interpolate each joint linearly over gaps of at most ``longest_s`` between two frames where it is seen.

    A joint is seen where it would be drawn. A filled one scores as the lower of its two neighbours. Nothing
    is made up before the first and after the last of them. A hand moves with its wrist where that is known.

    Args:
        track: rows are persons, each row the same person over time.
        longest_s: 0 fills nothing.
    """
    longest = int(longest_s * track.fps + _EPSILON_FRAMES)
    points, scores = track.keypoints.copy(), track.scores.copy()
    for person in range(points.shape[1]):
        _fill_person(points[:, person], scores[:, person], longest)
    filled = int((scores != track.scores).any(axis=(1, 2)).sum())
    return replace(track, keypoints=points, scores=scores), Gaps(filled, _empty(scores, track.fps, longest))


def _fill_person(points: Floats, scores: Floats, longest: int) -> None:
    """Fill [T, 134, 2] and [T, 134] in place; wrists come before their hands."""
    joints = np.arange(points.shape[1])
    hands = [(joints[hand], wrist) for hand, wrist in _HANDS]
    _fill(points, scores, np.setdiff1d(joints, np.concatenate([hand for hand, _ in hands])), longest)
    for hand, wrist in hands:
        _fill(points, scores, hand, longest, wrist)


def _fill(
    points: Floats, scores: Floats, joints: NDArray[np.int64], longest: int, anchor: int | None = None
) -> None:
    """Fill the gaps of some joints; relative to ``anchor`` where that is seen all along."""
    for joint in joints:
        for before, after in _gaps(scores[:, joint] > SCORE_THRESHOLD, longest):
            span = slice(before, after + 1)
            moves = anchor is not None and bool((scores[span, anchor] > SCORE_THRESHOLD).all())
            ground = points[span, anchor] if moves else np.zeros((after + 1 - before, 2))
            start, end = points[before, joint] - ground[0], points[after, joint] - ground[-1]
            share = np.linspace(0, 1, after + 1 - before)[1:-1, None]
            points[before + 1 : after, joint] = ground[1:-1] + start + share * (end - start)
            scores[before + 1 : after, joint] = min(scores[before, joint], scores[after, joint])


def _gaps(seen: Mask, longest: int) -> list[tuple[int, int]]:
    """The frames before and after each gap of at most ``longest`` frames."""
    there = np.flatnonzero(seen)
    missing = np.diff(there) - 1
    short = np.flatnonzero((missing > 0) & (missing <= longest))
    return [(int(there[index]), int(there[index + 1])) for index in short]


def _empty(scores: Floats, fps: float, longest: int) -> tuple[tuple[float, float], ...]:
    """Runs of more than ``longest`` frames in which no body joint of anybody is seen."""
    empty = ~(scores[:, :, BODY] > SCORE_THRESHOLD).any(axis=(1, 2))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], empty, [False]]).astype(np.int8)))
    runs = [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
    return tuple((start / fps, end / fps) for start, end in runs if end - start > longest)
