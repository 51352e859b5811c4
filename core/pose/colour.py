"""Read a skeleton back from its drawing by colour.

Joint i is a disc in full colour i, limb i an ellipse in the same colour dimmed to 0.6, twenty degrees of hue
from one colour to the next. Discs, and the ends of limbs where a disc is covered (a wrist under its hand),
give candidates for each joint; the tree of limbs then picks the set that explains the drawing best, and so keeps
knees apart from hand points of the same red. Works at any scale and through JPEG and H.264.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.pose.draw import COLOURS, JOINT_RADIUS, Image
from core.pose.skeleton import LIMBS, NECK, Floats, PoseFrame

_HUES: Final = len(COLOURS)
# Levels of the strongest channel: black below, limbs (153) between, joints and hands (255) above.
_BLACK: Final = 60
_FULL: Final = 196
_SATURATION: Final = 0.45
# A drawing is mostly black and shows several colours.
_MIN_BLACK_SHARE: Final = 0.6
_MIN_COLOURS: Final = 3
_MIN_PIXELS: Final = 12
# Reading back: fewer joints than this are no person.
_MIN_JOINTS: Final = 5
_MAX_CANDIDATES: Final = 24
# What a candidate is worth before its limbs are looked at, and what a limb is worth.
_DISC_WORTH: Final = 1.0
_END_WORTH: Final = 0.35
_LIMB_WORTH: Final = 2.0
# A limb must be seen along more than this share of its length.
_LIMB_SHARE: Final = 0.45
_SAMPLES: Final = 24
_OTHER: Final = 0.6
_UNSEEN: Final = 0.2
# Pieces of a limb that others cross are at least this share of the largest.
_LEAST_PIECE: Final = 0.15
# Discs: the least part that must show, what counts as whole, how near a limb's end it stands (in radii).
_MIN_SHARE: Final = 0.15
_WHOLE: Final = 0.8
_NEAR: Final = 2.5


@dataclass(frozen=True)
class _Drawing:
    """The coloured part of a picture. ``dim`` and ``full`` [h, w]: colour number 1..18 or 0."""

    dim: NDArray[np.uint8]
    full: NDArray[np.uint8]
    left: int
    top: int
    radius: float


@dataclass(frozen=True)
class _Candidates:
    """Places [n, 2] (x, y in the crop) that a joint may have, and what each is worth [n]."""

    places: Floats
    worth: Floats


def has_skeleton(image: Image) -> bool:
    """Whether a picture [H, W, 3] looks like a skeleton drawing: mostly black, with several colours."""
    small = _at_most(image, 512)
    strongest = small.max(axis=2)
    if float((strongest < _BLACK).mean()) < _MIN_BLACK_SHARE:
        return False
    colour, strongest = _colours(small)
    counts = np.bincount(colour[strongest >= _BLACK], minlength=_HUES + 1)[1:]
    return (
        int((counts >= max(3, _MIN_PIXELS // 3)).sum()) >= _MIN_COLOURS and int(counts.sum()) >= _MIN_PIXELS
    )


def is_black(image: Image) -> bool:
    """Whether a frame shows nothing at all."""
    return int((image.max(axis=2) >= _BLACK).sum()) < _MIN_PIXELS


def read_back(image: Image) -> PoseFrame | None:
    """The body joints of a drawing made as ``draw`` does; hands and face are not read.

    Args:
        image: uint8 RGB [H, W, 3], red and blue as saved by ``draw``.

    Returns:
        the pose in fractions of the picture; None where no skeleton is found.
    """
    drawing = _separate(image)
    if drawing is None:
        return None
    ends = {limb: _ends(drawing, limb) for limb in range(len(LIMBS))}
    choice = _choose(drawing, [_candidates(drawing, joint, ends) for joint in range(18)])
    if len(choice) < _MIN_JOINTS:
        return None
    height, width = image.shape[:2]
    body = np.zeros((18, 2))
    subset = np.full(18, -1, np.int64)
    for joint, (x, y) in choice.items():
        # Half a pixel in: drawing truncates, so a joint lies anywhere in its pixel.
        body[joint] = (x + drawing.left + 0.5) / width, (y + drawing.top + 0.5) / height
        subset[joint] = joint
    body[subset < 0] = body[subset >= 0].mean(axis=0)
    return PoseFrame(body, subset, np.full((2, 21, 2), -1.0), np.full((68, 2), -1.0))


def _at_most(image: Image, side: int) -> Image:
    """Every n-th pixel, so that no colours mix."""
    step = max(1, max(image.shape[:2]) // side)
    return image[::step, ::step]


def _colours(image: Image) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Colour number 1..18 of each pixel (0 where grey) and its strongest channel."""
    # Colour i of the table is hue 20 i with red and blue exchanged.
    hue, saturation, strongest = cv2.split(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2HSV_FULL))
    table = np.round(np.arange(256) * (_HUES / 256.0)).astype(np.uint8) % _HUES + 1
    number: NDArray[np.uint8] = cv2.LUT(hue, table)
    number[saturation < _SATURATION * 255] = 0
    return number, strongest


def _separate(image: Image) -> _Drawing | None:
    """Crop to the drawing and tell joints from limbs; None where there is no drawing."""
    if not has_skeleton(image):
        return None
    left, top, width, height = cv2.boundingRect((image.max(axis=2) >= _BLACK).astype(np.uint8))
    colour, strongest = _colours(image[top : top + height, left : left + width])
    colour[strongest < _BLACK] = 0
    full = np.where(strongest >= _FULL, colour, 0).astype(np.uint8)
    dim = np.where(strongest < _FULL, colour, 0).astype(np.uint8)
    return _Drawing(dim, full, left, top, _radius(full))


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


def _candidates(drawing: _Drawing, joint: int, ends: Mapping[int, Floats]) -> _Candidates:
    discs, worth = _discs(drawing, joint)
    mine = np.concatenate([ends[limb] for limb, pair in enumerate(LIMBS) if joint in pair])
    if len(mine) and len(discs):
        # A disc stands at the end of a limb; part of one elsewhere is more likely a mixed colour of a hand.
        gaps = np.linalg.norm(discs[:, None] - mine[None], axis=2).min(axis=1)
        worth = np.where(gaps <= _NEAR * drawing.radius, worth, worth**2)
    return _Candidates(np.concatenate([discs, mine]), np.append(worth, np.full(len(mine), _END_WORTH)))


def _discs(drawing: _Drawing, joint: int) -> tuple[Floats, Floats]:
    """Middles [n, 2] of the spots of a joint's colour and how full they are [n]; hand lines are too thin."""
    part, left, top = _part(drawing.full, joint, margin=int(2 * drawing.radius) + 2)
    if not part.size:
        return np.zeros((0, 2)), np.zeros(0)
    side = max(1, round(drawing.radius)) | 1
    solid = cv2.morphologyEx(part, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    _, _, stats, middles = cv2.connectedComponentsWithStats(solid)
    share = stats[1:, cv2.CC_STAT_AREA] / (np.pi * drawing.radius**2)
    # The middle of its box moves less than the centroid where a disc is covered in part.
    corner = stats[1:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP]]
    box = corner + (stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]] - 1) / 2
    places = np.where(share[:, None] > _WHOLE, middles[1:], box) + np.array([left, top])
    best = np.argsort(-share)[:_MAX_CANDIDATES]
    best = best[share[best] > _MIN_SHARE]
    return places[best], _DISC_WORTH * np.minimum(share[best], 1.0)


def _ends(drawing: _Drawing, limb: int) -> Floats:
    """[2, 2] both ends of a limb's ellipse along its long axis, or [0, 2] where too little of it is seen."""
    part, left, top = _part(drawing.dim, limb, margin=0)
    if not part.size:
        return np.zeros((0, 2))
    # The soft rims of discs are as dark as limbs.
    reach = 2 * max(1, round(drawing.radius / 2)) + 1
    height, width = part.shape
    disc = (drawing.full[top : top + height, left : left + width] == limb + 1).view(np.uint8)
    rim = cv2.dilate(disc, np.ones((reach, reach), np.uint8))
    rows, columns = np.nonzero(_large_spots(part & (1 - rim), drawing.radius))
    points = np.stack([columns + left, rows + top], axis=1).astype(np.float64)
    if len(points) < max(4.0, drawing.radius**2):
        return np.zeros((0, 2))
    for _ in range(2):
        middle = np.median(points, axis=0)
        axes = np.linalg.eigh(np.cov((points - middle).T))[1][:, ::-1].T
        across = np.abs((points - middle) @ axes[1])
        points = points[across <= max(1.5 * drawing.radius, 2.0)]
        if len(points) < 4:
            return np.zeros((0, 2))
    low, high = np.percentile((points - middle) @ axes[0], [1, 99])
    return np.array(
        [_uncover(drawing, middle + axes[0] * end, np.sign(end) * axes[0]) for end in (low, high)]
    )


def _large_spots(mask: NDArray[np.uint8], radius: float) -> NDArray[np.bool_]:
    """Connected spots of some size; compression scatters mixed colours in small ones."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA]
    areas[0] = 0
    keep = areas >= max(radius**2, _LEAST_PIECE * float(areas.max(initial=0))) if count > 1 else areas > 0
    large: NDArray[np.bool_] = keep[labels]
    return large


def _uncover(drawing: _Drawing, end: Floats, outwards: Floats) -> Floats:
    """A joint lies one radius further where a disc covers the tip of its limb."""
    further = end + drawing.radius * outwards
    height, width = drawing.full.shape
    x, y = (int(value) for value in np.clip(np.rint(further), 0, [width - 1, height - 1]))
    return further if drawing.full[y, x] else end


def _support(drawing: _Drawing, limb: int, near: Floats, far: Floats) -> Floats:
    """[n, m] how well a limb is seen between places [n, 2] and [m, 2]: below 0 where it is not.

    Its own colour counts whole, black not at all, and whatever may cover it in part.
    """
    steps = np.linspace(0.0, 1.0, _SAMPLES)[:, None]
    line = near[:, None, None] + steps * (far[None, :, None] - near[:, None, None])
    height, width = drawing.dim.shape
    line = np.clip(np.rint(line).astype(np.int64), 0, [width - 1, height - 1])
    dim, full = drawing.dim[line[..., 1], line[..., 0]], drawing.full[line[..., 1], line[..., 0]]
    seen = np.where(dim == limb + 1, 1.0, np.where((dim > 0) | (full > 0), _OTHER, 0.0))
    unseen = (dim != limb + 1).all(axis=-1)
    support: Floats = seen.mean(axis=-1) - _LIMB_SHARE - _UNSEEN * unseen
    return support


def _choose(drawing: _Drawing, candidates: Sequence[_Candidates]) -> dict[int, tuple[float, float]]:
    """The best place, or none, of each joint: exact maximum over the tree of limbs."""
    children = _children()
    value: dict[int, Floats] = {}
    picks: dict[tuple[int, int], NDArray[np.int64]] = {}
    for joint in reversed(_outwards(children)):
        total = np.append(candidates[joint].worth, 0.0)
        for limb, child in children.get(joint, ()):
            score = _pairs(drawing, limb, candidates[joint], candidates[child]) + value[child][None]
            picks[joint, child] = score.argmax(axis=1)
            total = total + score.max(axis=1)
        value[joint] = total
    chosen = {NECK: int(value[NECK].argmax())}
    for joint in _outwards(children):
        for _, child in children.get(joint, ()):
            chosen[child] = int(picks[joint, child][chosen[joint]])
    return {
        joint: (float(candidates[joint].places[i][0]), float(candidates[joint].places[i][1]))
        for joint, i in chosen.items()
        if i < len(candidates[joint].places)
    }


def _pairs(drawing: _Drawing, limb: int, near: _Candidates, far: _Candidates) -> Floats:
    """[near + 1, far + 1] worth of a limb between candidates; the last row and column mean "not there"."""
    score = np.zeros((len(near.places) + 1, len(far.places) + 1))
    score[:-1, :-1] = _LIMB_WORTH * _support(drawing, limb, near.places, far.places)
    return score


def _children() -> dict[int, list[tuple[int, int]]]:
    """joint -> [(limb, joint further out)]."""
    children: dict[int, list[tuple[int, int]]] = {}
    for limb, (near, far) in enumerate(LIMBS):
        children.setdefault(near, []).append((limb, far))
    return children


def _outwards(children: dict[int, list[tuple[int, int]]]) -> list[int]:
    order = [NECK]
    for joint in order:
        order.extend(child for _, child in children.get(joint, ()))
    return order
