"""Options about the pose: what they become in a request, and how mistakes are told."""

from __future__ import annotations

import pytest

from core.cli import commands
from core.cli.arguments import parse
from core.cli.main import main
from core.errors import Cancelled
from core.types import MediaInput, PoseEdit, PoseSettings, RenderRequest

RENDER = ["render", "--reference", "a.png", "--motion", "b.mp4", "-o", "c.mp4"]


def request(monkeypatch: pytest.MonkeyPatch, *more: str) -> RenderRequest:
    """The request that a render is started with."""
    asked: list[RenderRequest] = []

    def keep(wanted: RenderRequest) -> None:
        asked.append(wanted)
        raise Cancelled

    monkeypatch.setattr(commands, "render_request", keep)
    assert main([*RENDER, *more]) == 130
    return asked[0]


def test_without_options_a_request_has_the_default_pose(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = request(monkeypatch)
    assert plain.pose == PoseSettings()
    assert plain.pose_edits == ()
    assert plain.reference_keypoints is None


def test_every_option_reaches_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--align", "on", "--align-frame", "1.25", "--smoothing", "0", "--no-bridge", "--person", "2"]
    options += ["--pose-engine", "offline", "--reference-keypoints", "a.npz"]
    options += ["--pose-edit", "offset:x=0.1,y=-0.02", "--pose-edit", "mirror"]
    asked = request(monkeypatch, *options)
    assert asked.pose == PoseSettings("offline", "on", 1.25, 0.0, False, 2)
    assert asked.pose_edits == (PoseEdit("offset", {"x": 0.1, "y": -0.02}), PoseEdit("mirror"))
    assert asked.reference_keypoints == MediaInput("a.npz")


def test_auto_leaves_the_align_frame_to_the_poses(monkeypatch: pytest.MonkeyPatch) -> None:
    assert request(monkeypatch, "--align-frame", "auto").pose.align_frame_s is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--align-frame", "first"], "--align-frame first"),
        (["--align-frame", "nan"], "--align-frame nan"),
        (["--align-frame", "-1"], "--align-frame -1"),
        (["--smoothing", "1.5"], "smoothing"),
        (["--smoothing", "nan"], "smoothing"),
        (["--person", "-1"], "person"),
        (["--pose-edit", "wobble"], "wobble"),
        (["--pose-engine", "mmpose"], "mmpose"),
        (["--align", "yes"], "yes"),
        (["--start", "nan"], "--start nan"),
        (["--end", "inf"], "--end inf"),
    ],
)
def test_mistakes_are_told_before_any_work(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*RENDER, *options]) == 2
    assert words in capsys.readouterr().err


def test_options_may_not_be_shortened() -> None:
    with pytest.raises(Exception, match="--smooth"):
        parse([*RENDER, "--smooth", "0"])
