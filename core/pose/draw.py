"""Skeleton drawings as the transformer was trained on (spec: limbs, dimming, joints, hands, in this order).

Source: SteadyDancer, preprocess/pose/script/util.py; golden ``pose_draw_*``. Drawn at twice the pose canvas.
"""

from __future__ import annotations

import colorsys
import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.pose.skeleton import HAND_EDGES, LIMBS, Floats, PoseFrame

Image = NDArray[np.uint8]
Colour = tuple[float, float, float]

HALF_WIDTH: Final = 4
JOINT_RADIUS: Final = 4
HAND_RADIUS: Final = 4
FACE_RADIUS: Final = 3
HAND_LINE: Final = 2
DIM: Final = 0.6
_EDGE_MARGIN: Final = 0.01
# OpenCV may paint this far beyond an outline's points.
_OUTLINE_MARGIN: Final = 2
# OpenCV takes 32-bit pixels; anything this far off the canvas is not visible anyway.
_FAR: Final = 1e6

# Upstream's colour table with red and blue exchanged: so are its saved files, and so was it trained.
COLOURS: Final[tuple[Colour, ...]] = (
    (0, 0, 255), (0, 85, 255), (0, 170, 255), (0, 255, 255), (0, 255, 170), (0, 255, 85),
    (0, 255, 0), (85, 255, 0), (170, 255, 0), (255, 255, 0), (255, 170, 0), (255, 85, 0),
    (255, 0, 0), (255, 0, 85), (255, 0, 170), (255, 0, 255), (170, 0, 255), (85, 0, 255),
)  # fmt: skip
HAND_COLOUR: Final[Colour] = (255, 0, 0)


def draw(pose: PoseFrame, height: int, width: int, hands: bool = True, faces: bool = False) -> Image:
    """One person on black.

    Args:
        pose: coordinates as fractions of the canvas.
        height: canvas height in pixels.
        width: canvas width in pixels.
        hands: draw the hands.
        faces: draw the face points; the transformer was trained without them.

    Returns:
        uint8 [height, width, 3] RGB, red and blue as in upstream's saved files.
    """
    canvas: Image = np.zeros((height, width, 3), np.uint8)
    painted = canvas[_limbs(canvas, pose)]
    if painted.size:
        painted[:] = cv2.LUT(painted, (np.arange(256) * DIM).astype(np.uint8))
    _joints(canvas, pose)
    if hands:
        for hand in pose.hands:
            _hand(canvas, hand)
    if faces:
        _points(canvas, pose.faces, FACE_RADIUS, (255, 255, 255))
    return canvas


def black(height: int, width: int) -> Image:
    """The drawing of a frame in which nobody was found."""
    return np.zeros((height, width, 3), np.uint8)


def _limbs(canvas: Image, pose: PoseFrame) -> tuple[slice, slice]:
    """Draw them; returns the rows and columns they lie in, since dimming a whole canvas takes long."""
    outlines: list[NDArray[np.int32]] = []
    size = np.array([canvas.shape[1], canvas.shape[0]], np.float64)
    for colour, (first, second) in zip(COLOURS, LIMBS, strict=False):
        if pose.subset[first] < 0 or pose.subset[second] < 0:
            continue
        a, b = np.clip(pose.body[[first, second]] * size, -_FAR, _FAR)
        centre = (int((a[0] + b[0]) / 2), int((a[1] + b[1]) / 2))
        dx, dy = a - b
        axes = (int(math.hypot(dx, dy) / 2), HALF_WIDTH)
        angle = int(math.degrees(math.atan2(dy, dx)))
        outline = np.asarray(cv2.ellipse2Poly(centre, axes, angle, 0, 360, 1), np.int32)
        cv2.fillConvexPoly(canvas, outline, colour)
        outlines.append(outline)
    return _extent(outlines)


def _extent(outlines: list[NDArray[np.int32]]) -> tuple[slice, slice]:
    """Rows and columns of all outlines; what lies off the canvas needs no cutting where slices end."""
    if not outlines:
        return slice(0), slice(0)
    points = np.concatenate(outlines)
    left, top = np.maximum(points.min(axis=0) - _OUTLINE_MARGIN, 0).tolist()
    right, bottom = np.maximum(points.max(axis=0) + 1 + _OUTLINE_MARGIN, 0).tolist()
    return slice(top, bottom), slice(left, right)


def _joints(canvas: Image, pose: PoseFrame) -> None:
    centres = _pixels(canvas, pose.body).tolist()
    for joint, colour in enumerate(COLOURS):
        if pose.subset[joint] >= 0:
            cv2.circle(canvas, centres[joint], JOINT_RADIUS, colour, thickness=-1)


def _hand(canvas: Image, hand: Floats) -> None:
    pixels = _pixels(canvas, hand)
    for number, (first, second) in enumerate(HAND_EDGES):
        ends = pixels[[first, second]]
        if (ends > _EDGE_MARGIN).all():
            red, green, blue = colorsys.hsv_to_rgb(number / len(HAND_EDGES), 1.0, 1.0)
            a, b = ends.tolist()
            cv2.line(canvas, a, b, (blue * 255, green * 255, red * 255), thickness=HAND_LINE)
    _points(canvas, hand, HAND_RADIUS, HAND_COLOUR)


def _points(canvas: Image, points: Floats, radius: int, colour: Colour) -> None:
    for x, y in _pixels(canvas, points).tolist():
        if x > _EDGE_MARGIN and y > _EDGE_MARGIN:
            cv2.circle(canvas, (x, y), radius, colour, thickness=-1)


def _pixels(canvas: Image, points: Floats) -> NDArray[np.int64]:
    """Fractions to whole pixels, truncated towards zero as upstream does."""
    return np.clip(points * [canvas.shape[1], canvas.shape[0]], -_FAR, _FAR).astype(np.int64)
