"""Puts joints read by colour where a drawing of them explains the picture best.

Discs that overlap, as in a small face, and wrists under hands show too little to tell their middles. Their
surroundings are drawn, with the primitives of ``draw``, for each likely place, and the most alike place wins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Final

import cv2
import numpy as np

from core.pose.colour_patch import Canvas, Place, Places, costs, painter, patch_around
from core.pose.draw import COLOURS, JOINT_RADIUS, Image
from core.pose.skeleton import LIMBS

# Steps of the search in pixels, how many moves it may take, and how often all joints are gone through.
_STEPS: Final = (2, 1)
_MOVES: Final = 10
_ROUNDS: Final = 3
# Joints within this many pixels of each other may have been taken for each other.
_BESIDE: Final = 2 * JOINT_RADIUS
# Differences, summed over channels, up to which a colour is alike; the least share of a disc that is.
_ALIKE: Final = 220.0
_LEAST_ALIKE: Final = 0.25 * 255
_SUM: Final = np.ones((1, 3), np.float32)
_SHARES: Final = (255 * np.maximum(0, 1 - np.arange(256) / _ALIKE)).astype(np.uint8)
_PEAKS: Final = 3
# How far from its place a joint is looked for, and from how far two may change places, in pixels.
_REACH: Final = 8 * JOINT_RADIUS
_EXCHANGE: Final = 30 * JOINT_RADIUS
# What a new joint must explain: a part of a disc at usual contrast; how right a new and an old one must be.
_GAIN: Final = 0.12 * math.pi * JOINT_RADIUS**2 * 300
_RIGHT: Final = 0.4
_KEEP: Final = 0.15
_AROUND: Final = tuple((x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y)


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
    found = {joint: _clipped(canvas, place) for joint, place in places.items()}
    further = {joint: [_clipped(canvas, place) for place in several] for joint, several in further.items()}
    open_joints = list(doubtful)
    for number in range(_ROUNDS):
        before = dict(found)
        for joint in open_joints:
            if joint in found:
                _settle(canvas, found, joint, further.get(joint, []))
        if number == 0:
            open_joints += _add_missing(canvas, found)
        _exchange(canvas, found, open_joints)
        if found == before:
            break
    _drop(canvas, found)
    return found


def _clipped(canvas: Canvas, place: Place) -> Place:
    height, width = canvas.counts.shape
    return min(max(place[0], 0), width - 1), min(max(place[1], 0), height - 1)


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


def _exchange(canvas: Canvas, found: Places, joints: Sequence[int]) -> None:
    """Let joints that are near each other change places where that is more alike."""
    for first, second in combinations([joint for joint in joints if joint in found], 2):
        places = [found[first], found[second]]
        if math.dist(*places) < _EXCHANGE:
            trial = {**found, first: found[second], second: found[first]}
            before = costs(patch_around(canvas, found, first, places), found, first)(found[first])
            after = costs(patch_around(canvas, trial, first, places), trial, first)(trial[first])
            if after < before:
                found.update(trial)


def _add_missing(canvas: Canvas, found: Places) -> list[int]:
    """Look for joints whose inner neighbour is there; returns those that were added."""
    added = []
    # Over the whole picture every other row and column will do.
    half = np.ascontiguousarray(canvas.picture[::2, ::2])
    for near, joint in LIMBS:
        if near in found and joint not in found:
            places = [(2 * x, 2 * y) for x, y in _spots(half, joint, JOINT_RADIUS // 2)]
            if places and _add(canvas, found, joint, _cheapest(canvas, found, joint, places)):
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
    before = costs(patch_around(canvas, found, joint, places), found, joint)(None)
    after = costs(patch_around(canvas, trial, joint, places), trial, joint)(trial[joint])
    if before - after < _GAIN or _rightness(canvas, trial, joint) < _RIGHT:
        return False
    found.clear()
    found.update(trial)
    return True


def _alike(canvas: Canvas, joint: int, middle: Place, reach: int) -> list[Place]:
    """Places within reach that look like a joint's disc, the most alike first."""
    left, top = max(0, middle[0] - reach), max(0, middle[1] - reach)
    part = canvas.picture[top : middle[1] + reach + 1, left : middle[0] + reach + 1]
    return [(x + left, y + top) for x, y in _spots(np.ascontiguousarray(part), joint, JOINT_RADIUS)]


def _spots(picture: Image, joint: int, radius: int) -> list[Place]:
    """Places in a picture that look like a joint's disc of some radius, the most alike first."""
    apart = cv2.transform(cv2.absdiff(picture, (*COLOURS[joint], 0)), _SUM)
    share = cv2.blur(cv2.LUT(apart, _SHARES), (radius + 2, radius + 2))
    places = []
    for _ in range(_PEAKS):
        _, best, _, (x, y) = cv2.minMaxLoc(share)
        if best < _LEAST_ALIKE:
            break
        places.append((x, y))
        cv2.circle(share, (x, y), radius, (0,), thickness=-1)
    return places


def _cheapest(canvas: Canvas, found: Places, joint: int, places: Sequence[Place]) -> Place:
    if len(places) == 1:
        return places[0]
    cost = costs(patch_around(canvas, found, joint, places), found, joint)
    return min(places, key=cost)


def _descend(canvas: Canvas, found: Places, joint: int) -> None:
    """Step to a cheaper neighbour as long as there is one."""
    x, y = found[joint]
    span = _MOVES // 2
    cost = costs(
        patch_around(canvas, found, joint, [(x - span, y - span), (x + span, y + span)]), found, joint
    )
    known: dict[Place | None, float] = {}

    def price(place: Place) -> float:
        if place not in known:
            known[place] = cost(place)
        return known[place]

    here = found[joint]
    for step in _STEPS:
        for _ in range(_MOVES):
            near = [_clipped(canvas, (here[0] + step * x, here[1] + step * y)) for x, y in _AROUND]
            best = min(near, key=price)
            if price(best) >= price(here):
                break
            here = best
    found[joint] = here


def _rightness(canvas: Canvas, found: Places, joint: int) -> float:
    """How right it is to draw a joint: 1 where all that it changes is in the picture, -1 where nothing is."""
    patch = patch_around(canvas, found, joint, [found[joint], *_inner(found, joint)])
    paint = painter(patch, found, joint)
    without, drawn = paint(None), paint(found[joint])
    change = cv2.norm(drawn, without, cv2.NORM_L1, patch.counts)
    gain = cv2.norm(without, patch.picture, cv2.NORM_L1, patch.counts)
    gain -= cv2.norm(drawn, patch.picture, cv2.NORM_L1, patch.counts)
    return float(gain / max(change, 1.0))


def _inner(found: Places, joint: int) -> list[Place]:
    return [found[near] for near, far in LIMBS if far == joint and near in found]
