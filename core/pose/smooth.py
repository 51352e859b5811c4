"""Smoothing over time: a quadratic in time through each joint's neighbours, Savitzky-Golay with weights.

Chosen over a One-Euro filter run both ways: it is symmetric, so nothing lags; a quadratic keeps the turning
points that dance is made of where averages cut them off; and weights make missing joints, doubtful ones and
cuts a matter of leaving terms out. Savitzky and Golay, Analytical Chemistry 36 (1964); weights as in loess.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import BadSetting
from core.pose.skeleton import BODY, JOINTS, LEFT_HAND, Floats, PoseTrack

# Reach to either side at strength 0, and what strength 1 adds to it; two beats of a dance are 0.5 s apart.
_REACH_S: Final = 0.15
_REACH_ADDED_S: Final = 0.2
# Below this strength the result fades into the track itself.
_FULL_FROM: Final = 0.2
# Fingers are quicker than limbs.
_HAND_REACH: Final = 0.75
# From one frame to the next, in sizes of the person: the body as a whole cannot do the first within 1/16 s,
# nor a wrist the second. Such a jump is a cut or another mistake, and is kept.
_BODY_JUMP: Final = 0.25
_JOINT_JUMP: Final = 0.5
_JUMP_S: Final = 1 / 16
# Three points lie on a quadratic: only more of them say anything.
_FEWEST: Final = 4
_LEAST_WEIGHT: Final = 0.05
# Frames at a time: the sums of ten minutes at once would take half a gigabyte.
_BLOCK: Final = 512

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def smooth(track: PoseTrack, strength: float) -> PoseTrack:
    """Take the jitter out of a track.

    Joints with score 0 are neither used nor invented; doubtful ones count less. Across a cut, or a joint's
    leap, nothing is mixed. Hands are smoothed less than the body.

    Args:
        track: a row of people is the same person over time.
        strength: 0 (off, returns the track itself) to 1.

    Raises:
        BadSetting: strength outside of 0..1.
    """
    if not 0 <= strength <= 1:
        raise BadSetting(
            "The smoothing of a pose is out of range.",
            value=strength,
            limit="0 to 1",
            action="Choose 0 for none, 1 for the most.",
        )
    if strength == 0 or len(track.keypoints) < _FEWEST:
        return track
    keypoints = track.keypoints.copy()
    wide = np.array([track.width / track.height, 1.0])
    for row in range(keypoints.shape[1]):
        keypoints[:, row] = _person(keypoints[:, row], track.scores[:, row], wide, track.fps, strength)
    return replace(track, keypoints=keypoints)


def _person(points: Floats, scores: Floats, wide: Floats, fps: float, strength: float) -> Floats:
    """[T, 134, 2] of one person, smoothed."""
    used: Bools = np.asarray((scores > 0) & np.isfinite(points).all(axis=2))
    spans = _spans(points * wide, used, fps)
    result = points.copy()
    reach = fps * (_REACH_S + _REACH_ADDED_S * strength)
    for part, factor in ((slice(0, LEFT_HAND.start), 1.0), (slice(LEFT_HAND.start, JOINTS), _HAND_REACH)):
        fitted = _fitted(points[:, part], scores[:, part], used[:, part], spans[:, part], reach * factor)
        share = min(1.0, strength / _FULL_FROM)
        result[:, part] += share * (fitted - points[:, part])
    return result


def _fitted(points: Floats, scores: Floats, used: Bools, spans: Ints, reach: float) -> Floats:
    """``_fitted_block`` in blocks of frames, each with the neighbours that its sums reach for."""
    result = np.empty_like(points)
    beyond = math.ceil(reach)
    for first in range(0, len(points), _BLOCK):
        start, end = max(0, first - beyond), first + _BLOCK
        wide = slice(start, end + beyond)
        block = _fitted_block(points[wide], scores[wide], used[wide], spans[wide], reach)
        result[first:end] = block[first - start : end - start]
    return result


def _fitted_block(points: Floats, scores: Floats, used: Bools, spans: Ints, reach: float) -> Floats:
    """The local quadratic's value at each point's own time; points that cannot be fitted are kept."""
    moments, sums, count = np.zeros((5, *used.shape)), np.zeros((3, *points.shape)), np.zeros(used.shape)
    sure = np.where(used, np.clip(scores, _LEAST_WEIGHT, 1.0), 0.0)
    known = np.where(used[..., None], points, 0.0)
    frames = len(points)
    for step in range(1 - math.ceil(reach), math.ceil(reach)):
        here = slice(max(0, -step), frames - max(0, step))
        there = slice(max(0, step), frames - max(0, -step))
        if here.start >= here.stop:
            continue
        near = (1 - (abs(step) / reach) ** 3) ** 3
        weight = near * sure[there] * (spans[there] == spans[here])
        count[here] += weight > 0
        powers = [float(step) ** power for power in range(5)]
        for power in range(5):
            moments[power][here] += powers[power] * weight
        for power in range(3):
            # Distances from the point itself keep the sums small and a still joint exactly still.
            sums[power][here] += powers[power] * weight[..., None] * (known[there] - known[here])
    able: Bools = np.asarray(used & (count >= _FEWEST))
    result = points.copy()
    result[able] += _at_zero(moments[:, able], sums[:, able])
    return result


def _at_zero(moments: Floats, sums: Floats) -> Floats:
    """Value at step 0 of the weighted quadratics: moments [5, k] and sums [3, k, 2] to [k, 2]."""
    m0, m1, m2, m3, m4 = moments
    # First row of the inverse of the 3 x 3 matrix of moments, by cofactors.
    a, b, c = m2 * m4 - m3 * m3, m2 * m3 - m1 * m4, m1 * m3 - m2 * m2
    determinant = m0 * a + m1 * b + m2 * c
    rows = np.stack([a, b, c])[..., None] * sums
    return np.asarray(rows.sum(axis=0) / determinant[:, None], np.float64)


def _spans(points: Floats, used: Bools, fps: float) -> Ints:
    """[T, 134] numbers that change where a joint, or the whole body, jumps; compared with when last seen."""
    size = _size(points, used)
    # Joint by joint, for memory.
    speed, both = np.zeros(used.shape), np.zeros(used.shape, np.bool_)
    for joint in range(used.shape[1]):
        moved, frames, both[:, joint] = _moves(points[:, joint], used[:, joint])
        # Over a pause more can happen, though a body rarely goes straight on at full speed.
        patience = np.sqrt(np.maximum(1.0, frames / (fps * _JUMP_S)))
        speed[:, joint] = moved / (patience * size)
    jumps: Bools = np.asarray(speed > _JOINT_JUMP)
    for frame in range(1, len(points)):
        shown = both[frame, BODY]
        jumps[frame] |= shown.any() and np.median(speed[frame, BODY][shown]) > _BODY_JUMP
    return np.asarray(np.cumsum(jumps, axis=0), np.int64)


def _moves(points: Floats, used: Bools) -> tuple[Floats, Ints, Bools]:
    """Of one joint in each frame: how far from where it was last seen, how long ago, and whether it was."""
    numbers = np.arange(len(points))
    last = np.maximum.accumulate(np.where(used, numbers, -1))
    before = np.concatenate([[-1], last[:-1]])
    both = used & (before >= 0)
    earlier = points[np.maximum(before, 0)]
    moved: Floats = np.linalg.norm(np.where(both[:, None], points - earlier, 0.0), axis=1)
    return moved, numbers - before, both


def _size(points: Floats, used: Bools) -> float:
    """The person's usual extent in heights."""
    body, shown = points[:, BODY], used[:, BODY, None]
    low = np.where(shown, body, np.inf).min(axis=1)
    high = np.where(shown, body, -np.inf).max(axis=1)
    extents = (high - low).max(axis=1)
    extents = extents[np.isfinite(extents) & (extents > 0)]
    return float(np.median(extents)) if len(extents) else 1.0
