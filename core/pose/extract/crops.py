"""Rotated square pieces of a picture, as the networks take them, and the way back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from core.pose.extract.engine import Image
from core.pose.skeleton import Floats


@dataclass(frozen=True)
class Square:
    """A square in the picture.

    Attributes:
        x: centre in pixels; y too.
        side: pixels.
        angle: radians clockwise on the screen that its own "up" is turned away from the picture's.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    def to_picture(self, points: Floats) -> Floats:
        """[n, 2] in fractions of the square to pixels of the picture."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        turned: Floats = (points - 0.5) * self.side @ np.array([[cos, sin], [-sin, cos]])
        moved: Floats = turned + np.array([self.x, self.y])
        return moved

    def moved(self, right: float, down: float, factor: float) -> Square:
        """Moved along its own axes by shares of its side, then scaled about its centre."""
        x, y = self.to_picture(np.array([[0.5 + right, 0.5 + down]]))[0]
        return Square(float(x), float(y), self.side * factor, self.angle)


def upright(start: Floats, end: Floats) -> float:
    """The angle of a square in which the way from ``start`` to ``end`` [2] points up."""
    dx, dy = end - start
    return math.atan2(float(dx), float(-dy))


class Levels:
    """A picture and its halves, made when first needed: pieces of any size come out without skipped pixels.

    Args:
        picture: uint8 RGB [H, W, 3].
    """

    def __init__(self, picture: Image) -> None:
        self.height, self.width = picture.shape[:2]
        self._levels = [picture]

    def cut(self, square: Square, side: int) -> Image:
        """The square scaled to uint8 [side, side, 3], black beyond the picture."""
        halvings = max(0, round(math.log2(max(square.side / side, 1.0))))
        while len(self._levels) <= halvings:
            self._levels.append(_half(self._levels[-1]))
        return _warped(self._levels[halvings], square, side, 0.5**halvings)


def _half(picture: Image) -> Image:
    size = (max(1, picture.shape[1] // 2), max(1, picture.shape[0] // 2))
    # Odd sides lose their last line, so that a pixel of the half stands for exactly four.
    half: Image = cv2.resize(picture[: 2 * size[1], : 2 * size[0]], size, interpolation=cv2.INTER_AREA)
    return half


def _warped(picture: Image, square: Square, side: int, scale: float) -> Image:
    corners = square.to_picture(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    # OpenCV counts pixel centres, we count edges.
    source = corners * scale - 0.5
    target = np.array([[0.0, 0.0], [side, 0.0], [0.0, side]]) - 0.5
    matrix = cv2.getAffineTransform(target.astype(np.float32), source.astype(np.float32))
    piece: Image = cv2.warpAffine(
        picture,
        matrix,
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
    )
    return piece
