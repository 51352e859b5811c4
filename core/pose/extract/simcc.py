"""DWPose's 384x288 network around one person: cutting the picture out, and reading its two rows of bins.

SimCC gives for every point a row of bins along x and one along y, two bins a pixel; the place is where each
row is highest. Source: mmpose's codec ``SimCCLabel``, DWPose's ONNX demo (IDEA-Research/DWPose).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.pose.extract.engine import Image
from core.pose.skeleton import COCO_JOINTS, Floats

Arrays = NDArray[np.float32]
Box = tuple[float, float, float, float]
WIDTH: Final = 288
HEIGHT: Final = 384
BINS_PER_PIXEL: Final = 2
POINTS: Final = COCO_JOINTS
# The network was trained with this much room about a person's box.
PADDING: Final = 1.25
# It was trained on red, green, blue. SteadyDancer's preparation hands it blue, green, red by mistake
# (spec 6.1). We give it what it knows, on purpose; the goldens start after the networks.
_MEAN: Final = np.array([123.675, 116.28, 103.53], np.float32)
_STD: Final = np.array([58.395, 57.12, 57.375], np.float32)


@dataclass(frozen=True)
class Region:
    """The part of a picture that the network sees, in pixels; its sides are as 3 to 4."""

    centre_x: float
    centre_y: float
    width: float
    height: float


def region(box: Box) -> Region:
    """The region about a person.

    Args:
        box: left, top, right, bottom in pixels.
    """
    left, top, right, bottom = box
    width, height = max(right - left, 1.0) * PADDING, max(bottom - top, 1.0) * PADDING
    width, height = max(width, height * WIDTH / HEIGHT), max(height, width * HEIGHT / WIDTH)
    return Region((left + right) / 2, (top + bottom) / 2, width, height)


def cut_out(picture: Image, place: Region) -> Arrays:
    """What the network is given: float32 [3, 384, 288], red first, normalised; black beyond the picture."""
    scale = WIDTH / place.width
    warp = np.array(
        [
            [scale, 0, WIDTH / 2 - scale * place.centre_x],
            [0, scale, HEIGHT / 2 - scale * place.centre_y],
        ]
    )
    cut = cv2.warpAffine(picture, warp, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    normalised = (cut.astype(np.float32) - _MEAN) / _STD
    return np.ascontiguousarray(normalised.transpose(2, 0, 1))


def read_bins(bins_x: Arrays, bins_y: Arrays, places: Sequence[Region]) -> tuple[Floats, Floats]:
    """Where the points are.

    Args:
        bins_x: [n, 133, 576].
        bins_y: [n, 133, 768].
        places: the n regions that the rows belong to.

    Returns:
        Points [n, 133, 2] in pixels of the picture and scores [n, 133] in 0..1, both 0 where nothing was
        found. The score is the lower one of the two maxima, as in mmpose; training does not keep it below 1,
        so it is cut there.
    """
    bins_x, bins_y = np.nan_to_num(bins_x, posinf=0.0), np.nan_to_num(bins_y, posinf=0.0)
    scores = np.clip(np.minimum(bins_x.max(axis=2), bins_y.max(axis=2)), 0.0, 1.0).astype(np.float64)
    pixels = np.stack([bins_x.argmax(axis=2), bins_y.argmax(axis=2)], axis=2) / BINS_PER_PIXEL
    centres = np.array([(place.centre_x, place.centre_y) for place in places])
    sizes = np.array([(place.width, place.height) for place in places])
    points = (pixels / (WIDTH, HEIGHT) - 0.5) * sizes[:, None] + centres[:, None]
    points[scores <= 0] = 0.0
    return points, scores
