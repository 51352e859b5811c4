"""A cheap engine that really looks: it finds squares of one colour each, and clips of such squares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.pose.extract.engine import Found, Image
from core.pose.skeleton import JOINTS
from tests.core.media.media_samples import make_clip

COLOURS = ((220, 40, 40), (40, 220, 40), (40, 40, 220))
_LEVEL = 130


class BlobEngine:
    """One person for each saturated blob; notes how it was called."""

    version = "blobs/1"

    def __init__(self) -> None:
        self.calls: list[tuple[int, bool]] = []

    def people(self, picture: Image, before: Sequence[Found] = (), look: bool = True) -> list[Found]:
        self.calls.append((len(before), look))
        found = [_person(picture[..., channel] > _LEVEL, channel) for channel in range(3)]
        return [person for person in found if person is not None]


def _person(mask: NDArray[np.bool_], channel: int) -> Found | None:
    if mask.mean() > 0.5 or not mask.any():
        return None
    height, width = mask.shape
    left, top, across, down = cv2.boundingRect(mask.astype(np.uint8))
    box = (left / width, top / height, (left + across) / width, (top + down) / height)
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    points = np.tile(np.array(centre), (JOINTS, 1))
    return Found(points, np.full(JOINTS, 0.9), box, 1 - channel / 10)


def blob_frames(
    count: int, width: int = 64, height: int = 48, people: int = 1, stride: int = 1
) -> list[NDArray[np.uint8]]:
    """Squares that walk to the right by ``stride`` pixels a frame, one below the other."""
    side = height // 6
    frames = []
    for number in range(count):
        frame = np.full((height, width, 3), 20, np.uint8)
        for person in range(people):
            left = (number * stride + 7 * person) % (width - side)
            top = side // 2 + 7 * side // 4 * person
            frame[top : top + side, left : left + side] = COLOURS[person]
        frames.append(frame)
    return frames


def blob_clip(path: Path, count: int, fps: int = 30, **kinds: object) -> Path:
    """The frames of ``blob_frames`` as a clip."""
    return make_clip(path, blob_frames(count), fps=fps, pixel_format="yuv444p", **kinds)


def place(found: Found) -> int:
    """Left edge in pixels of a clip of 64."""
    return round(found.box[0] * 64)
