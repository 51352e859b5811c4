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


@dataclass(frozen=True)
class Hand:
    """points [21, 2] in pixels, wrist first, then thumb to little finger; present 0..1; right 0..1."""

    points: Floats
    present: float
    right: float


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
