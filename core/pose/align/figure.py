"""A body in height units: the joints to measure and to move, and which of them may be trusted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.pose.skeleton import NECK, Floats, PoseFrame

Bools = NDArray[np.bool_]
SHOULDERS: Final = (2, 5)
HIPS: Final = (8, 11)
LEGS: Final = (9, 10, 12, 13)
# Nose, neck, arms, hips and legs: what a pose is judged by. Eyes and ears come and go with every turn.
MAIN: Final = slice(0, 14)
# What stands in for an unseen neck, the likeliest first.
_STAND_INS: Final = (SHOULDERS, (0,), HIPS)


@dataclass(frozen=True)
class Figure:
    """Body joints of one person in units of the picture height.

    Attributes:
        points: [18, 2], finite.
        seen: [18], whether a joint was seen.
    """

    points: Floats
    seen: Bools

    def root(self) -> Floats:
        """[2] the neck, or what stands in for it; the first joint's place where nothing is seen."""
        if self.seen[NECK]:
            return np.asarray(self.points[NECK], np.float64)
        for joints in (*_STAND_INS, tuple(range(18))):
            found = [joint for joint in joints if self.seen[joint]]
            if found:
                return np.asarray(self.points[found].mean(axis=0), np.float64)
        return np.asarray(self.points[NECK], np.float64)


def figure(pose: PoseFrame, ratio: float) -> Figure:
    """The body of a pose.

    Deliberate, upstream has no such guards: a joint without a number counts as unseen, and an unseen neck
    between two seen shoulders is their middle, which is what a neck is in COCO-WholeBody.

    Args:
        pose: fractions of a picture.
        ratio: width over height of that picture.
    """
    finite: Bools = np.asarray(np.isfinite(pose.body).all(axis=1))
    points = np.where(finite[:, None], pose.body, 0.0) * [ratio, 1.0]
    seen: Bools = np.asarray((pose.subset >= 0) & finite)
    if not seen[NECK] and seen[list(SHOULDERS)].all():
        points[NECK] = points[list(SHOULDERS)].mean(axis=0)
        seen[NECK] = True
    return Figure(points, seen)


def with_neck(pose: PoseFrame) -> PoseFrame:
    """The pose with a stand-in for a neck that was not seen: it may lie anywhere, mostly at (0, 0), and the
    negative pose stretches about it.
    """
    if pose.subset[NECK] >= 0:
        return pose
    body = pose.body.copy()
    body[NECK] = figure(pose, 1.0).root()
    return replace(pose, body=body)
