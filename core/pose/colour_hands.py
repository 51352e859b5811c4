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
# By how much red stands out in a point: not at all (a limb's dimmed red stays below), and as good as fully.
_LEAST_PURE: Final = 110
_PURE: Final = 210
# Of a disc, this share must be red, and this share must not belong to discs that were found before it.
_LEAST_RED: Final = 0.66
_LEAST_NEW: Final = 0.2
_MOST_DISCS: Final = 60
_FEWEST_DISCS: Final = 5
# Along a line between two discs: samples, and how sharp hues are told apart (18 degrees off counts a third).
_SAMPLES: Final = 12
_SHARPNESS: Final = 25.0
_BINS: Final = 90
# Chroma below this is no edge.
_LEAST_CHROMA: Final = 28.0
_MOST_BLACK: Final = 0.3
# A line must show its hue over more than this share; what a step that discs cover is worth, less its length.
_LEAST_SHARE: Final = 0.45
_COVERED: Final = 0.06
_COVERED_STEP: Final = 0.008
# What a hand must be worth in whole edges.
_LEAST_HAND: Final = 1.5
_TAKEN: Final = 0.6
_RETRIES: Final = 8


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
        worth[:, used] -= _TAKEN
        worth[:, :, used] -= _TAKEN
    return hands


def _discs(picture: Image) -> NDArray[np.int64]:
    """Middles [n, 2] of red discs: the fullest first, each with pixels of its own."""
    red, green, blue = cv2.split(picture)
    pure = cv2.subtract(red, cv2.max(green, blue))
    left, top, width, height = cv2.boundingRect((pure > _LEAST_PURE).view(np.uint8))
    if not width:
        return np.zeros((0, 2), np.int64)
    rim = HAND_RADIUS + 1
    pure = cv2.copyMakeBorder(
        pure[top : top + height, left : left + width], rim, rim, rim, rim, cv2.BORDER_CONSTANT
    )
    level = np.clip((pure.astype(np.float32) - _LEAST_PURE) / (_PURE - _LEAST_PURE), 0, 1)
    side = 2 * HAND_RADIUS + 1
    disc = cv2.circle(np.zeros((side, side), np.uint8), (HAND_RADIUS, HAND_RADIUS), HAND_RADIUS, (1,), -1)
    share = cv2.filter2D(level, -1, disc.astype(np.float32) / disc.sum())
    # Between equally full places the middle one counts.
    share += 0.02 * cv2.GaussianBlur(share, (7, 7), 0)
    rows, columns = np.nonzero(
        (share >= _LEAST_RED) & (share >= cv2.dilate(share, np.ones((3, 3), np.uint8)))
    )
    order = np.argsort(-share[rows, columns], kind="stable")
    free = level > 0.5
    found = []
    for x, y in zip(columns[order].tolist(), rows[order].tolist(), strict=True):
        window = free[y - HAND_RADIUS : y + HAND_RADIUS + 1, x - HAND_RADIUS : x + HAND_RADIUS + 1]
        if window.shape == disc.shape and (window & (disc > 0)).sum() >= _LEAST_NEW * disc.sum():
            found.append((x - rim + left, y - rim + top))
            window[disc > 0] = False
        if len(found) == _MOST_DISCS:
            break
    return np.array(found, np.int64).reshape(-1, 2)


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
    alike = _alike(cv2.blur(picture, (3, 3))[line[..., 1], line[..., 0]])
    seen = ((alike - _LEAST_SHARE) * free[..., None]).sum(axis=1) / (_SAMPLES * (1 - _LEAST_SHARE))
    hidden = ~free.any(axis=1)
    seen[(free & (alike.max(axis=-1) == 0)).mean(axis=1) > _MOST_BLACK] = -np.inf
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
    for point, disc in hand.items():
        points[point] = discs[disc]
    value = sum(float(worth[edge, hand[a], hand[b]]) for edge, (a, b) in enumerate(HAND_EDGES) if b in hand)
    return Hand(points, value), list(hand.values())


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
        body: joint -> place in the same pixels.
    """
    points = np.full((2, 21, 2), -1.0)
    wrists = [body.get(7), body.get(4)]
    gaps = [
        [math.inf if wrist is None else math.dist(wrist, hand.points[0]) for wrist in wrists]
        for hand in hands
    ]
    if len(hands) == 1 and min(gaps[0]) < math.inf:
        points[int(gaps[0][1] < gaps[0][0])] = hands[0].points
    if len(hands) == 2:
        straight, crossed = gaps[0][0] + gaps[1][1], gaps[0][1] + gaps[1][0]
        if min(straight, crossed) < math.inf:
            points[:] = [hand.points for hand in (hands if straight <= crossed else hands[::-1])]
    return points
