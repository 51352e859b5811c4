"""Motions of every kind: which frames, how drawn, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from figures import track
from numpy.typing import NDArray

from core.errors import BadPose, BadSetting, BadVideo, Cancelled
from core.media.audio import SoundClip
from core.media.write import write_video
from core.pose.augment import negative, uniforms
from core.pose.draw import black, draw
from core.pose.files import save_sidecar
from core.pose.motion import choose_frames, inspect_motion, load_motion
from core.pose.skeleton import PoseTrack, threshold
from core.types import Trim

CANVAS = (320, 240)


def drawings(
    figures: PoseTrack, size: tuple[int, int] = CANVAS, hands: bool = True
) -> list[NDArray[np.uint8]]:
    return [
        draw(threshold(points, scores), *size, hands=hands)
        for points, scores in zip(figures.keypoints, figures.scores, strict=True)
    ]


def filmed(path: Path, frames: int = 33, sound: bool = False) -> Path:
    noise = np.random.default_rng(0).integers(60, 255, (frames, 48, 64, 3), np.uint8)
    tone = SoundClip(np.full((1, 40000), 0.1, np.float32), 16000) if sound else None
    write_video(path, noise, sound=tone)
    return path


@pytest.fixture
def keypoints(tmp_path: Path) -> Path:
    save_sidecar(track(33), tmp_path / "moves.json")
    return tmp_path / "moves.json"


def test_keypoints_are_drawn_as_drawn(keypoints: Path) -> None:
    motion = load_motion(keypoints, frames=9, canvas_hw=CANVAS)
    assert motion.positive.shape == (9, *CANVAS, 3)
    assert motion.negative is None
    assert (motion.start_s, motion.duration_s, motion.sound) == (0.0, 9 / 16, None)
    same = [
        np.abs(a.astype(int) - b).mean() < 0.1
        for a, b in zip(motion.positive, drawings(track(33)), strict=False)
    ]
    assert all(same)


def test_hands_can_stay_away(keypoints: Path) -> None:
    motion = load_motion(keypoints, frames=5, canvas_hw=CANVAS, hands=False, negative_seed=1)
    bare = drawings(track(33), hands=False)
    assert np.abs(motion.positive[0].astype(int) - bare[0]).mean() < 0.1
    assert motion.negative is not None
    assert motion.negative.shape == motion.positive.shape


def test_negative_equals_the_formula(keypoints: Path) -> None:
    figures = track(33)
    motion = load_motion(keypoints, frames=9, canvas_hw=CANVAS, negative_seed=11)
    rows = uniforms(11, 9)
    assert motion.negative is not None
    for number in range(9):
        pose = threshold(figures.keypoints[number], figures.scores[number])
        expected = draw(negative(pose, rows[number]), *CANVAS)
        assert np.abs(motion.negative[number].astype(int) - expected).mean() < 0.2
    again = load_motion(keypoints, frames=9, canvas_hw=CANVAS, negative_seed=11)
    assert np.array_equal(again.negative, motion.negative)


@pytest.mark.parametrize(("fps", "start_s"), [(30.0, 0.0), (12.5, 0.0), (25.0, 0.6)])
def test_keypoints_are_taken_by_time(tmp_path: Path, fps: float, start_s: float) -> None:
    figures = track(50, fps=fps)
    save_sidecar(figures, tmp_path / "a.json")
    motion = load_motion(tmp_path / "a.json", trim=Trim(start_s, start_s + 0.6), canvas_hw=CANVAS)
    expected = drawings(figures)
    assert motion.start_s == start_s
    assert len(motion.positive) == 9  # 0.6 s are 10 frames, cut to 4n+1
    for k, picture in enumerate(motion.positive):
        index = int((start_s + k / 16) * fps + 1e-3)
        assert np.abs(picture.astype(int) - expected[index]).mean() < 0.1


def test_of_two_people_the_larger_is_drawn_with_both_hands(tmp_path: Path) -> None:
    one, two = track(5, seed=1), track(5, seed=2)
    both = replace(
        one,
        keypoints=np.concatenate([0.4 * two.keypoints, one.keypoints], axis=1),
        scores=np.concatenate([two.scores, one.scores], axis=1),
    )
    save_sidecar(one, tmp_path / "one.json")
    save_sidecar(both, tmp_path / "both.json")
    alone = load_motion(tmp_path / "one.json", canvas_hw=CANVAS)
    assert np.array_equal(load_motion(tmp_path / "both.json", canvas_hw=CANVAS).positive, alone.positive)


def test_frames_without_a_person_are_black(tmp_path: Path) -> None:
    figures = track(9)
    figures.scores[3:5] = 0
    save_sidecar(figures, tmp_path / "a.json")
    motion = load_motion(tmp_path / "a.json", canvas_hw=CANVAS, negative_seed=0)
    assert motion.negative is not None
    assert [int(frame.max()) for frame in motion.positive[3:6]] == [0, 0, 255]
    assert motion.negative[3].max() == 0
    assert any("2 of 9 frames" in note for note in motion.notes)


def test_driving_clip_with_sidecar(tmp_path: Path) -> None:
    clip = filmed(tmp_path / "dance.mp4", sound=True)
    assert inspect_motion(clip).kind == "driving"  # people are found later
    with pytest.raises(BadSetting, match="pose engine"):
        load_motion(clip)
    save_sidecar(track(33), tmp_path / "dance.pose.json")
    info = inspect_motion(clip)
    assert (info.kind, info.frames_at_16, info.has_sound) == ("driving", 33, True)
    motion = load_motion(clip, trim=Trim(0.5), canvas_hw=CANVAS, limit=9)
    assert (motion.sound, motion.start_s, motion.duration_s) == (clip, 0.5, 9 / 16)
    assert np.abs(motion.positive[0].astype(int) - drawings(track(33))[8]).mean() < 0.1


def test_given_keypoints_go_before_the_sidecar(tmp_path: Path, keypoints: Path) -> None:
    clip = filmed(tmp_path / "dance.mp4")
    save_sidecar(track(33, seed=9), tmp_path / "dance.pose.json")
    chosen = load_motion(clip, keypoints=keypoints, frames=5, canvas_hw=CANVAS)
    assert np.abs(chosen.positive[0].astype(int) - drawings(track(33))[0]).mean() < 0.1


def test_keypoints_and_clip_of_different_length(tmp_path: Path) -> None:
    clip = filmed(tmp_path / "dance.mp4", 33)
    save_sidecar(track(17), tmp_path / "dance.pose.json")
    info = inspect_motion(clip)
    assert info.frames_at_16 == 17
    assert "1.06" in info.notes[0]


def test_skeleton_video_is_used_as_it_is(tmp_path: Path) -> None:
    pictures = drawings(track(13))
    write_video(tmp_path / "a.mp4", pictures)
    info = inspect_motion(tmp_path / "a.mp4")
    assert (info.kind, info.frames_at_16, info.has_sound) == ("skeleton", 13, False)
    motion = load_motion(tmp_path / "a.mp4", canvas_hw=(640, 480))
    assert motion.positive.shape == (13, *CANVAS, 3)
    assert np.abs(motion.positive[4].astype(int) - pictures[4]).mean() < 2


def test_skeleton_video_negative_is_read_back(tmp_path: Path) -> None:
    figures = track(9)
    write_video(tmp_path / "a.mp4", drawings(figures, (640, 480)))
    motion = load_motion(tmp_path / "a.mp4", canvas_hw=(640, 480), negative_seed=3)
    assert motion.negative is not None
    assert motion.negative.shape == motion.positive.shape
    assert any("read back" in note for note in motion.notes)
    stretched = negative(threshold(figures.keypoints[0], figures.scores[0]), uniforms(3, 9)[0])
    x, y = (stretched.body[1] * [480, 640]).astype(int)
    assert motion.negative[0][y - 6 : y + 7, x - 6 : x + 7].max() > 100  # the neck stays where it was


def test_skeleton_video_is_drawn_anew(tmp_path: Path) -> None:
    figures = track(9)
    write_video(tmp_path / "a.mp4", drawings(figures, (640, 480)))
    motion = load_motion(tmp_path / "a.mp4", canvas_hw=(128, 96), redraw=True, hands=False)
    assert motion.positive.shape == (9, 128, 96, 3)
    wanted = np.stack(drawings(figures, (128, 96), hands=False)).max(axis=-1) > 0
    got = motion.positive.max(axis=-1) > 0
    assert (wanted & got).sum() / (wanted | got).sum() > 0.7


def test_unreadable_skeletons_turn_guidance_off(tmp_path: Path) -> None:
    picture = black(*CANVAS)
    for number, colour in enumerate(((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))):
        picture[40 * number + 20 : 40 * number + 40, 100:120] = colour
    write_video(tmp_path / "a.mp4", [picture] * 5)
    motion = load_motion(tmp_path / "a.mp4", canvas_hw=CANVAS, redraw=True, negative_seed=1)
    assert motion.negative is None
    assert motion.positive.shape == (5, *CANVAS, 3)
    assert any("Condition guidance is off because" in note for note in motion.notes)
    assert any("used as it is" in note for note in motion.notes)


def test_black_video_has_no_skeleton(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", [black(64, 64)] * 20)
    for call in (inspect_motion, load_motion):
        with pytest.raises(BadPose, match="no skeleton"):
            call(tmp_path / "a.mp4")


def test_a_skeleton_must_lie_within_the_range(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", [black(*CANVAS)] * 16 + drawings(track(17)))
    assert inspect_motion(tmp_path / "a.mp4", trim=Trim(1.0)).frames_at_16 == 17
    assert inspect_motion(tmp_path / "a.mp4", frames=33).frames_at_16 == 33
    with pytest.raises(BadPose, match="no skeleton"):
        inspect_motion(tmp_path / "a.mp4", frames=13)


def test_nobody_in_the_range(tmp_path: Path) -> None:
    figures = track(33)
    figures.scores[:16] = 0
    save_sidecar(figures, tmp_path / "a.json")
    with pytest.raises(BadPose, match="Nobody"):
        inspect_motion(tmp_path / "a.json", trim=Trim(0.0, 0.9))


def test_filmed_clip_given_as_skeleton_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadPose, match="no skeleton"):
        inspect_motion(filmed(tmp_path / "a.mp4", 5), kind="skeleton")


@pytest.mark.parametrize(
    ("asked", "choices"),
    [(0, "1 or 5"), (2, "1 or 5"), (8, "5 or 9"), (32, "29 or 33"), (34, "33"), (81, "33")],
)
def test_wrong_lengths_offer_the_nearest(keypoints: Path, asked: int, choices: str) -> None:
    with pytest.raises(BadSetting) as caught:
        load_motion(keypoints, frames=asked, canvas_hw=CANVAS)
    assert caught.value.action == f"Choose {choices} frames."


@pytest.mark.parametrize(
    ("available", "limit", "frames"),
    [(1, None, 1), (4, None, 1), (33, None, 33), (36, 33, 33), (100, 81, 81), (80, 81, 77)],
)
def test_lengths(available: int, limit: int | None, frames: int) -> None:
    assert choose_frames(available, None, limit) == frames


def test_missing_files(tmp_path: Path, keypoints: Path) -> None:
    with pytest.raises(BadVideo, match="does not exist"):
        inspect_motion(tmp_path / "none.mp4")
    with pytest.raises(BadPose, match="does not exist"):
        inspect_motion(filmed(tmp_path / "a.mp4", 5), keypoints=tmp_path / "none.json")
    with pytest.raises(BadVideo, match="empty"):
        inspect_motion(keypoints, trim=Trim(9.0))


def test_openpose_folder_as_motion(tmp_path: Path) -> None:
    for number, points in enumerate(track(9).keypoints[:, 0, :18]):
        flat = np.concatenate([points * [300, 400], np.ones((18, 1))], axis=1).ravel().tolist()
        text = json.dumps(
            {"people": [{"pose_keypoints_2d": flat}], "canvas_width": 300, "canvas_height": 400}
        )
        (tmp_path / f"a_{number:03d}_keypoints.json").write_text(text, encoding="utf-8")
    motion = load_motion(tmp_path, canvas_hw=CANVAS)
    bare = drawings(track(9), hands=False)
    assert np.abs(np.stack(bare).astype(int) - motion.positive).mean() < 0.1


def test_cancel(keypoints: Path) -> None:
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        load_motion(keypoints, canvas_hw=CANVAS, check=check)
    assert len(calls) == 3
