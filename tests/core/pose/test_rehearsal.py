"""What a request for poses gets wrong is told before any picture is looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import BadSetting
from core.media.write import write_video
from core.pose.extract.engine import PoseEngine
from core.pose.files import save_sidecar
from core.pose.finder import PoseFinder, untold
from core.pose.motion import Fitting, find_person, inspect_motion
from core.types import PoseEdit, PoseSettings, Trim
from tests.core.pose.figures import track

RANGE = Trim(0.5, 1.0)


def never() -> PoseEngine:
    raise AssertionError("people were looked for")


def fitting(settings: PoseSettings, *edits: PoseEdit) -> Fitting:
    picture = np.zeros((64, 64, 3), np.uint8)
    return Fitting(PoseFinder(never), Path("me.png"), picture, settings=settings, edits=edits)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two seconds of grey."""
    path = tmp_path / "grey.mp4"
    write_video(path, iter([np.full((64, 64, 3), 128, np.uint8)] * 20), 10.0)
    return path


@pytest.fixture
def moves(tmp_path: Path) -> Path:
    path = tmp_path / "moves.json"
    save_sidecar(track(32), path)
    return path


@pytest.mark.parametrize("time_s", [0.2, 1.4, 99.0])
def test_an_align_frame_out_of_the_range_of_a_clip(clip: Path, time_s: float) -> None:
    wrong = fitting(PoseSettings(align_frame_s=time_s))
    with pytest.raises(BadSetting, match="align frame"):
        inspect_motion(clip, trim=RANGE, fitting=wrong)
    with pytest.raises(BadSetting, match="align frame"):
        find_person(clip, None, "auto", RANGE, wrong, lambda: None, untold)


@pytest.mark.parametrize("time_s", [0.5, 0.75, 0.99])
def test_one_within_the_range_is_not_refused(clip: Path, time_s: float) -> None:
    with pytest.raises(AssertionError, match="people were looked for"):
        inspect_motion(clip, trim=RANGE, fitting=fitting(PoseSettings(align_frame_s=time_s)))


def test_a_range_cut_by_its_number_of_frames(clip: Path) -> None:
    with pytest.raises(BadSetting, match="align frame"):
        inspect_motion(clip, frames=5, fitting=fitting(PoseSettings(align_frame_s=1.5)))


def test_an_align_frame_that_is_not_used_may_be_anywhere(clip: Path) -> None:
    with pytest.raises(AssertionError, match="people were looked for"):
        inspect_motion(clip, fitting=fitting(PoseSettings(align="off", align_frame_s=9.0)))


def test_a_frame_to_hold_out_of_the_range(clip: Path, moves: Path) -> None:
    hold = PoseEdit("hold", {"at_s": 5.0, "from_s": 0.0})
    for motion in (clip, moves):
        with pytest.raises(BadSetting, match="to hold"):
            inspect_motion(motion, trim=RANGE, fitting=fitting(PoseSettings(), hold))


def test_keypoint_files_are_as_long_as_they_are(moves: Path) -> None:
    inspect_motion(moves, trim=RANGE, fitting=fitting(PoseSettings(align_frame_s=1.9)))
    with pytest.raises(BadSetting, match="align frame"):
        inspect_motion(moves, trim=RANGE, fitting=fitting(PoseSettings(align_frame_s=2.1)))


def test_a_person_that_a_keypoint_file_does_not_have(moves: Path) -> None:
    inspect_motion(moves, fitting=fitting(PoseSettings(person=0)))
    with pytest.raises(BadSetting, match="no person 1"):
        inspect_motion(moves, fitting=fitting(PoseSettings(person=1)))
