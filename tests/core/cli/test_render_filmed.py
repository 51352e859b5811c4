"""``pirouette render`` of a plain filmed clip: real pose engine, real engine process, a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.cli.main import main
from core.media.metadata import read_settings
from core.media.probe import probe_video
from tests.core.pose.demo_people import CHARACTERS, character, clip, moved

pytestmark = pytest.mark.usefixtures("tiny_mini")
FRAMES = 5


@pytest.fixture
def dance(tmp_path: Path) -> Path:
    """Emre, smaller and to the left, moving right; nothing lies beside the clip."""
    pictures = [moved(character("Emre"), -0.1 + 0.01 * t, 0.05, 0.8) for t in range(FRAMES)]
    folder = tmp_path / "in"
    folder.mkdir()
    return clip(folder / "dance.mp4", pictures)


def test_a_filmed_dance_becomes_a_video_of_the_person_in_the_picture(
    dance: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = ["--reference", str(CHARACTERS / "Ada.png"), "--motion", str(dance), "-o", str(out / "a.mp4")]
    options = ["--device", "cpu", "--steps", "1", "--size", "64x64", "--pose-engine", "offline"]
    assert main(["render", *inputs, *options, "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["frames"] == FRAMES
    assert probe_video(out / "a.mp4").frame_count == FRAMES
    pose = read_settings(out / "a.mp4")["pose"]
    assert pose["score"] > 60
    assert pose["keypoints_seen"] == 1
    # The dancer is filmed at 0.8 of the size that Emre has in his picture.
    assert pose["scale_ratio"] == pytest.approx(1.25, rel=0.15)
    assert {path.name for path in (*out.iterdir(), *dance.parent.iterdir())} == {"a.mp4", "dance.mp4"}


def test_a_filmed_wall_is_refused_before_the_engine_starts(
    dance: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wall = clip(dance.with_name("wall.mp4"), [character("Emre")[:48, :48]] * FRAMES)
    inputs = ["--reference", str(CHARACTERS / "Ada.png"), "--motion", str(wall), "-o", str(out / "a.mp4")]
    assert main(["render", *inputs, "--device", "cpu", "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["type"], "wall.mp4" in error["message"]) == ("BadPose", True)
    assert list(out.iterdir()) == []
