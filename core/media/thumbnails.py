"""Small pictures for lists: a still, and the middle frame of a clip."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.media.images import load_reference
from core.media.probe import probe_video
from core.media.read import read_frames

SIDE: Final = 256


def still(path: Path, side: int = SIDE) -> NDArray[np.uint8]:
    """A picture with its longer side at most ``side`` pixels, uint8 RGB; ``BadImage`` as loading."""
    return shrink(load_reference(path, at_least=2 * side), side)


def middle_frame(path: Path, side: int = SIDE) -> NDArray[np.uint8]:
    """The frame halfway through a clip, uint8 RGB [h, w, 3]; ``BadVideo`` as reading."""
    middle_s = probe_video(path).duration_s / 2
    return shrink(next(read_frames(path, start_s=middle_s, limit=1)), side)


def shrink(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Scale down by area to at most ``side`` pixels on the longer side; never up."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small: NDArray[np.uint8] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return small
