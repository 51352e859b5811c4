"""Tracks as files: what each ending holds, and that nothing half done stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import BadSetting, Cancelled, DiskError
from core.media.probe import probe_video
from core.media.read import read_frames
from core.pose.files import load_keypoints
from core.pose.save import drawing_size, drawings, save_track
from core.pose.skeleton import PoseTrack
from tests.core.pose.figures import track


def test_a_video_shows_the_drawings_at_the_tracks_own_rate(tmp_path: Path) -> None:
    written = track(3, fps=12.5, width=150, height=200)
    save_track(written, tmp_path / "a.mp4")
    info = probe_video(tmp_path / "a.mp4")
    assert (info.width, info.height, info.fps) == (1024, 1366, 12.5)
    shown = list(read_frames(tmp_path / "a.mp4", fps=12.5))
    for picture, drawn in zip(shown, drawings(written, (1366, 1024)), strict=True):
        assert np.abs(picture.astype(int) - drawn).mean() < 0.5


def test_frames_without_a_person_are_black() -> None:
    written = track(2)
    written.scores[0] = 0
    first, second = drawings(written, (200, 150))
    assert not first.any()
    assert second.any()


@pytest.mark.parametrize(
    ("size", "expected"), [((720, 1280), (1820, 1024)), ((1, 16384), (4096, 2)), ((1024, 1024), (1024, 1024))]
)
def test_drawings_have_even_sides_of_a_size_that_players_take(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert drawing_size(track(1, width=size[0], height=size[1])) == expected


def test_negative_drawings_follow_their_seed() -> None:
    one, same, other = (next(drawings(track(1), (200, 150), negative_seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_an_openpose_folder_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = track(3)
    written.scores[1, 0, 92:113] = 0
    crowd = PoseTrack(
        np.concatenate([written.keypoints, written.keypoints + 0.1], axis=1),
        np.concatenate([written.scores, written.scores * 0.5], axis=1),
        300,
        400,
        16.0,
    )
    crowd.scores[2] = 0
    save_track(crowd, tmp_path / "a")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [f"a_{frame:012d}_keypoints.json" for frame in range(3)]
    read = load_keypoints(tmp_path / "a")
    assert (read.width, read.height) == (300, 400)
    assert np.abs(read.scores - crowd.scores).max() < 1e-4
    assert np.abs(read.keypoints - crowd.keypoints)[crowd.scores > 0].max() < 1e-6


def test_other_endings_and_full_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"\.csv"):
        save_track(track(1), tmp_path / "a.csv")
    (tmp_path / "full" / "x").mkdir(parents=True)
    with pytest.raises(BadSetting, match="something in it"):
        save_track(track(1), tmp_path / "full")
    assert not [path for path in tmp_path.iterdir() if path.name != "full"]


@pytest.mark.parametrize("name", ["a.json", "a.npz", "a.mp4", "a"])
def test_a_place_that_cannot_be_written_is_a_disk_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskError):
        save_track(track(1), tmp_path / "file" / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_stopped_video_leaves_nothing(tmp_path: Path) -> None:
    calls = iter(range(2))

    def check() -> None:
        if next(calls, None) is None:
            raise Cancelled

    with pytest.raises(Cancelled):
        save_track(track(9), tmp_path / "a.mp4", check)
    assert not list(tmp_path.iterdir())
