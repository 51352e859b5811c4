"""Tiny real inputs for renders: a picture, a motion as keypoints and as videos, a random embedded model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.catalogue.entries import MINI_DIR_VARIABLE
from core.media.audio import SoundClip
from core.media.write import write_video
from core.pose.draw import draw
from core.pose.files import save_sidecar
from core.pose.skeleton import PoseTrack, threshold
from core.types import FPS

if TYPE_CHECKING:
    from tests.fakes.tiny_models import TinyModels

FRAMES = 9
RATE = 16_000
# x and y of the 18 body joints of a standing figure, as fractions.
FIGURE = (
    (0.50, 0.20), (0.50, 0.30), (0.42, 0.31), (0.38, 0.42), (0.36, 0.52), (0.58, 0.31),
    (0.62, 0.42), (0.64, 0.52), (0.45, 0.55), (0.45, 0.72), (0.45, 0.90), (0.55, 0.55),
    (0.55, 0.72), (0.55, 0.90), (0.48, 0.18), (0.52, 0.18), (0.46, 0.19), (0.54, 0.19),
)  # fmt: skip


def waving(frames: int = FRAMES) -> PoseTrack:
    """One person who moves the left arm."""
    points = np.zeros((frames, 1, 134, 2))
    scores = np.zeros((frames, 1, 134))
    points[:, 0, :18], scores[:, 0, :18] = FIGURE, 1.0
    for index in range(frames):
        angle = 2 * math.pi * index / 16
        points[index, 0, 7] = (0.62 + 0.1 * math.cos(angle), 0.42 - 0.1 * math.sin(angle))
    return PoseTrack(points, scores, 256, 256, float(FPS))


def drawings(track: PoseTrack, side: int = 256) -> list[NDArray[np.uint8]]:
    """The skeletons of a track."""
    return [
        draw(threshold(points, scores), side, side)
        for points, scores in zip(track.keypoints, track.scores, strict=True)
    ]


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """A picture of 96x96."""
    rng = np.random.default_rng(5)
    path = tmp_path / "in" / "reference.png"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(rng.integers(0, 255, (96, 96, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def motion(tmp_path: Path) -> Path:
    """Keypoints of nine frames."""
    path = tmp_path / "in" / "wave.pose.json"
    path.parent.mkdir(exist_ok=True)
    save_sidecar(waving(), path)
    return path


@pytest.fixture
def long_motion(tmp_path: Path) -> Path:
    """Keypoints of forty frames."""
    path = tmp_path / "in" / "long.pose.json"
    path.parent.mkdir(exist_ok=True)
    save_sidecar(waving(40), path)
    return path


@pytest.fixture
def skeleton_video(tmp_path: Path) -> Path:
    """The same as a skeleton video with half a second of sound."""
    path = tmp_path / "in" / "skeleton.mp4"
    path.parent.mkdir(exist_ok=True)
    tone = np.sin(np.arange(RATE // 2) * 0.2)[None].astype(np.float32)
    write_video(path, iter(drawings(waving())), FPS, SoundClip(tone, RATE))
    return path


@pytest.fixture(scope="session")
def tiny_mini_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random embedded model of 64x64 pixels and 5 frames."""
    from core.engine.models.mini import write_random_mini

    folder = tmp_path_factory.mktemp("mini")
    write_random_mini(folder, seed=3)
    return folder


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    """Every published layout of the 14B model at toy width, with a catalogue."""
    from tests.fakes.tiny_models import write_tiny_models

    return write_tiny_models(tmp_path_factory.mktemp("tiny-models"))


@pytest.fixture
def tiny_mini(tiny_mini_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The random model in place of the shipped one, also for processes that the test starts."""
    monkeypatch.setenv(MINI_DIR_VARIABLE, str(tiny_mini_folder))
    return tiny_mini_folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty folder for results."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder
