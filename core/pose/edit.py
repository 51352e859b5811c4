"""Edits on top of a found pose: what a user changes by hand, in the order of the list.

``edit_track`` does what concerns the clip (mirror, hold, drop), before the motion is aligned; ``edit_pose``
does what concerns the picture (offset, scale, rotate, limbs), after it. Each passes over the other's kinds.
docs/pose-files.md says what each edit means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import BadSetting
from core.pose.edit_kinds import DROPPABLE, check_edits, parse_edit
from core.pose.limbs import (
    EYES_AND_EARS,
    HIPS,
    NOSE,
    OUTWARDS,
    WRISTS,
    Bools,
    in_fractions,
    in_heights,
    path_inwards,
    seen_points,
)
from core.pose.skeleton import FACE, JOINTS, LEFT_HAND, NECK, RIGHT_HAND, Floats, PoseFrame, PoseTrack
from core.types import PoseEdit

__all__ = ["check_edits", "edit_pose", "edit_track", "parse_edit"]

# A time that stands for a frame may be off by this share of a frame.
_SLACK_FRAMES: Final = 1e-3
_PAIRS: Final = (
    (2, 5), (3, 6), (4, 7), (8, 11), (9, 12), (10, 13), (14, 15), (16, 17), (18, 21), (19, 22), (20, 23),
)  # fmt: skip
# Of the 68 face points: jaw, brows, nostrils, eyes, outer and inner lips, each run with its mirror image.
_FACE_PAIRS: Final = (
    *((n, 16 - n) for n in range(8)), *((n, 43 - n) for n in range(17, 22)), (31, 35), (32, 34),
    (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46),
    (48, 54), (49, 53), (50, 52), (59, 55), (58, 56), (60, 64), (61, 63), (67, 65),
)  # fmt: skip
_DROPPED: Final[Mapping[str, tuple[int, ...]]] = {
    "left_hand": tuple(range(LEFT_HAND.start, LEFT_HAND.stop)),
    "right_hand": tuple(range(RIGHT_HAND.start, RIGHT_HAND.stop)),
    "face": (*EYES_AND_EARS, *range(FACE.start, FACE.stop)),
}
# Places of the hands and the face in a list of factors, after the 18 body joints.
_FACE: Final = 20
_LIMBS: Final[Mapping[str, Mapping[str, tuple[int, ...]]]] = {
    "right": {"shoulder": (2,), "upper_arm": (3,), "lower_arm": (4,), "arm": (3, 4), "hand": (19,)}
    | {"upper_leg": (9,), "lower_leg": (10,), "leg": (9, 10)},
    "left": {"shoulder": (5,), "upper_arm": (6,), "lower_arm": (7,), "arm": (6, 7), "hand": (18,)}
    | {"upper_leg": (12,), "lower_leg": (13,), "leg": (12, 13)},
}


def edit_track(track: PoseTrack, edits: Sequence[PoseEdit], start_s: float = 0.0) -> PoseTrack:
    """Mirror, hold and drop.

    Args:
        track: any number of people.
        edits: all edits of the request.
        start_s: time in the clip of the track's first frame; the edits' times are the clip's.

    Returns:
        The track with as many frames; itself where no edit applies.

    Raises:
        BadSetting: as ``check_edits``; a held frame that the track does not have.
    """
    check_edits(edits)
    for edit in edits:
        if edit.kind == "mirror":
            track = _mirrored(track)
        elif edit.kind == "drop":
            track = _dropped(track, edit.values, start_s)
        elif edit.kind == "hold":
            track = _held(track, edit.values, start_s)
    return track


def edit_pose(pose: PoseFrame, edits: Sequence[PoseEdit], ratio: float) -> PoseFrame:
    """Offset, scale, rotate and limbs.

    Args:
        pose: fractions of the canvas. What is not drawn stays where it is.
        edits: all edits of the request.
        ratio: width / height of the canvas.

    Returns:
        The edited pose; itself where no edit changes it.

    Raises:
        BadSetting: as ``check_edits``.
    """
    check_edits(edits)
    for edit in edits:
        values = edit.values
        if edit.kind == "offset":
            pose = _moved(pose, np.eye(2), np.array([values.get("x", 0.0), values.get("y", 0.0)]), ratio)
        elif edit.kind == "scale":
            pose = _about(pose, np.eye(2) * values["factor"], values, ratio)
        elif edit.kind == "rotate":
            pose = _about(pose, _rotation(values["degrees"]), values, ratio)
        elif edit.kind == "limbs":
            pose = _resized(pose, values)
    return pose


def _mirrored(track: PoseTrack) -> PoseTrack:
    """Left and right exchanged, in the picture and in the names. A point without a place stays without."""
    order = _mirror_order()
    points, scores = track.keypoints[:, :, order].copy(), track.scores[:, :, order]
    placed = (points != 0).any(axis=-1) | (scores > 0)
    points[..., 0] = np.where(placed, 1.0 - points[..., 0], points[..., 0])
    return replace(track, keypoints=points, scores=scores)


def _mirror_order() -> NDArray[np.int64]:
    order = np.arange(JOINTS)
    pairs = [*_PAIRS, *((FACE.start + a, FACE.start + b) for a, b in _FACE_PAIRS)]
    pairs += [(LEFT_HAND.start + n, RIGHT_HAND.start + n) for n in range(21)]
    for first, second in pairs:
        order[first], order[second] = second, first
    return order


def _dropped(track: PoseTrack, values: Mapping[str, float], start_s: float) -> PoseTrack:
    """Scores to 0; body joints keep their places, which alignment measures on."""
    joints = [joint for part in DROPPABLE if values.get(part) for joint in _DROPPED[part]]
    scores = track.scores.copy()
    scores[_frames(track, values, start_s), :, joints] = 0.0
    return replace(track, scores=scores)


def _held(track: PoseTrack, values: Mapping[str, float], start_s: float) -> PoseTrack:
    frames = _frames(track, values, start_s)
    if frames.start >= frames.stop:
        return track
    at_s = values.get("at_s", values.get("from_s", 0.0))
    index = math.floor((at_s - start_s) * track.fps + _SLACK_FRAMES)
    if not 0 <= index < len(track.keypoints):
        raise BadSetting(
            f"The pose to hold, at {at_s:g} s, is outside of the selected range.",
            value=f"{at_s:g} s",
            limit=f"{start_s:g} to {start_s + track.duration_s:g} s",
            action="Give at_s a time within the range, or select a longer one.",
        )
    keypoints, scores = track.keypoints.copy(), track.scores.copy()
    keypoints[frames], scores[frames] = track.keypoints[index], track.scores[index]
    return replace(track, keypoints=keypoints, scores=scores)


def _frames(track: PoseTrack, values: Mapping[str, float], start_s: float) -> slice:
    """The frames that are current at any moment from ``from_s`` up to ``to_s``."""
    first = math.floor((values.get("from_s", 0.0) - start_s) * track.fps + _SLACK_FRAMES)
    count = len(track.keypoints)
    end = math.ceil((values["to_s"] - start_s) * track.fps - _SLACK_FRAMES) if "to_s" in values else count
    return slice(min(max(first, 0), count), min(max(end, 0), count))


def _rotation(degrees: float) -> Floats:
    """Clockwise as one sees it, since y points down. Whole turns are exactly none."""
    angle = math.radians(math.fmod(degrees, 360.0))
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def _about(pose: PoseFrame, matrix: Floats, values: Mapping[str, float], ratio: float) -> PoseFrame:
    if "about_x" in values:
        place = np.array([values["about_x"], values["about_y"]])
    else:
        place = _pivot(pose)
    pivot = in_heights(place, ratio)
    return _moved(pose, matrix, pivot - matrix @ pivot, ratio)


def _pivot(pose: PoseFrame) -> Floats:
    """The neck, where reference and motion were laid on each other; without it the hips, else the middle."""
    seen = pose.subset >= 0
    for joints in ((NECK,), HIPS):
        if seen[list(joints)].all():
            return np.asarray(pose.body[list(joints)].mean(axis=0))
    return np.asarray(pose.body[seen].mean(axis=0)) if seen.any() else np.zeros(2)


def _moved(pose: PoseFrame, matrix: Floats, shift: Floats, ratio: float) -> PoseFrame:
    """p -> matrix p + shift in units of the height, for everything that is seen."""
    if (matrix == np.eye(2)).all() and not shift.any():
        return pose

    def moved(points: Floats, seen: Bools) -> Floats:
        there = in_fractions(in_heights(points, ratio) @ matrix.T + shift, ratio)
        return np.where(seen[..., None], there, points)

    return PoseFrame(
        moved(pose.body, pose.subset >= 0),
        pose.subset,
        moved(pose.hands, seen_points(pose.hands)),
        moved(pose.faces, seen_points(pose.faces)),
    )


def _resized(pose: PoseFrame, values: Mapping[str, float]) -> PoseFrame:
    """Limbs from the neck outwards, each keeping its direction; a shape needs no ratio."""
    factors = _factors(values)
    if (factors == 1).all():
        return pose
    seen, body = pose.subset >= 0, pose.body.copy()
    for joint in OUTWARDS:
        inner, limbs = path_inwards(joint, lambda j: bool(seen[j]))
        if seen[joint] and inner is not None:
            # Over a joint that is not seen, both limbs in one.
            factor = float(factors[limbs].mean())
            body[joint] = body[inner] + factor * (pose.body[joint] - pose.body[inner])
    hands = np.stack(
        [_carried(pose, body, pose.hands[row], wrist, factors[18 + row]) for row, wrist in enumerate(WRISTS)]
    )
    faces = _carried(pose, body, pose.faces, NOSE, factors[_FACE])
    return PoseFrame(body, pose.subset, hands, faces)


def _carried(pose: PoseFrame, body: Floats, points: Floats, joint: int, factor: float) -> Floats:
    """Hand or face points scaled about the joint they hang on, or else about their own middle."""
    seen = seen_points(points)
    if not seen.any():
        return points
    if pose.subset[joint] >= 0:
        old, new = pose.body[joint], body[joint]
    else:
        old = new = points[seen].mean(axis=0)
    return np.where(seen[:, None], new + factor * (points - old), points)


def _factors(values: Mapping[str, float]) -> Floats:
    """[21]: of the limb that ends in each body joint, of the left and the right hand, of the face."""
    factors = np.ones(21)
    for part, value in values.items():
        for place in _places(part):
            factors[place] *= value
    return factors


def _places(part: str) -> tuple[int, ...]:
    if part == "head":
        return (NOSE, *EYES_AND_EARS, _FACE)
    if part == "torso":
        return HIPS
    side, _, name = part.partition("_")
    if side in _LIMBS:
        return _LIMBS[side][name]
    return _LIMBS["left"][part[:-1]] + _LIMBS["right"][part[:-1]]
