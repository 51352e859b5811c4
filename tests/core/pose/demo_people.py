"""Pictures and clips of the demo characters, whose joints are known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.cache import Cache
from core.catalogue.pose_models import offline_models
from core.media.write import write_video
from core.pose.extract.models import open_engine
from core.pose.extract.offline import OfflineEngine
from core.pose.files import load_keypoints
from core.pose.skeleton import Floats
from core.settings import resources

Picture = NDArray[np.uint8]
CHARACTERS = resources() / "demo" / "characters"
SIDE = 288


@cache
def engine() -> OfflineEngine:
    """The shipped engine, opened once for all tests of a process."""
    opened = open_engine(offline_models())
    assert isinstance(opened, OfflineEngine)
    return opened


class Kept(Cache):
    """What was found, for as long as the process runs."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self._kept.get(key)

    def put(self, key: str, data: bytes) -> None:
        self._kept[key] = data


@cache
def kept() -> Cache:
    """Shared by tests that look at the same pictures and test something else."""
    return Kept()


@cache
def character(name: str, side: int = SIDE) -> Picture:
    """uint8 RGB [side, side, 3]."""
    picture = cv2.imread(str(CHARACTERS / f"{name}.png"))
    return cv2.cvtColor(cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC), cv2.COLOR_BGR2RGB)


@cache
def joints(name: str) -> tuple[Floats, Floats]:
    """Body joints [18, 2] as fractions, and scores [18]."""
    track = load_keypoints(CHARACTERS / f"{name}.pose.json")
    return track.keypoints[0, 0, :18], track.scores[0, 0, :18]


def moved(picture: Picture, right: float, down: float, scale: float = 1.0) -> Picture:
    """Scaled about the middle and moved by fractions of the picture; the edges are repeated."""
    height, width = picture.shape[:2]
    matrix = np.array(
        [
            [scale, 0.0, (0.5 - 0.5 * scale + right) * width],
            [0.0, scale, (0.5 - 0.5 * scale + down) * height],
        ]
    )
    return cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


def clip(path: Path, pictures: Sequence[Picture], fps: float = 16.0) -> Path:
    """Write pictures as a filmed clip."""
    write_video(path, list(pictures), fps)
    return path
