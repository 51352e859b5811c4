"""Finds the spots of a skeleton drawing: discs of joints and ends of limbs, each by its colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.pose.draw import COLOURS, JOINT_RADIUS, Image
from core.pose.skeleton import LIMBS, Floats

# Levels of the strongest channel: black below, limbs (153) between, joints and hands (255) above.
BLACK: Final = 60
_FULL: Final = 196
_SATURATION: Final = 0.45
_HUES: Final = len(COLOURS)
# Most discs of a colour, in small drawings and in large ones.
_MOST_DISCS: Final = (24, 9)
# Discs: the least part that must show, and what counts as whole.
_MIN_SHARE: Final = 0.15
_WHOLE: Final = 0.8
# Pieces of a limb that others cross are at least this share of the largest.
_LEAST_PIECE: Final = 0.15
# About as many pixels of a limb are kept.
_PIXELS: Final = 64


@dataclass(frozen=True)
class Drawing:
    """Limbs and joints told apart.

    Attributes:
        dim: [h, w], number 1..18 of a limb's colour, or 0.
        full: the same of a joint's colour.
        radius: of discs, in pixels, as measured.
        halved: it was made of a picture twice as large.
    """

    dim: NDArray[np.uint8]
    full: NDArray[np.uint8]
    radius: float
    halved: bool = False


def lit(image: Image) -> NDArray[np.uint8]:
    """1 where any channel is brighter than black."""
    red, green, blue = cv2.split(image)
    strongest = cv2.max(cv2.max(red, green), blue)
    bright: NDArray[np.uint8] = (strongest >= BLACK).view(np.uint8)
    return bright


def colours(image: Image) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Colour number 1..18 of each pixel (0 where grey) and its strongest channel."""
    # Colour i of the table is hue 20 i with red and blue exchanged.
    hue, saturation, value = cv2.split(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2HSV_FULL))
    table = np.round(np.arange(256) * (_HUES / 256.0)).astype(np.uint8) % _HUES + 1
    number: NDArray[np.uint8] = cv2.LUT(hue, table)
    number[saturation < _SATURATION * 255] = 0
    strongest: NDArray[np.uint8] = value
    return number, strongest


def separate(image: Image, halved: bool = False) -> Drawing:
    """Tell joints from limbs in a picture that is cut to the drawing."""
    colour, strongest = colours(image)
    colour[strongest < BLACK] = 0
    full = np.where(strongest >= _FULL, colour, 0).astype(np.uint8)
    dim = np.where(strongest < _FULL, colour, 0).astype(np.uint8)
    return Drawing(dim, full, _radius(full), halved)


def _radius(full: NDArray[np.uint8]) -> float:
    """The radius of the joint discs in pixels, from the thickest spots of the colours."""
    radii = []
    for joint in range(18):
        part, _, _ = _part(full, joint, margin=1)
        deepest = float(cv2.distanceTransform(part, cv2.DIST_L2, 5).max(initial=0.0)) if part.size else 0.0
        if deepest > 0:
            radii.append(deepest)
    # Half of the discs may be covered in part; the distance is to the next pixel outside.
    return max(0.8, float(np.percentile(radii, 70)) - 0.5) if radii else float(JOINT_RADIUS)


def _part(labels: NDArray[np.uint8], number: int, margin: int) -> tuple[NDArray[np.uint8], int, int]:
    """The mask of colour ``number`` cut to its bounding box with a margin, and the box's left and top."""
    mask = (labels == number + 1).view(np.uint8)
    x, y, width, height = cv2.boundingRect(mask)
    if not width:
        return mask[:0, :0], 0, 0
    part = cv2.copyMakeBorder(
        mask[y : y + height, x : x + width], margin, margin, margin, margin, cv2.BORDER_CONSTANT
    )
    return part, x - margin, y - margin


def discs(drawing: Drawing, joint: int) -> tuple[Floats, Floats]:
    """Middles [n, 2] of the spots of a joint's colour and how full they are [n]; hand lines are too thin."""
    part, left, top = _part(drawing.full, joint, margin=int(2 * drawing.radius) + 2)
    if not part.size:
        return np.zeros((0, 2)), np.zeros(0)
    # In large drawings discs seldom touch, so that whatever is thin can go.
    side = max(3 if drawing.halved else 1, round(drawing.radius)) | 1
    solid = cv2.morphologyEx(part, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    x, y, width, height = cv2.boundingRect(solid)
    if not width:
        return np.zeros((0, 2)), np.zeros(0)
    left, top = left + x, top + y
    _, _, stats, middles = cv2.connectedComponentsWithStats(solid[y : y + height, x : x + width])
    share = stats[1:, cv2.CC_STAT_AREA] / (np.pi * drawing.radius**2)
    # The middle of its box moves less than the centroid where a disc is covered in part.
    corner = stats[1:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP]]
    box = corner + (stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]] - 1) / 2
    places = np.where(share[:, None] > _WHOLE, middles[1:], box) + np.array([left, top])
    best = np.argsort(-share)[: _MOST_DISCS[drawing.halved]]
    best = best[share[best] > _MIN_SHARE]
    return places[best], np.minimum(share[best], 1.0)


@dataclass(frozen=True)
class Limb:
    """What is seen of a limb: both ends [2, 2] of its ellipse, or [0, 2], and some of its pixels [n, 2]."""

    ends: Floats
    pixels: Floats


_UNSEEN: Final = Limb(np.zeros((0, 2)), np.zeros((0, 2)))


def see_limbs(drawing: Drawing) -> list[Limb]:
    """All limbs, in order."""
    if not drawing.halved:
        return [see_limb(drawing, limb) for limb in range(len(LIMBS))]
    # Limbs of large drawings are wide enough for every other row and column.
    dim, full = (np.ascontiguousarray(part[::2, ::2]) for part in (drawing.dim, drawing.full))
    coarse = Drawing(dim, full, drawing.radius / 2)
    limbs = [see_limb(coarse, limb) for limb in range(len(LIMBS))]
    return [Limb(2 * limb.ends + 0.5, 2 * limb.pixels + 0.5) for limb in limbs]


def see_limb(drawing: Drawing, limb: int) -> Limb:
    """The pixels of a limb's colour that lie in one line, and where they end."""
    part, left, top = _part(drawing.dim, limb, margin=0)
    if not part.size:
        return _UNSEEN
    # The soft rims of discs are as dark as limbs.
    reach = 2 * max(1, round(drawing.radius / 2)) + 1
    height, width = part.shape
    disc = (drawing.full[top : top + height, left : left + width] == limb + 1).view(np.uint8)
    rim = cv2.dilate(disc, np.ones((reach, reach), np.uint8))
    # Wide limbs need not every pixel.
    step = max(1, round(drawing.radius / 2))
    rows, columns = np.nonzero(_large_spots((part & (1 - rim))[::step, ::step], drawing.radius / step))
    points = np.stack([columns, rows], axis=1) * float(step) + np.array([left, top])
    if len(points) < max(4.0, (drawing.radius / step) ** 2):
        return _UNSEEN
    for _ in range(2):
        middle = np.median(points, axis=0)
        axes = np.linalg.eigh(np.cov((points - middle).T))[1][:, ::-1].T
        across = np.abs((points - middle) @ axes[1])
        points = points[across <= max(1.5 * drawing.radius, 2.0)]
        if len(points) < 4:
            return _UNSEEN
    low, high = np.percentile((points - middle) @ axes[0], [1, 99])
    tips = [_uncover(drawing, middle + axes[0] * end, np.sign(end) * axes[0]) for end in (low, high)]
    return Limb(np.array(tips), points[:: max(1, len(points) // _PIXELS)])


def _large_spots(mask: NDArray[np.uint8], radius: float) -> NDArray[np.bool_]:
    """Connected spots of some size; compression scatters mixed colours in small ones."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4, ltype=cv2.CV_16U)
    areas = stats[:, cv2.CC_STAT_AREA]
    areas[0] = 0
    keep = areas >= max(radius**2, _LEAST_PIECE * float(areas.max(initial=0))) if count > 1 else areas > 0
    large: NDArray[np.bool_] = keep[labels]
    return large


def _uncover(drawing: Drawing, end: Floats, outwards: Floats) -> Floats:
    """A joint lies one radius further where a disc covers the tip of its limb."""
    further = end + drawing.radius * outwards
    height, width = drawing.full.shape
    x, y = (int(value) for value in np.clip(np.rint(further), 0, [width - 1, height - 1]))
    return further if drawing.full[y, x] else end
