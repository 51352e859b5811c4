"""Twenty-one points of a hand, looked for where the arm ends.

Source: MediaPipe 0.10.21, modules/hand_landmark and modules/holistic_landmark (the graphs' numbers).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from core.pose.extract.crops import Levels, Square, upright
from core.pose.extract.litert import Network
from core.pose.skeleton import Floats

_SIDE: Final = 224
MIN_PRESENT: Final = 0.5
# The palm: wrist and the fingers' roots.
_PALM: Final = (0, 1, 2, 5, 9, 13, 17)


# A hand's root this far from its wrist, in lengths of the hand, belongs to another arm; two hands' roots this
# near to each other are one hand.
_FAR: Final = 0.75
_ONE: Final = 0.35
# In lengths of the forearm: how far beyond the wrist the hand's middle is, and the side of a square about it.
_BEYOND: Final = 0.3
_SIDE_OF_FOREARM: Final = 1.1
_WIDER: Final = 1.4


@dataclass(frozen=True)
class Hand:
    """points [21, 2] in pixels, wrist first, then thumb to little finger; present 0..1; right 0..1."""

    points: Floats
    present: float
    right: float

    @property
    def length(self) -> float:
        """From the wrist to the middle finger's root and as far again, in pixels."""
        return 2 * float(np.hypot(*(self.points[9] - self.points[0])))


@dataclass(frozen=True)
class Arm:
    """Where an arm ends: elbow, wrist, roots of the index and of the little finger, [2] each, pixels."""

    elbow: Floats
    wrist: Floats
    index: Floats
    little: Floats


class HandFinder:
    """Finds the points of the hand in a square."""

    def __init__(self, path: Path, threads: int) -> None:
        self._network = Network(path, _SIDE, (63, 1, 1), threads)

    def find(self, picture: Levels, arm: Arm, before: Floats | None = None) -> Hand | None:
        """The hand at the end of an arm, None where none is seen.

        Args:
            picture: where to look.
            arm: where it ends.
            before: the hand's points [21, 2] one frame earlier, in pixels, if it was there.
        """
        if before is not None:
            hand = self._look(picture, _square_of(before))
            if _belongs(hand, arm.wrist):
                return hand
        for square in _squares(arm):
            hand = self._look(picture, square)
            if _belongs(hand, arm.wrist):
                # The arm's idea of the hand is rough; the hand's own is not.
                again = self._look(picture, _square_of(hand.points))
                return again if _belongs(again, arm.wrist) else hand
        return None

    def _look(self, picture: Levels, square: Square) -> Hand:
        raw, present, right = self._network.run(picture.cut(square, _SIDE), 0.0, 1.0)
        points = square.to_picture(raw.reshape(21, 3)[:, :2] / _SIDE)
        return Hand(points, float(present[0]), float(right[0]))


def tell_apart(hands: dict[str, Hand], wrists: dict[str, Floats]) -> dict[str, Hand]:
    """Where arms cross, both may find the same hand: it goes to the arm whose wrist is nearer.

    Args:
        hands: "left" and "right" as far as found.
        wrists: [2] in pixels of the same.
    """
    if len(hands) < 2:
        return hands
    left, right = hands["left"], hands["right"]
    if _away(left, right.points[0]) >= _ONE * max(left.length, right.length):
        return hands
    nearer = "left" if _away(left, wrists["left"]) <= _away(right, wrists["right"]) else "right"
    return {nearer: hands[nearer]}


def _belongs(hand: Hand, wrist: Floats) -> bool:
    return hand.present >= MIN_PRESENT and _away(hand, wrist) <= _FAR * hand.length


def _away(hand: Hand, place: Floats) -> float:
    return float(np.hypot(*(hand.points[0] - place)))


def _squares(arm: Arm) -> Iterator[Square]:
    """Where the hand may be: where the body network has its fingers, then straight on from the forearm."""
    centre = (2 * arm.index + arm.little) / 3
    side = 2 * float(np.hypot(*(centre - arm.wrist)))
    square = Square(float(centre[0]), float(centre[1]), max(side, 1.0), upright(arm.wrist, centre))
    yield square.moved(0.0, -0.1, 2.7)
    forearm = arm.wrist - arm.elbow
    length = float(np.hypot(*forearm))
    centre = arm.wrist + _BEYOND * forearm
    for angle, share in ((upright(arm.elbow, arm.wrist), _SIDE_OF_FOREARM), (0.0, _WIDER * _SIDE_OF_FOREARM)):
        yield Square(float(centre[0]), float(centre[1]), max(share * length, 1.0), angle)


def _square_of(points: Floats) -> Square:
    """About the palm, in the direction of the fingers, grown to take them in."""
    wrist = points[0]
    middle = (points[9] + (points[5] + points[13]) / 2) / 2
    angle = upright(wrist, middle)
    palm = points[list(_PALM)]
    cos, sin = np.cos(angle), np.sin(angle)
    own = palm @ np.array([[cos, -sin], [sin, cos]])
    low, high = own.min(axis=0), own.max(axis=0)
    x, y = (low + high) / 2 @ np.array([[cos, sin], [-sin, cos]])
    side = max(float((high - low).max()), 1.0)
    return Square(float(x), float(y), side, angle).moved(0.0, -0.1, 2.6)
