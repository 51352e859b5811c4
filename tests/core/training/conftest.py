"""A small archive with the folder and the number format of the recorded motion."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path

import pytest

from core.training.motion import WHEEL_FOLDER


def frame(angle: float, travel: float) -> list[float]:
    """44 numbers: duration, root position, then quaternions (w x y z) and one angle for knees and elbows."""
    still = [1.0, 0.0, 0.0, 0.0]
    turn = [math.cos(angle / 2), 0.0, math.sin(angle / 2), 0.0]
    ball, hinge = [still] * 3, [angle]
    values = [1 / 30, travel, 0.9, 0.0, *turn, *ball[0], *ball[1]]
    for _ in range(2):
        values += [*still, *hinge, *still, *still, *hinge]
    return values


@pytest.fixture
def motion_archive(tmp_path: Path) -> Path:
    """Two humanoid clips, one of them held out, and a file of another creature."""
    path = tmp_path / "motions.zip"
    clips = {"humanoid3d_walk": 0.5, "humanoid3d_dance_a": 1.0}
    with zipfile.ZipFile(path, "w") as archive:
        for name, speed in clips.items():
            frames = [frame(speed * k / 30, 0.01 * k) for k in range(31)]
            archive.writestr(f"{WHEEL_FOLDER}{name}.txt", json.dumps({"Frames": frames}))
        archive.writestr(f"{WHEEL_FOLDER}laikago_trot.txt", json.dumps({"Frames": [[0.0] * 20] * 3}))
    return path
