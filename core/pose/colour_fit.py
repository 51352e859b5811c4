"""Puts joints read by colour where a drawing of them explains the picture best.

Discs that overlap, as in a small face, and wrists under hands show too little to tell their middles. Their
surroundings are drawn, with the primitives of ``draw``, for each likely place, and the most alike place wins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.pose.draw import COLOURS, DIM, HALF_WIDTH, JOINT_RADIUS, Image
from core.pose.skeleton import LIMBS

Place = tuple[int, int]
Places = dict[int, Place]

# Steps of the search in pixels, how many moves it may take, and how often all joints are gone through.
_STEPS: Final = (2, 1)
_MOVES: Final = 10
_ROUNDS: Final = 3
# Joints within this many pixels of each other may have been taken for each other.
_BESIDE: Final = 2 * JOINT_RADIUS
# How far around its places the picture of a joint is compared, in pixels.
_MARGIN: Final = JOINT_RADIUS + 5
# Differences, summed over channels, up to which a colour counts as alike, and the least share of a disc.
_ALIKE: Final = 220.0
_LEAST_ALIKE: Final = 0.25 * 255
_SUM: Final = np.ones((1, 3), np.float32)
_SHARES: Final = (255 * np.maximum(0, 1 - np.arange(256) / _ALIKE)).astype(np.uint8)
_LARGE: Final = 40_000
_PEAKS: Final = 3
_REACH: Final = 8 * JOINT_RADIUS
# What a new joint must explain: a part of a disc at usual contrast; and how right a new one and an old one be.
_GAIN: Final = 0.12 * math.pi * JOINT_RADIUS**2 * 300
_RIGHT: Final = 0.4
_KEEP: Final = 0.15
# How soft the picture is made, and what is drawn: compression halves the resolution of colours.
_SOFT: Final = (5, 5)
_BLUR: Final = (3, 3)
_DIMMED: Final = tuple(tuple(int(level * DIM) for level in colour) for colour in COLOURS)
_AROUND: Final = tuple((x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y)


@dataclass(frozen=True)
class Canvas:
    """A drawing at the scale it was made: RGB [h, w, 3], and 255 where it counts [h, w] (not under hands)."""

    picture: Image
    counts: NDArray[np.uint8]


@dataclass(frozen=True)
class _Patch:
    """The surroundings of one joint: picture, which pixels count, left and top, and all else drawn there."""

    picture: Image
    counts: NDArray[np.uint8]
    corner: Place
    limbs: dict[int, NDArray[np.int32]]
    joints: dict[int, Place]


def fit(canvas: Canvas, places: Places, doubtful: Iterable[int], further: dict[int, list[Place]]) -> Places:
    """Move, drop and add joints until the drawing is explained.

    Args:
        canvas: the drawing.
        places: joint -> pixel on the canvas.
        doubtful: joints of ``places`` that may move; any that nothing speaks for are dropped.
        further: joint -> other places where it may be.

    Returns:
        joint -> pixel; with joints that were not in ``places`` where their disc was found.
    """
    found = dict(places)
    open_joints = list(doubtful)
    for number in range(_ROUNDS):
        before = dict(found)
        for joint in open_joints:
            if joint in found:
                _settle(canvas, found, joint, further.get(joint, []))
        if number == 0:
            open_joints += _add_missing(canvas, found)
        if found == before:
            break
    _drop(canvas, found)
    return found


def _drop(canvas: Canvas, found: Places) -> None:
    """Drop joints that next to nothing speaks for, from the outermost inwards."""
    for _, joint in sorted(LIMBS, key=lambda limb: -_depth(limb[1])):
        outermost = all(near != joint or far not in found for near, far in LIMBS)
        if joint in found and outermost and _rightness(canvas, found, joint) < _KEEP:
            del found[joint]


def _depth(joint: int) -> int:
    """Limbs from a joint to the neck."""
    return next((1 + _depth(near) for near, far in LIMBS if far == joint), 0)


def _settle(canvas: Canvas, found: Places, joint: int, further: Sequence[Place]) -> None:
    """Move one joint to its best place."""
    start = found[joint]
    others = [*_alike(canvas, joint, start, _REACH), *further]
    found[joint] = _cheapest(canvas, found, joint, [start, *others])
    _descend(canvas, found, joint)


def _add_missing(canvas: Canvas, found: Places) -> list[int]:
    """Look for joints whose inner neighbour is there; returns those that were added."""
    added = []
    height, width = canvas.counts.shape
    for near, joint in LIMBS:
        if near in found and joint not in found:
            places = _alike(canvas, joint, (width // 2, height // 2), max(width, height))
            if not places:
                continue
            if _add(canvas, found, joint, _cheapest(canvas, found, joint, places)):
                added.append(joint)
    return added


def _add(canvas: Canvas, found: Places, joint: int, place: Place) -> bool:
    """Add a joint, and let those move that may stand in its place; undone where that explains little."""
    trial = {**found, joint: place}
    beside = [other for other, at in found.items() if math.dist(at, place) < _BESIDE]
    for other in beside:
        _settle(canvas, trial, other, [])
    _descend(canvas, trial, joint)
    changed = [joint, *beside]
    places = [each[one] for one in changed for each in (found, trial) if one in each]
    before = _costs(_patch(canvas, found, joint, places), found, joint)(None)
    after = _costs(_patch(canvas, trial, joint, places), trial, joint)(trial[joint])
    if before - after < _GAIN or joint not in trial or _rightness(canvas, trial, joint) < _RIGHT:
        return False
    found.clear()
    found.update(trial)
    return True


def _alike(canvas: Canvas, joint: int, middle: Place, reach: int) -> list[Place]:
    """Places whose surroundings are coloured like a joint's disc, the most alike first."""
    height, width = canvas.counts.shape
    left, right = max(0, middle[0] - reach), min(width, middle[0] + reach + 1)
    top, bottom = max(0, middle[1] - reach), min(height, middle[1] + reach + 1)
    # Over a large part every other row and column will do.
    step = 2 if (right - left) * (bottom - top) > _LARGE else 1
    part = np.ascontiguousarray(canvas.picture[top:bottom:step, left:right:step])
    apart = cv2.transform(cv2.absdiff(part, (*COLOURS[joint], 0)), _SUM)
    side = round((JOINT_RADIUS + 2) / step)
    share = cv2.blur(cv2.LUT(apart, _SHARES), (side, side))
    places = []
    for _ in range(_PEAKS):
        _, best, _, (x, y) = cv2.minMaxLoc(share)
        if best < _LEAST_ALIKE:
            break
        places.append((x * step + left, y * step + top))
        cv2.circle(share, (x, y), max(1, JOINT_RADIUS // step), (0,), thickness=-1)
    return places


def _cheapest(canvas: Canvas, found: Places, joint: int, places: Sequence[Place]) -> Place:
    if len(places) == 1:
        return places[0]
    cost = _costs(_patch(canvas, found, joint, places), found, joint)
    return min(places, key=cost)


def _descend(canvas: Canvas, found: Places, joint: int) -> None:
    """Step to a cheaper neighbour as long as there is one."""
    x, y = found[joint]
    span = _MOVES // 2
    cost = _costs(_patch(canvas, found, joint, [(x - span, y - span), (x + span, y + span)]), found, joint)
    known: dict[Place | None, float] = {}

    def price(place: Place) -> float:
        if place not in known:
            known[place] = cost(place)
        return known[place]

    here = found[joint]
    for step in _STEPS:
        for _ in range(_MOVES):
            near = [(here[0] + step * x, here[1] + step * y) for x, y in _AROUND]
            best = min(near, key=price)
            if price(best) >= price(here):
                break
            here = best
    found[joint] = here


def _rightness(canvas: Canvas, found: Places, joint: int) -> float:
    """How right it is to draw a joint: 1 where all that it changes is in the picture, -1 where nothing is."""
    patch = _patch(canvas, found, joint, [found[joint], *_inner(found, joint)])
    paint = _painter(patch, found, joint)
    without, drawn = paint(None), paint(found[joint])
    change = cv2.norm(drawn, without, cv2.NORM_L1, patch.counts)
    gain = cv2.norm(without, patch.picture, cv2.NORM_L1, patch.counts)
    gain -= cv2.norm(drawn, patch.picture, cv2.NORM_L1, patch.counts)
    return float(gain / max(change, 1.0))


def _inner(found: Places, joint: int) -> list[Place]:
    return [found[near] for near, far in LIMBS if far == joint and near in found]


def _patch(canvas: Canvas, found: Places, joint: int, places: Sequence[Place]) -> _Patch:
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
    return _Patch(picture, canvas.counts[top:bottom, left:right], (left, top), limbs, joints)


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


def _costs(patch: _Patch, found: Places, joint: int) -> Callable[[Place | None], float]:
    """place or None -> how unlike the patch is with the joint there, in levels summed over pixels."""
    paint = _painter(patch, found, joint)

    def cost(place: Place | None) -> float:
        return float(cv2.norm(paint(place), patch.picture, cv2.NORM_L1, patch.counts))

    return cost


def _painter(patch: _Patch, found: Places, joint: int) -> Callable[[Place | None], Image]:
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
