"""Small pictures for lists."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.media.images import load_reference

SIDE: Final = 256


def still(path: Path, side: int = SIDE) -> NDArray[np.uint8]:
    """A picture with its longer side at most ``side`` pixels, uint8 RGB; ``BadImage`` as loading."""
    return shrink(load_reference(path, at_least=2 * side), side)


def shrink(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Scale down by area to at most ``side`` pixels on the longer side; never up."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small: NDArray[np.uint8] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return small
