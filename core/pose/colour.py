"""Read a skeleton back from its drawing by colour.

Joint i is a disc in full colour i, limb i an ellipse in the same colour dimmed to 0.6, twenty degrees of hue
from one colour to the next. Discs and ends of limbs are candidates (``colour_spots``), the tree of limbs
picks among them (``colour_tree``), joints covered in part are fitted to the picture (``colour_fit``), and
hands are read from their discs and edges (``colour_hands``). Works at any scale, through JPEG and H.264.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.pose.colour_fit import fit
from core.pose.colour_hands import read_hands, sided
from core.pose.colour_patch import Canvas
from core.pose.colour_spots import BLACK, Drawing, colours, lit, separate
from core.pose.colour_tree import choose
from core.pose.draw import COLOURS, JOINT_RADIUS, Image
from core.pose.skeleton import Floats, PoseFrame

# A drawing is mostly black and shows several colours.
_MIN_BLACK_SHARE: Final = 0.6
_MIN_COLOURED_SHARE: Final = 0.5
_MIN_COLOURS: Final = 3
_MIN_PIXELS: Final = 12
# Reading back: fewer joints than this are no person.
_MIN_JOINTS: Final = 5
# Larger drawings, in pixels of their box, are read at half their size: soon enough, and exact to a pixel.
_LARGE: Final = 400_000
# From and up to which colour a pixel belongs to a hand.
_HAND_RED: Final = ((171, 0, 0), (255, 89, 59))
# The smallest radius of discs that may come of it, as measured.
_LEAST_HALF: Final = 0.87
# Around the box of a drawing, in pixels; it is found on every fourth row and column.
_BORDER: Final = 12
_COARSE: Final = 4
# Joints whose discs are nearer to each other than this, in radii, cover each other.
_APART: Final = 2.6
# Other places that are tried for a joint lie this near, in radii.
_OTHERS_WITHIN: Final = 20
# The radius of discs measures this much too little; scales that drawings are likely to have.
_RADIUS_LOSS: Final = 1.1
_USUAL_SCALES: Final = (1.0, 0.5, 0.75, 1.5, 2.0)
_SNAP: Final = 0.15


def has_skeleton(image: Image) -> bool:
    """Whether a picture [H, W, 3] looks like a skeleton drawing: mostly black, with several colours."""
    small = _at_most(image, 512)
    colour, strongest = colours(small)
    counts = np.bincount(colour[strongest >= BLACK], minlength=len(COLOURS) + 1)
    lit, coloured = int(counts.sum()), int(counts[1:].sum())
    if lit > (1 - _MIN_BLACK_SHARE) * strongest.size or coloured < _MIN_COLOURED_SHARE * lit:
        return False
    return int((counts[1:] >= _MIN_PIXELS // 3).sum()) >= _MIN_COLOURS and coloured >= _MIN_PIXELS


def is_black(image: Image) -> bool:
    """Whether a frame shows nothing at all."""
    return int(np.count_nonzero(lit(image))) < _MIN_PIXELS


def read_back(image: Image) -> PoseFrame | None:
    """The body joints and hands of a drawing made as ``draw`` does, then perhaps scaled and compressed.

    Args:
        image: uint8 RGB [H, W, 3], red and blue as saved by ``draw``.

    Returns:
        the pose in fractions of the picture; None where no skeleton is found.
    """
    if not has_skeleton(image):
        return None
    left, top, part = _cut(image)
    drawing, step = _separated(part)
    scale = _scale((drawing.radius + _RADIUS_LOSS) * step, _SNAP * step)
    canvas = _at_drawn_scale(part, scale)
    hands = read_hands(canvas)
    joints = _body(drawing, canvas, np.array(part.shape[1::-1]) / drawing.full.shape[::-1], scale)
    if len(joints) < _MIN_JOINTS:
        return None
    size, corner = np.array([image.shape[1], image.shape[0]]), np.array([left, top])
    body = np.zeros((18, 2))
    subset = np.full(18, -1, np.int64)
    for joint, place in joints.items():
        body[joint] = (place + corner) / size
        subset[joint] = joint
    body[subset < 0] = body[subset >= 0].mean(axis=0)
    points = sided(hands, {joint: place / scale for joint, place in joints.items()})
    seen = points >= 0
    points = np.where(seen, ((points + 0.5) * scale + corner) / size, -1.0)
    return PoseFrame(body, subset, points, np.full((68, 2), -1.0))


def _cut(image: Image) -> tuple[int, int, Image]:
    """The part of a picture that is not black: its left, top and pixels."""
    coarse = lit(np.ascontiguousarray(image[::_COARSE, ::_COARSE]))
    x, y, width, height = (_COARSE * value for value in cv2.boundingRect(coarse))
    left, top = max(0, x - _BORDER), max(0, y - _BORDER)
    return left, top, np.ascontiguousarray(image[top : y + height + _BORDER, left : x + width + _BORDER])


def _separated(part: Image) -> tuple[Drawing, int]:
    """Joints and limbs told apart, at half the size where discs allow it, and how many times smaller."""
    height, width = part.shape[:2]
    if height * width > _LARGE:
        half = separate(
            cv2.resize(part, (width // 2, height // 2), interpolation=cv2.INTER_AREA), halved=True
        )
        if half.radius >= _LEAST_HALF:
            return half, 2
    return separate(part), 1


def _scale(radius: float, snap: float) -> float:
    """How many pixels wide a drawn pixel has become, from the radius of discs; a usual value if near."""
    scale = radius / JOINT_RADIUS
    return next((usual for usual in _USUAL_SCALES if abs(scale / usual - 1) < snap), scale)


def _at_drawn_scale(part: Image, scale: float) -> Image:
    if scale == 1:
        return part
    size = (max(1, round(part.shape[1] / scale)), max(1, round(part.shape[0] / scale)))
    resized: Image = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR if scale < 1 else cv2.INTER_AREA)
    return resized


def _body(drawing: Drawing, picture: Image, ratio: Floats, scale: float) -> dict[int, Floats]:
    """joint -> x and y in pixels of the cut picture, the middle of its first pixel being at a half.

    Args:
        drawing: the cut picture with joints and limbs told apart, perhaps smaller.
        picture: the cut picture at the scale it was drawn.
        ratio: pixels of the cut picture in one of ``drawing``, x and y.
        scale: pixels of the cut picture in one of ``picture``.
    """
    chosen = choose(drawing)
    places: dict[int, Floats] = {joint: (each.place + 0.5) * ratio for joint, each in chosen.items()}
    doubtful = [joint for joint in chosen if not chosen[joint].whole or _crowded(joint, places, scale)]
    further = {joint: _near(places[joint], (chosen[joint].others + 0.5) * ratio, scale) for joint in doubtful}
    start = {joint: _pixel(place, scale) for joint, place in places.items()}
    fitted = fit(Canvas(picture, _bare(picture)), start, doubtful, further)
    return {
        joint: places[joint] if start.get(joint) == (x, y) else (np.array([x, y]) + 0.5) * scale
        for joint, (x, y) in fitted.items()
    }


def _bare(picture: Image) -> NDArray[np.uint8]:
    """255 where no hand covers the body."""
    hand = cv2.inRange(picture, *_HAND_RED)
    bare: NDArray[np.uint8] = cv2.bitwise_not(cv2.dilate(hand, np.ones((5, 5), np.uint8)))
    return bare


def _crowded(joint: int, places: dict[int, Floats], scale: float) -> bool:
    """Whether another joint's disc may cover this one's."""
    reach = _APART * JOINT_RADIUS * scale
    return any(math.dist(places[joint], place) < reach for other, place in places.items() if other != joint)


def _near(place: Floats, others: Floats, scale: float) -> list[tuple[int, int]]:
    reach = _OTHERS_WITHIN * JOINT_RADIUS * scale
    return [_pixel(other, scale) for other in others if math.dist(place, other) < reach]


def _pixel(place: Floats, scale: float) -> tuple[int, int]:
    return int(place[0] / scale), int(place[1] / scale)


def _at_most(image: Image, side: int) -> Image:
    """Every n-th pixel, so that no colours mix."""
    step = max(1, max(image.shape[:2]) // side)
    return image[::step, ::step]
