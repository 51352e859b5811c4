"""Where people are: YOLOX's input and output, and the box about somebody whose joints are known.

Source: YOLOX's ONNX demo (Megvii-BaseDetection/YOLOX, demo/ONNXRuntime); thresholds are SteadyDancer's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.pose.extract.engine import Found, Image
from core.pose.skeleton import SCORE_THRESHOLD, Floats

Arrays = NDArray[np.float32]
Box = tuple[float, float, float, float]
SIDE: Final = 640
STRIDES: Final = (8, 16, 32)
CELLS: Final = sum((SIDE // stride) ** 2 for stride in STRIDES)
# x, y, width, height, whether there is anything, and 80 classes of which the first is a person.
NUMBERS: Final = 85
PAD: Final = 114
_ANYTHING: Final = 4
_PERSON: Final = 5
SURE: Final = 0.5
# Enough for somebody who was there a moment ago.
AGAIN: Final = 0.2
SAME_BOX: Final = 0.7
SAME_PLACE: Final = 0.3
# Joints end at the wrists and the eyebrows, a person does not.
_ROOM_ABOUT_JOINTS: Final = 1.25
_FEWEST_JOINTS: Final = 3


@dataclass(frozen=True)
class Seen:
    """A person's box in pixels, and the detector's score."""

    box: Box
    score: float


def letterbox(picture: Image) -> tuple[Arrays, float]:
    """The detector's input and by how much the picture was scaled.

    Blue comes first, 0 to 255, as YOLOX was trained; upstream's preparation swaps the channels by mistake
    (see ``simcc``). The picture lies in the upper left corner, the rest is grey.

    Args:
        picture: uint8 RGB [H, W, 3].

    Returns:
        float32 [1, 3, 640, 640] and the scale.
    """
    height, width = picture.shape[:2]
    scale = min(SIDE / height, SIDE / width)
    size = max(int(width * scale), 1), max(int(height * scale), 1)
    canvas = np.full((SIDE, SIDE, 3), PAD, np.uint8)
    canvas[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1)[None], np.float32), scale


def people_in(output: Arrays, scale: float, threshold: float = SURE) -> list[Seen]:
    """The people, the surest first; of boxes that share more than 0.7 only the surest stays.

    Args:
        output: [8400, 85]; places are counted in cells from each cell, sizes are logarithms of cells.
        scale: as ``letterbox`` gave it.
        threshold: lowest score.
    """
    scores = output[:, _ANYTHING] * output[:, _PERSON]
    chosen = np.flatnonzero(scores > threshold)
    corners, strides = _cells()
    with np.errstate(over="ignore", invalid="ignore"):
        centres = (output[chosen, :2] + corners[chosen]) * strides[chosen]
        halves = np.exp(output[chosen, 2:_ANYTHING]) * strides[chosen] / 2
        boxes = np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float64) / scale
    found: list[Seen] = []
    for index in np.argsort(-scores[chosen], kind="stable"):
        left, top, right, bottom = boxes[index].tolist()
        box = (left, top, right, bottom)
        if np.isfinite(box).all() and all(overlap(box, other.box) <= SAME_BOX for other in found):
            found.append(Seen(box, min(float(scores[chosen[index]]), 1.0)))
    return found


def with_those_before(seen: Sequence[Seen], before: Sequence[Box]) -> list[Seen]:
    """Those seen surely, and the less sure ones in whose place somebody was before.

    Upstream loses a person whenever one frame falls below the threshold, and the skeleton with it.

    Args:
        seen: down to the score ``AGAIN``, the surest first.
        before: boxes of the frame before, in pixels.
    """
    sure = [one for one in seen if one.score > SURE]
    missing = [box for box in before if all(overlap(box, one.box) <= SAME_PLACE for one in sure)]
    again = []
    for one in seen[len(sure) :]:
        near = next((box for box in missing if overlap(box, one.box) > SAME_PLACE), None)
        if near is not None:
            missing.remove(near)
            again.append(one)
    return [*sure, *again]


def box_about(person: Found, width: int, height: int) -> Box:
    """A person's box in pixels: about the joints with some room, or the old box where few are seen."""
    points: Floats = person.keypoints[person.scores > SCORE_THRESHOLD]
    left, top, right, bottom = person.box
    if len(points) >= _FEWEST_JOINTS:
        low, high = points.min(axis=0), points.max(axis=0)
        middle, half = (low + high) / 2, (high - low) / 2 * _ROOM_ABOUT_JOINTS
        (left, top), (right, bottom) = (middle - half).tolist(), (middle + half).tolist()
    return left * width, top * height, right * width, bottom * height


def overlap(first: Box, second: Box) -> float:
    """Shared area over the area of both together, 0..1."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (_area(first) + _area(second) - shared)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _cells() -> tuple[Arrays, Arrays]:
    """Column and row [8400, 2] and stride [8400, 1] of each cell, stride by stride, row by row."""
    corners, strides = [], []
    for stride in STRIDES:
        count = SIDE // stride
        rows, columns = np.divmod(np.arange(count * count), count)
        corners.append(np.stack([columns, rows], axis=1))
        strides.append(np.full((count * count, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)
