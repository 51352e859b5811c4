"""Poses for alignment tests: ordinary figures, with joints taken away, and symmetric ones."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from core.pose.skeleton import Floats, PoseFrame, threshold
from tests.core.pose.figures import STANDING, figure

# Height units; width / height of the pictures that these poses lie in.
RATIO = 0.75


def pose(seed: int, ratio: float = RATIO) -> PoseFrame:
    """A random person, all joints seen."""
    return posed(figure(np.random.default_rng(seed)), ratio)


def posed(points: Floats, ratio: float = RATIO) -> PoseFrame:
    """[134, 2] heights to a pose in a picture of this ratio."""
    return threshold(points[None] / [ratio, 1.0], np.ones((1, 134)))


def without(whole: PoseFrame, joints: Iterable[int], at: float = 0.0) -> PoseFrame:
    """The pose with body joints unseen, at (``at``, ``at``)."""
    body, subset = whole.body.copy(), whole.subset.copy()
    body[list(joints)], subset[list(joints)] = at, -1
    return PoseFrame(body, subset, whole.hands, whole.faces)


def standing(
    size: float = 1.0, arms: float = 1.0, legs: float = 1.0, at: tuple[float, float] = (0.0, 0.0)
) -> Floats:
    """[134, 2] heights: the standing figure, symmetric, with arms and legs of other lengths."""
    points = np.zeros((134, 2))
    points[:18] = STANDING
    for joint, parent, factor in ((3, 2, arms), (4, 3, arms), (9, 8, legs), (10, 9, legs)):
        points[joint] = points[parent] + factor * (STANDING[joint] - STANDING[parent])
    # The left side mirrors the right one, hands are at the wrists.
    for right, left in ((2, 5), (3, 6), (4, 7), (8, 11), (9, 12), (10, 13), (14, 15), (16, 17)):
        points[left] = [1.0 - points[right, 0], points[right, 1]]
    points[92:113], points[113:] = points[7], points[4]
    points[92:, 1] += np.tile(np.linspace(0, 0.06, 21), 2)
    return (points - STANDING[1]) * size + STANDING[1] + at


def heights(frame: PoseFrame, ratio: float = RATIO) -> Floats:
    """[18, 2] body joints in heights."""
    return frame.body * [ratio, 1.0]


def lengths(points: Floats) -> Floats:
    """What the scales measure, of [18, 2] heights."""

    def far(a: int, b: int) -> float:
        return float(np.linalg.norm(points[a] - points[b]))

    hips = (points[8] + points[11]) / 2
    limbs = ((0, 1), (2, 5), (2, 3), (5, 6), (3, 4), (6, 7), (8, 9), (11, 12), (9, 10), (12, 13))
    faces = (far(16, 14) + far(14, 0), far(17, 15) + far(15, 0))
    return np.array([*(far(*limb) for limb in limbs), *faces, float(np.linalg.norm(points[1] - hips))])
