"""Fitted poses as a track: what is drawn is what is read, and nothing that a file cannot hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from core.pose.align import report
from core.pose.files import load_keypoints
from core.pose.fitted import fitted_track
from core.pose.prepare import Prepared
from core.pose.save import save_track
from core.pose.skeleton import PoseFrame, threshold
from tests.core.pose.figures import track


def poses(frames: int) -> list[PoseFrame]:
    source = track(frames, seed=2)
    source.scores[:, :, 92:100] = 0.1
    source.scores[:, :, 13] = 0.1
    return [threshold(points, scores) for points, scores in zip(source.keypoints, source.scores, strict=True)]


def prepared(fitted: list[PoseFrame | None], found: list[PoseFrame | None], bridged: int = 0) -> Prepared:
    summary = report(found, fitted, None, 1.0, None)
    return Prepared(tuple(fitted), tuple(found), None, summary, bridged=bridged)


def same(one: PoseFrame, other: PoseFrame) -> bool:
    pairs = [(one.body, other.body), (one.hands, other.hands), (one.faces, other.faces)]
    return all(np.abs(a - b).max() < 1e-6 for a, b in pairs) and np.array_equal(one.subset, other.subset)


def test_what_was_prepared_is_drawn_after_writing_and_reading(tmp_path: Path) -> None:
    fitted: list[PoseFrame | None] = [*poses(3), None]
    written = fitted_track(prepared(fitted, fitted), (400, 300), 25.0)
    assert (written.width, written.height, written.fps) == (300, 400, 25.0)
    for name in ("a.npz", "a.json"):
        save_track(written, tmp_path / name)
        read = load_keypoints(tmp_path / name)
        for frame, pose in enumerate(fitted):
            if pose is not None:
                assert same(threshold(read.keypoints[frame], read.scores[frame]), pose)
        assert not read.scores[3].any()


def test_points_that_upstream_shifts_without_drawing_them_stay_unseen() -> None:
    found = poses(1)[0]
    shifted = replace(found, hands=found.hands + 0.05, faces=found.faces + 0.05)
    scores = fitted_track(prepared([shifted], [found]), (400, 300), 25.0).scores[0, 0]
    assert not scores[92:100].any()
    assert scores[100:].all()


def test_the_transition_shows_what_its_own_poses_show() -> None:
    found = poses(1)[0]
    whole = replace(found, hands=np.abs(found.hands), subset=np.arange(18))
    scores = fitted_track(prepared([whole], [found], bridged=1), (400, 300), 25.0).scores[0, 0]
    assert scores[13] == 1
    assert scores[92:].all()


def test_infinite_limbs_are_left_out() -> None:
    found = poses(1)[0]
    body = found.body.copy()
    body[4], body[7], body[10] = (np.inf, 0.5), (0.5, np.nan), (1e30, 0.0)
    written = fitted_track(prepared([replace(found, body=body)], [found]), (400, 300), 25.0)
    assert np.isfinite(written.keypoints).all()
    assert not written.scores[0, 0, [4, 7, 10]].any()
    assert written.scores[0, 0, 3] == 1
