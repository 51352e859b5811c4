"""How far apart two poses are, and which way a person faces."""

from __future__ import annotations

from typing import Final

import numpy as np

from core.pose.align.figure import MAIN, Figure, figure
from core.pose.skeleton import NECK, PoseFrame

# Heights. Shoulders nearer than this to one above the other belong to somebody seen from the side.
_SIDEWAYS: Final = 0.015
_NOSE_AND_EYES: Final = (0, 14, 15)


def pose_gap(first: PoseFrame, second: PoseFrame, ratio: float) -> float:
    """Mean distance of the joints that both poses show, of nose, neck, arms, hips and legs.

    Args:
        first: fractions of a canvas.
        second: fractions of the same canvas.
        ratio: width over height of that canvas.

    Returns:
        Heights of the canvas; 0 where no joint is seen in both, since nothing tells them apart then.
    """
    one, other = figure(first, ratio), figure(second, ratio)
    common = shared(one, other)
    if not len(common):
        return 0.0
    return float(np.linalg.norm(one.points[common] - other.points[common], axis=1).mean())


def shape_gap(one: Figure, other: Figure) -> float:
    """As ``pose_gap``, but place and size are taken out of both; in units of the figures' own size.

    Infinite where they share fewer than two joints.
    """
    common = shared(one, other)
    if len(common) < 2:
        return float("inf")
    shapes = []
    for points in (one.points[common], other.points[common]):
        centred = points - points.mean(axis=0)
        size = float(np.sqrt((centred**2).sum(axis=1).mean()))
        if size == 0:
            return float("inf")
        shapes.append(centred / size)
    return float(np.linalg.norm(shapes[0] - shapes[1], axis=1).mean())


def shared(one: Figure, other: Figure) -> list[int]:
    """The joints of ``MAIN`` seen in both."""
    return [int(joint) for joint in np.flatnonzero(one.seen[MAIN] & other.seen[MAIN])]


def facing(pose: PoseFrame, ratio: float) -> int:
    """1 towards the camera, -1 away from it, 0 sideways or unknown.

    Somebody who faces the camera has the right shoulder on the left of the picture. Where only the shoulders
    and neither nose nor eyes are seen, the face is turned away.
    """
    person = figure(pose, ratio)
    if not person.seen[[2, 5]].all():
        return 0
    across = float(person.points[5, 0] - person.points[2, 0])
    if abs(across) < _SIDEWAYS:
        return 0
    if not person.seen[list(_NOSE_AND_EYES)].any() and person.seen[NECK]:
        return -1
    return 1 if across > 0 else -1
