"""BlazePose: where people are, and 33 points on each.

Points: 0 nose, 1-3 left eye, 4-6 right eye, 7/8 ears, 11/12 shoulders, 13/14 elbows, 15/16 wrists, 17-22
hands, 23/24 hips, 25/26 knees, 27/28 ankles, 29/30 heels, 31/32 toes (left before right), then two that say
where to look in the next picture.

Source: MediaPipe 0.10.21, modules/pose_detection and modules/pose_landmark (the graphs' numbers).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from core.pose.extract.crops import Levels, Square, upright
from core.pose.extract.engine import Image
from core.pose.extract.litert import Network
from core.pose.skeleton import Floats

_DETECTOR_SIDE: Final = 224
_BODY_SIDE: Final = 256
# Cells a side of the detector's grids, and anchors in each cell; all anchors have size 1.
_GRIDS: Final = ((28, 2), (14, 2), (7, 6))
MIN_SCORE: Final = 0.5
_OVERLAP: Final = 0.3
# The square about a person is this much larger than the circle about hips and the farthest point.
_MARGIN: Final = 1.25
_POINTS: Final = 39
_HEATMAP: Final = 64
# A point moves to the centre of gravity of its heatmap's 7x7 window where that is this sure.
_WINDOW: Final = 3
_MIN_HEAT: Final = 0.5
# The points of the mirrored person: left and right exchanged.
_MIRRORED: Final = [
    0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15, 18, 17, 20, 19, 22, 21,
    24, 23, 26, 25, 28, 27, 30, 29, 32, 31, 33, 34, 35, 36, 37, 38,
]  # fmt: skip
# Beside the whole picture, squares of its shorter side are searched along the longer one, or four of this
# share of it where it is nearly square: people farther away are too small in the whole.
_NEARLY_SQUARE: Final = 1.25
_TILE: Final = 0.65


@dataclass(frozen=True)
class Detection:
    """Somebody in a picture: the square to look at, and how sure."""

    square: Square
    score: float


@dataclass(frozen=True)
class Landmarks:
    """Points of one person.

    Attributes:
        points: [33, 2] pixels of the picture.
        scores: [33], seen and inside of the picture.
        present: whether there is a person at all, 0..1.
        square: where to look in the next picture.
    """

    points: Floats
    scores: Floats
    present: float
    square: Square


class Detector:
    """Finds people by their faces and shoulders."""

    def __init__(self, path: Path, threads: int) -> None:
        self._anchors = _anchors()
        count = len(self._anchors)
        self._network = Network(path, _DETECTOR_SIDE, (count * 12, count), threads)

    def find(self, picture: Levels) -> list[Detection]:
        """The people of a picture, the surest first."""
        found: list[tuple[Floats, float]] = []
        for square in _tiles(picture.width, picture.height):
            found.extend((square.to_picture(places), score) for places, score in self._look(picture, square))
        kept: list[tuple[Floats, float]] = []
        for places, score in sorted(found, key=lambda one: -one[1]):
            if all(_iou(places, other) <= _OVERLAP for other, _ in kept):
                kept.append((places, score))
        return [Detection(_about(places[2], places[3]), score) for places, score in kept]

    def _look(self, picture: Levels, square: Square) -> list[tuple[Floats, float]]:
        """Places [4, 2] in fractions of the square (two corners of the head, hips, rim) and scores."""
        raw, logits = self._network.run(picture.cut(square, _DETECTOR_SIDE), -1.0, 1.0)
        scores = _sigmoid(logits[:, 0])
        likely = np.flatnonzero(scores >= MIN_SCORE)
        # Centre and size of the box, then four points, of which two are used.
        values = raw[likely].reshape(-1, 6, 2)[:, :4] / _DETECTOR_SIDE
        anchors, half = self._anchors[likely], values[:, 1] / 2
        centre = values[:, 0] + anchors
        places = np.stack(
            [centre - half, centre + half, values[:, 2] + anchors, values[:, 3] + anchors], axis=1
        )
        return _merged(places, scores[likely])


class Body:
    """Finds the points of the person in a square."""

    def __init__(self, path: Path, threads: int) -> None:
        sizes = (_POINTS * 5, 1, _BODY_SIDE**2, _HEATMAP**2 * _POINTS)
        self._network = Network(path, _BODY_SIDE, sizes, threads)

    def find(self, picture: Levels, square: Square) -> Landmarks:
        """The points of the person that ``square`` is about: the mean of the picture's and its mirror's."""
        piece = picture.cut(square, _BODY_SIDE)
        places, logits, present = self._points(piece)
        mirrored, mirrored_logits, mirrored_present = self._points(np.ascontiguousarray(piece[:, ::-1]))
        mirrored = (mirrored * [-1.0, 1.0] + [1.0, 0.0])[_MIRRORED]
        points = square.to_picture((places + mirrored) / 2)
        scores = _sigmoid((logits + mirrored_logits[_MIRRORED]) / 2).min(axis=1)
        inside = ((points >= 0) & (points <= [picture.width, picture.height])).all(axis=1)
        sure = (present + mirrored_present) / 2
        return Landmarks(points[:33], (scores * inside)[:33], sure, _about(points[33], points[34]))

    def _points(self, piece: Image) -> tuple[Floats, Floats, float]:
        """Places [39, 2] in fractions, logits of being seen and of being in the picture [39, 2], presence."""
        raw, present, _, heat = self._network.run(piece, 0.0, 1.0)
        values = raw.reshape(_POINTS, 5)
        return _refined(values[:, :2] / _BODY_SIDE, heat), values[:, 3:5], float(present[0])


def _about(centre: Floats, rim: Floats) -> Square:
    side = 2 * float(np.hypot(*(rim - centre))) * _MARGIN
    return Square(float(centre[0]), float(centre[1]), max(side, 1.0), upright(centre, rim))


def _anchors() -> Floats:
    """[n, 2] centres of the anchors, row by row, grid by grid."""
    parts = []
    for cells, each in _GRIDS:
        line = (np.arange(cells) + 0.5) / cells
        x, y = np.meshgrid(line, line)
        parts.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), each, axis=0))
    return np.concatenate(parts)


def _tiles(width: int, height: int) -> list[Square]:
    """The whole picture first."""
    short, long = sorted((width, height))
    tiles = [Square(width / 2, height / 2, long)]
    if long < _NEARLY_SQUARE * short:
        side = _TILE * long
        centres = [(x, y) for x in (side / 2, width - side / 2) for y in (side / 2, height - side / 2)]
        return tiles + [Square(x, y, side) for x, y in centres]
    steps = np.linspace(short / 2, long - short / 2, 2 * round(long / short) - 1).tolist()
    if width > height:
        return tiles + [Square(x, height / 2, short) for x in steps]
    return tiles + [Square(width / 2, y, short) for y in steps]


def _merged(places: Floats, scores: Floats) -> list[tuple[Floats, float]]:
    """One entry a person: the mean, by score, of all boxes that overlap the surest one."""
    left = list(np.argsort(-scores))
    merged = []
    while left:
        group = [i for i in left if i == left[0] or _iou(places[left[0]], places[i]) > _OVERLAP]
        merged.append((np.average(places[group], axis=0, weights=scores[group]), float(scores[left[0]])))
        left = [i for i in left if i not in group]
    return merged


def _iou(one: Floats, other: Floats) -> float:
    low, high = np.maximum(one[0], other[0]), np.minimum(one[1], other[1])
    common = float(np.prod(np.maximum(high - low, 0)))
    areas = float(np.prod(one[1] - one[0]) + np.prod(other[1] - other[0]))
    return common / max(areas - common, 1e-12)


def _refined(places: Floats, heat: Floats) -> Floats:
    """Points moved to where their heatmap [64, 64, 39] is warm around them."""
    refined = places.copy()
    for point, (x, y) in enumerate(places * _HEATMAP):
        column, row = int(x), int(y)
        if not (0 <= column < _HEATMAP and 0 <= row < _HEATMAP):
            continue
        rows = slice(max(0, row - _WINDOW), row + _WINDOW + 1)
        columns = slice(max(0, column - _WINDOW), column + _WINDOW + 1)
        window = _sigmoid(heat[rows, columns, point])
        if window.max() < _MIN_HEAT:
            continue
        ys = np.arange(rows.start, rows.start + window.shape[0])
        xs = np.arange(columns.start, columns.start + window.shape[1])
        warm = np.array([window.sum(axis=0) @ xs, window.sum(axis=1) @ ys])
        refined[point] = warm / window.sum() / _HEATMAP
    return refined


def _sigmoid(values: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-np.clip(values, -100.0, 100.0)))
