"""Reads the hands of a skeleton drawing.

All points of a hand are red discs of one size; its twenty edges have twenty hues, one for each bone of each
finger. Discs are found first, then for each pair of them which hue the line between shows, and last the
two trees, of a wrist and five chains each, that explain the most.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.pose.draw import HAND_RADIUS, Image
from core.pose.skeleton import HAND_EDGES, Floats

_FINGERS: Final = 5
_BONES: Final = 4
# From and up to which colour a pixel belongs to a point; limbs have a red of 153.
_RED: Final = ((165, 0, 0), (255, 90, 90))
# Of a disc, this share must be red, and this share must not belong to discs that were found before it.
_LEAST_RED: Final = 0.9
_LEAST_NEW: Final = 0.35
_MOST_DISCS: Final = 60
_FEWEST_DISCS: Final = 5
# Along a line between two discs: samples, and how sharp hues are told apart (18 degrees off counts a third).
_SAMPLES: Final = 12
_SHARPNESS: Final = 25.0
_BINS: Final = 90
# Chroma below this is no edge.
_LEAST_CHROMA: Final = 28.0
_MOST_BLACK: Final = 0.3
# What a sample under another disc counts: edges seldom pass there.
_UNDER_OTHERS: Final = 0.35
# A line must show its hue over more than this share; what a step that discs cover is worth, less its length.
_LEAST_SHARE: Final = 0.45
_COVERED: Final = 0.06
_COVERED_STEP: Final = 0.008
# What a hand must be worth in whole edges.
_LEAST_HAND: Final = 3.0
# From this worth on an edge shows; how long a finger's bone may be, in the usual ones of its hand.
_SURE: Final = 0.3
_LONGEST: Final = 2.2
# Left and right wrist, elbow, shoulder.
_ARMS: Final = ((7, 6, 5), (4, 3, 2))
# Edges of the palm run close together at the wrist, so their hues mix: they count at least this.
_PALM: Final = -0.1
_TAKEN: Final = 0.8
_RETRIES: Final = 8
_OFFSETS: Final = np.mgrid[-HAND_RADIUS : HAND_RADIUS + 1, -HAND_RADIUS : HAND_RADIUS + 1]
_DISC: Final = (_OFFSETS**2).sum(axis=0) <= HAND_RADIUS**2
# What compression leaves of a disc.
_CORE: Final = (_OFFSETS**2).sum(axis=0) <= (HAND_RADIUS - 1) ** 2


@dataclass(frozen=True)
class Hand:
    """Points [21, 2] in pixels of the drawing, (-1, -1) where not found, and how much speaks for them."""

    points: Floats
    worth: float


def read_hands(picture: Image) -> list[Hand]:
    """At most two hands of a drawing, the clearest first; which is left, its wrist tells.

    Args:
        picture: uint8 RGB [h, w, 3] at the scale it was drawn.
    """
    discs = _discs(picture)
    if len(discs) < _FEWEST_DISCS:
        return []
    worth = _edges(picture, discs)
    hands: list[Hand] = []
    for _ in range(2):
        hand, used = _best(discs, worth)
        if hand.worth < _LEAST_HAND:
            break
        hands.append(hand)
        taken = np.linalg.norm(discs[:, None] - discs[used], axis=2).min(axis=1) <= HAND_RADIUS + 1
        worth[:, taken] -= _TAKEN
        worth[:, :, taken] -= _TAKEN
    return hands


def _discs(picture: Image) -> NDArray[np.int64]:
    """Middles [n, 2] of red discs, each with pixels of its own."""
    mask = cv2.inRange(picture, *_RED)
    left, top, width, height = cv2.boundingRect(mask)
    mask = np.ascontiguousarray(mask[top : top + height, left : left + width])
    found: list[tuple[int, int]] = []
    if mask.size:
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, ltype=cv2.CV_16U)
        large = stats[1:, cv2.CC_STAT_AREA] >= _LEAST_RED * _CORE.sum()
        for number in np.flatnonzero(large) + 1:
            x, y, columns, rows = stats[number, :4].tolist()
            spot = (labels[y : y + rows, x : x + columns] == number).astype(np.float32)
            found += [(left + x + dx, top + y + dy) for dx, dy in _peel(spot)]
    return np.array(found[:_MOST_DISCS], np.int64).reshape(-1, 2)


def _peel(spot: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Discs that make up a spot [h, w] of 0 and 1, those first that alone can explain its outer pixels."""
    rim = HAND_RADIUS
    spot = cv2.copyMakeBorder(spot, rim, rim, rim, rim, cv2.BORDER_CONSTANT)
    middles = _sums(spot, _CORE) >= _LEAST_RED * _CORE.sum()
    explaining = _sums(middles.astype(np.float32))
    weight = np.where(explaining > 0, spot / np.maximum(explaining, 1), 0).astype(np.float32)
    found: list[tuple[int, int]] = []
    while len(found) < _MOST_DISCS:
        score = np.where(middles, _sums(weight), 0)
        y, x = divmod(int(score.argmax()), score.shape[1])
        window = (slice(y - rim, y + rim + 1), slice(x - rim, x + rim + 1))
        if not middles[y, x] or float(spot[window][_DISC].sum()) < _LEAST_NEW * _DISC.sum():
            break
        found.append((x - rim, y - rim))
        spot[window][_DISC] = 0
        weight[window][_DISC] = 0
        middles[y, x] = False
    return found


def _sums(values: NDArray[np.float32], disc: NDArray[np.bool_] = _DISC) -> NDArray[np.float32]:
    """What a disc around each pixel adds up to."""
    sums: NDArray[np.float32] = cv2.filter2D(
        values, -1, disc.astype(np.float32), borderType=cv2.BORDER_CONSTANT
    )
    return sums


def _edges(picture: Image, discs: NDArray[np.int64]) -> Floats:
    """[20, n, n] what each edge is worth between two discs: 1 where its hue shows all along, else less."""
    covered = np.zeros(picture.shape[:2], np.uint8)
    for x, y in discs.tolist():
        cv2.circle(covered, (x, y), HAND_RADIUS + 1, (1,), -1)
    first, second = np.triu_indices(len(discs), 1)
    near, far = discs[first].astype(np.float64), discs[second].astype(np.float64)
    length = np.linalg.norm(far - near, axis=1)
    trim = np.minimum(0.5, (HAND_RADIUS + 1) / np.maximum(length, 1e-6))
    steps = trim[:, None] + np.linspace(0, 1, _SAMPLES) * (1 - 2 * trim[:, None])
    line = np.rint(near[:, None] + steps[..., None] * (far - near)[:, None]).astype(np.int64)
    free = covered[line[..., 1], line[..., 0]] == 0
    alike = _alike(cv2.blur(picture, (5, 5))[line[..., 1], line[..., 0]])
    alike = np.where(free[..., None], alike, _UNDER_OTHERS)
    seen = (alike.mean(axis=1) - _LEAST_SHARE) / (1 - _LEAST_SHARE)
    hidden = length <= 2 * (HAND_RADIUS + 1)
    seen[(free & (alike.max(axis=-1) == 0)).mean(axis=1) > _MOST_BLACK] = -np.inf
    palm = seen[:, ::_BONES]
    palm[(palm < _PALM) & (palm > -np.inf)] = _PALM
    seen[hidden] = (_COVERED - _COVERED_STEP * length[hidden] / HAND_RADIUS)[:, None]
    worth = np.full((len(HAND_EDGES), len(discs), len(discs)), -np.inf)
    worth[:, first, second] = worth[:, second, first] = seen.T
    return worth


def _alike(colours: NDArray[np.uint8]) -> Floats:
    """[..., 20] how alike colours [..., 3] are to those of the edges, 0 to 1, by their hue."""
    edges = np.array([colorsys.hsv_to_rgb(number / len(HAND_EDGES), 1, 1)[::-1] for number in range(20)])
    angles, _ = _chroma(edges * 255)
    bins = (np.arange(_BINS) + 0.5) / _BINS * 2 * math.pi - math.pi
    table = np.exp(_SHARPNESS * (np.cos(bins[:, None] - angles[None]) - 1))
    angle, strength = _chroma(colours.astype(np.float64))
    number = np.clip(((angle + math.pi) / (2 * math.pi) * _BINS).astype(np.int64), 0, _BINS - 1)
    alike: Floats = np.where((strength >= _LEAST_CHROMA)[..., None], table[number], 0.0)
    return alike


def _chroma(colours: Floats) -> tuple[Floats, Floats]:
    """Angle and length of colours [..., 3] in the plane of hues."""
    red, green, blue = colours[..., 0], colours[..., 1], colours[..., 2]
    across, along = math.sqrt(3) / 2 * (green - blue), red - (green + blue) / 2
    return np.arctan2(across, along), np.hypot(across, along)


def _best(discs: NDArray[np.int64], worth: Floats) -> tuple[Hand, list[int]]:
    """The wrist and chains that are worth most together, and which discs they take."""
    worth = worth.copy()
    hand = _tree(worth)
    for _ in range(_RETRIES):
        twice = _taken_twice(hand, worth)
        if twice is None:
            break
        edge, disc = twice
        worth[edge, :, disc] = -np.inf
        hand = _tree(worth)
    points = np.full((21, 2), -1.0)
    sure = _sure(hand, discs, worth)
    for point in sure:
        points[point] = discs[hand[point]]
    value = sum(float(worth[edge, hand[a], hand[b]]) for edge, (a, b) in enumerate(HAND_EDGES) if b in sure)
    return Hand(points, value), list(hand.values())


def _sure(hand: dict[int, int], discs: NDArray[np.int64], worth: Floats) -> set[int]:
    """Points whose edge shows; a finger ends where one does not. Edges of the palm may be hidden."""
    bones = {
        far: math.dist(discs[hand[near]], discs[hand[far]])
        for near, far in HAND_EDGES
        if near > 0 and far in hand
    }
    longest = _LONGEST * float(np.median(list(bones.values()))) if bones else 0.0
    sure = {0}
    for edge, (near, far) in enumerate(HAND_EDGES):
        if far not in hand or near not in sure:
            continue
        shows = worth[edge, hand[near], hand[far]] >= _SURE and bones.get(far, 0.0) <= longest
        if near == 0 and far + 1 in hand:
            shows = shows or worth[edge + 1, hand[far], hand[far + 1]] >= _SURE
        if shows:
            sure.add(far)
    return sure


def _tree(worth: Floats) -> dict[int, int]:
    """point -> disc of the best tree, in which a disc may stand for several points."""
    total = np.zeros(worth.shape[1])
    steps = []
    for finger in range(_FINGERS):
        value, finger_steps = _chain(worth[finger * _BONES : (finger + 1) * _BONES])
        total += value
        steps.append(finger_steps)
    hand = {0: int(total.argmax())}
    for finger, finger_steps in enumerate(steps):
        at = hand[0]
        for bone, nexts in enumerate(finger_steps):
            at = int(nexts[at])
            if at < 0:
                break
            hand[1 + finger * _BONES + bone] = at
    return hand


def _taken_twice(hand: dict[int, int], worth: Floats) -> tuple[int, int] | None:
    """The weaker edge of two that lead to one disc, and that disc."""
    leading: dict[int, tuple[float, int]] = {hand[0]: (math.inf, -1)}
    for edge, (near, far) in enumerate(HAND_EDGES):
        if far not in hand:
            continue
        this = (float(worth[edge, hand[near], hand[far]]), edge)
        if hand[far] in leading:
            return min(this, leading[hand[far]])[1], hand[far]
        leading[hand[far]] = this
    return None


def _chain(worth: Floats) -> tuple[Floats, list[NDArray[np.int64]]]:
    """[n] what the best chain of four bones from each disc is worth; each bone's next disc, -1 for none."""
    value = np.zeros(worth.shape[1])
    steps = []
    for bone in reversed(worth):
        score = bone + value[None]
        best = score.argmax(axis=1)
        gain = np.take_along_axis(score, best[:, None], axis=1)[:, 0]
        steps.append(np.where(gain > 0, best, -1))
        value = np.maximum(gain, 0.0)
    return value, steps[::-1]


def sided(hands: Sequence[Hand], body: dict[int, Floats]) -> Floats:
    """[2, 21, 2] left and right hand, (-1, -1) for what is missing: each belongs to the nearer wrist.

    Args:
        hands: as read.
        body: joint -> place in the same pixels. An elbow or a shoulder stands in for a wrist that was not
            read; where a whole arm was not, its hand is the one that the other arm leaves.
    """
    points = np.full((2, 21, 2), -1.0)
    arms = [next((body[joint] for joint in arm if joint in body), None) for arm in _ARMS]
    if not hands or all(arm is None for arm in arms):
        return points
    gaps = [[0.0 if arm is None else math.dist(arm, hand.points[0]) for arm in arms] for hand in hands]
    if len(hands) == 1:
        side = int(gaps[0][1] < gaps[0][0]) if all(arm is not None for arm in arms) else int(arms[0] is None)
        points[side] = hands[0].points
    else:
        straight, crossed = gaps[0][0] + gaps[1][1], gaps[0][1] + gaps[1][0]
        points[:] = [hand.points for hand in (hands if straight <= crossed else hands[::-1])]
    return points
