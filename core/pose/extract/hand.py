"""Twenty-one points of a hand, looked for where the arm ends.

Source: MediaPipe 0.10.21, modules/hand_landmark and modules/holistic_landmark (the graphs' numbers).
"""

from __future__ import annotations

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


class HandFinder:
    """Finds the points of the hand in a square."""

    def __init__(self, path: Path, threads: int) -> None:
        self._network = Network(path, _SIDE, (63, 1, 1), threads)

    def find(self, picture: Levels, wrist: Floats, index: Floats, little: Floats) -> Hand:
        """The hand whose wrist and roots of index and little finger are about there (pixels, [2])."""
        hand = self._look(picture, _first_square(wrist, index, little))
        if hand.present < MIN_PRESENT:
            return hand
        # The arm's idea of the hand is rough; the hand's own is not.
        again = self._look(picture, _square_of(hand.points))
        return again if again.present >= MIN_PRESENT else hand

    def _look(self, picture: Levels, square: Square) -> Hand:
        raw, present, right = self._network.run(picture.cut(square, _SIDE), 0.0, 1.0)
        points = square.to_picture(raw.reshape(21, 3)[:, :2] / _SIDE)
        return Hand(points, float(present[0]), float(right[0]))


def tell_apart(hands: dict[str, Hand], wrists: dict[str, Floats]) -> dict[str, Hand]:
    """The hands that are hands of their own arm.

    Where arms cross, both look at the same hand: it goes to the arm whose wrist is nearer.

    Args:
        hands: "left" and "right" as far as found.
        wrists: [2] in pixels of the same.
    """
    kept = {
        side: hand
        for side, hand in hands.items()
        if hand.present >= MIN_PRESENT and _away(hand, wrists[side]) <= _FAR * hand.length
    }
    if len(kept) == 2:
        left, right = kept["left"], kept["right"]
        if _away(left, right.points[0]) < _ONE * max(left.length, right.length):
            del kept["left" if _away(left, wrists["left"]) > _away(right, wrists["right"]) else "right"]
    return kept


def _away(hand: Hand, place: Floats) -> float:
    return float(np.hypot(*(hand.points[0] - place)))


def _first_square(wrist: Floats, index: Floats, little: Floats) -> Square:
    centre = (2 * index + little) / 3
    side = 2 * float(np.hypot(*(centre - wrist)))
    square = Square(float(centre[0]), float(centre[1]), max(side, 1.0), upright(wrist, centre))
    return square.moved(0.0, -0.1, 2.7)


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
