"""Small real inputs, and a window whose engine process has no model in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.catalogue.entries import MINI_DIR_VARIABLE
from core.pose.files import save_sidecar
from core.pose.skeleton import PoseTrack


@pytest.fixture(autouse=True)
def small_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts of an embedded model of 64 x 64 pixels; no weights, since the engine here has none."""
    folder = tmp_path / "mini"
    folder.mkdir()
    (folder / "config.json").write_text('{"native_area": 4096, "native_frames": 33}')
    monkeypatch.setenv(MINI_DIR_VARIABLE, str(folder))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A reference of 64 x 64 pixels."""
    path = tmp_path / "a_girl.png"
    Image.fromarray(np.full((64, 64, 3), (200, 120, 40), np.uint8)).save(path)
    return path


@pytest.fixture
def motion(tmp_path: Path) -> Path:
    """Nine frames of a person who stands in a line."""
    keypoints = np.zeros((9, 1, 134, 2))
    keypoints[..., :18, 0] = 0.5
    keypoints[..., :18, 1] = np.linspace(0.1, 0.9, 18)
    scores = np.zeros((9, 1, 134))
    scores[..., :18] = 1.0
    path = tmp_path / "a_step.pose.json"
    save_sidecar(PoseTrack(keypoints, scores, 64, 64, 16.0), path)
    return path
