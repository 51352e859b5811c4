"""The surroundings of one joint of a drawing, and how unlike they are with the joint at some place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.pose.draw import COLOURS, DIM, HALF_WIDTH, JOINT_RADIUS, Image
from core.pose.skeleton import LIMBS

Place = tuple[int, int]
Places = dict[int, Place]

# How far around its places the picture of a joint is compared, in pixels.
_MARGIN: Final = JOINT_RADIUS + 5
# How soft the picture is made, and what is drawn: compression halves the resolution of colours.
_SOFT: Final = (5, 5)
_BLUR: Final = (3, 3)
_DIMMED: Final = tuple(tuple(int(level * DIM) for level in colour) for colour in COLOURS)


@dataclass(frozen=True)
class Canvas:
    """A drawing at the scale it was made: RGB [h, w, 3], and 255 where it counts [h, w] (not under hands)."""

    picture: Image
    counts: NDArray[np.uint8]


@dataclass(frozen=True)
class Patch:
    """The surroundings of one joint: picture, which pixels count, left and top, and all else drawn there."""

    picture: Image
    counts: NDArray[np.uint8]
    corner: Place
    limbs: dict[int, NDArray[np.int32]]
    joints: dict[int, Place]


def patch_around(canvas: Canvas, found: Places, joint: int, places: Sequence[Place]) -> Patch:
    """The part of a drawing about all of ``places``, and what is drawn in it besides a joint."""
    height, width = canvas.counts.shape
    xs, ys = zip(*places, strict=True)
    left, right = max(0, min(xs) - _MARGIN), min(width, max(xs) + _MARGIN + 1)
    top, bottom = max(0, min(ys) - _MARGIN), min(height, max(ys) + _MARGIN + 1)
    inside = _within(
        left - JOINT_RADIUS - 1, top - JOINT_RADIUS - 1, right + JOINT_RADIUS, bottom + JOINT_RADIUS
    )
    limbs = {
        limb: _ellipse(found[near], found[far], (left, top))
        for limb, (near, far) in enumerate(LIMBS)
        if joint not in (near, far) and near in found and far in found and inside(found[near], found[far])
    }
    joints = {
        other: (x - left, y - top)
        for other, (x, y) in found.items()
        if other != joint and inside((x, y), (x, y))
    }
    picture = cv2.GaussianBlur(canvas.picture[top:bottom, left:right], _BLUR, 0)
    return Patch(picture, canvas.counts[top:bottom, left:right], (left, top), limbs, joints)


def _within(left: int, top: int, right: int, bottom: int) -> Callable[[Place, Place], bool]:
    """Whether the box of two places reaches into a frame."""

    def reaches(first: Place, second: Place) -> bool:
        return (
            max(first[0], second[0]) >= left
            and min(first[0], second[0]) <= right
            and max(first[1], second[1]) >= top
            and min(first[1], second[1]) <= bottom
        )

    return reaches


def _ellipse(first: Place, second: Place, corner: Place) -> NDArray[np.int32]:
    """The outline of a limb as ``draw`` makes it."""
    dx, dy = first[0] - second[0], first[1] - second[1]
    centre = (
        (first[0] + second[0] + 1) // 2 - corner[0],
        (first[1] + second[1] + 1) // 2 - corner[1],
    )
    axes = (int(math.hypot(dx, dy) / 2), HALF_WIDTH)
    angle = int(math.degrees(math.atan2(dy, dx)))
    return np.array(cv2.ellipse2Poly(centre, axes, angle, 0, 360, 5), np.int32)


def costs(patch: Patch, found: Places, joint: int) -> Callable[[Place | None], float]:
    """place or None -> how unlike the patch is with the joint there, in levels summed over pixels."""
    paint = painter(patch, found, joint)

    def cost(place: Place | None) -> float:
        return float(cv2.norm(paint(place), patch.picture, cv2.NORM_L1, patch.counts))

    return cost


def painter(patch: Patch, found: Places, joint: int) -> Callable[[Place | None], Image]:
    """place or None -> the patch drawn with the joint there, as soft as compression leaves it."""

    def paint(place: Place | None) -> Image:
        canvas = np.zeros_like(patch.picture)
        limbs, joints = patch.limbs, patch.joints
        if place is not None:
            limbs = {**limbs, **dict(_incident(found, joint, place, patch.corner))}
            joints = {**joints, joint: (place[0] - patch.corner[0], place[1] - patch.corner[1])}
        for limb in sorted(limbs):
            cv2.fillConvexPoly(canvas, limbs[limb], _DIMMED[limb])
        for other in sorted(joints):
            cv2.circle(canvas, joints[other], JOINT_RADIUS, COLOURS[other], thickness=-1)
        soft: Image = cv2.GaussianBlur(canvas, _SOFT, 0)
        return soft

    return paint


def _incident(
    found: Places, joint: int, place: Place, corner: Place
) -> Iterator[tuple[int, NDArray[np.int32]]]:
    """The limbs that end in a joint, were it at ``place``."""
    for limb, (near, far) in enumerate(LIMBS):
        if joint == near and far in found:
            yield limb, _ellipse(place, found[far], corner)
        elif joint == far and near in found:
            yield limb, _ellipse(found[near], place, corner)
