"""The align frame, the distance of poses, and what is told before a render."""

from __future__ import annotations

import json

import numpy as np
import pytest

from core.pose.align import PoseReport, apply, choose_frame, fit, pose_gap, report
from core.pose.skeleton import PoseFrame
from tests.core.pose.align.bodies import RATIO, heights, pose, posed, standing, without

REFERENCE = posed(standing())
MAIN_LEGS = [9, 10, 12, 13]


def _report(frames: list[PoseFrame | None], reference: PoseFrame | None = REFERENCE) -> PoseReport:
    """Fitted on the first frame with somebody."""
    first = next((frame for frame in frames if frame is not None), None)
    if first is None or reference is None:
        return report(frames, frames, reference, RATIO, None)
    measured = fit(reference, RATIO, first, RATIO)
    fitted = [None if frame is None else apply(frame, measured) for frame in frames]
    return report(frames, fitted, reference, RATIO, measured)


def _told(frames: list[PoseFrame | None], words: str, reference: PoseFrame = REFERENCE) -> PoseReport:
    told = _report(frames, reference)
    assert sum(words in sentence for sentence in told.warnings) == 1, told.warnings
    return told


def _mirrored(frame: PoseFrame) -> PoseFrame:
    """Seen from behind: left and right change places in the picture."""
    points = heights(frame)
    points[:, 0] = 1.0 - points[:, 0]
    return PoseFrame(points / [RATIO, 1.0], frame.subset, frame.hands, frame.faces)


def test_the_frame_closest_in_pose_is_chosen_wherever_and_however_large() -> None:
    like = posed(standing(0.4, at=(0.3, 0.2)))
    assert choose_frame([pose(1), None, pose(2), like, pose(3)], RATIO, REFERENCE, RATIO) == 3
    # Equal poses: the earliest.
    assert choose_frame([None, like, like], RATIO, REFERENCE, RATIO) == 1


def test_a_frame_that_shows_all_joints_comes_before_a_closer_one_that_does_not() -> None:
    frames = [without(REFERENCE, [4]), pose(1), without(REFERENCE, [13])]
    assert choose_frame(frames, RATIO, REFERENCE, RATIO) == 1
    # Joints that the reference does not show are not asked for.
    assert choose_frame(frames, RATIO, without(REFERENCE, [4]), RATIO) == 0
    # Eyes and ears come and go.
    assert choose_frame([without(REFERENCE, [16, 17]), pose(1)], RATIO, REFERENCE, RATIO) == 0


def test_nobody_is_not_chosen() -> None:
    assert choose_frame([], RATIO, REFERENCE, RATIO) is None
    assert choose_frame([None, None], RATIO, REFERENCE, RATIO) is None
    assert choose_frame([pose(1)], RATIO, REFERENCE, RATIO) == 0


def test_the_gap_is_a_mean_distance_in_heights() -> None:
    moved = posed(standing(at=(0.03, 0.04)))
    assert pose_gap(REFERENCE, REFERENCE, RATIO) == 0
    assert pose_gap(REFERENCE, moved, RATIO) == pytest.approx(0.05)
    assert pose_gap(REFERENCE, without(moved, [3, 4], at=0.9), RATIO) == pytest.approx(0.05)
    assert pose_gap(REFERENCE, without(moved, range(18)), RATIO) == 0


def test_a_good_motion_loses_nothing() -> None:
    told = _report([REFERENCE] * 3)
    assert told == PoseReport(1.0, pytest.approx(1.0), 0.0, pytest.approx(0.0), 100, ())
    assert list(json.loads(json.dumps(told.to_json()))) == [
        "keypoints_seen", "scale_ratio", "out_of_frame", "start_gap", "score", "warnings",
    ]  # fmt: skip


def test_one_frame_is_enough() -> None:
    told = _report([posed(standing(0.8))])
    assert told.warnings == ()
    assert told.scale_ratio == pytest.approx(1.25)
    assert told.start_gap == pytest.approx(0, abs=1e-9)


def test_nobody_in_the_motion_scores_nothing() -> None:
    told = _report([None] * 5)
    assert told.score == 0
    assert told.keypoints_seen == 0
    assert len(told.warnings) == 1
    assert "Nobody was found in the 5 frames" in told.warnings[0]
    assert _report([], None).score == 0


def test_somebody_leaving_and_entering_is_counted() -> None:
    told = _told([REFERENCE, None, None, REFERENCE], "Nobody was found in 2 of 4 frames")
    assert told.keypoints_seen == pytest.approx(0.5)
    assert told.score == 60


def test_half_a_body_is_told_unless_the_reference_is_cut_alike() -> None:
    half = without(REFERENCE, range(8, 14))
    told = _told([half] * 4, "half the body in 4 of 4 frames")
    assert told.keypoints_seen == pytest.approx(8 / 14)
    assert told.score < 75
    _told([without(REFERENCE, MAIN_LEGS)] * 4, "no legs in 4 of 4 frames")
    assert _report([half] * 4, half).warnings == ()
    assert _report([half] * 4, half).score == 100
    _told([REFERENCE] * 4, "the reference shows no legs".capitalize(), half)


def test_a_dancer_seen_from_behind_is_told() -> None:
    back = _mirrored(REFERENCE)
    told = _told([REFERENCE] * 2 + [back] * 2, "is seen from behind in 50% of the frames")
    assert told.score < 95
    # Without a face it is a back view, whatever the shoulders' labels say.
    _told([without(REFERENCE, [0, 14, 15])] * 2, "is seen from behind in 100%")
    _told([REFERENCE] * 2, "faces the camera in 100%", back)
    assert _report([back] * 2, back).warnings == ()


def test_unlike_sizes_are_told() -> None:
    told = _told([posed(standing(0.3))] * 2, "3.3 times larger than the dancer")
    assert told.scale_ratio == pytest.approx(1 / 0.3)
    _told([posed(standing(3.0))] * 2, "3.0 times smaller than the dancer")


def test_unlike_proportions_are_told_with_the_limbs() -> None:
    told = _told([posed(standing(arms=0.4))] * 2, "The proportions differ a lot")
    assert "upper arms 2.5, " in told.warnings[0]
    assert told.score < 100


def test_limbs_outside_the_picture_are_told() -> None:
    low = posed(standing(at=(0.0, 0.3)))
    told = _told([REFERENCE] * 2, "Legs lie outside the picture in 2 of 2 frames", low)
    assert told.out_of_frame == 1.0
    aside = [REFERENCE, *(posed(standing(at=(0.5, 0.0))) for _ in range(3))]
    told = _told(list(aside), "Head, arms or trunk leave the picture in 3 of 4 frames")
    assert told.out_of_frame == pytest.approx(0.75)


def test_a_far_start_is_told() -> None:
    frames = [posed(standing(at=(-0.17, 0.0))), REFERENCE]
    measured = fit(REFERENCE, RATIO, frames[1], RATIO)
    told = report(frames, [apply(frame, measured) for frame in frames], REFERENCE, RATIO, measured)
    assert told.start_gap == pytest.approx(0.17)
    assert ["17% of the picture height" in sentence for sentence in told.warnings] == [True]
    assert 90 < told.score < 100


def test_without_a_reference_the_poses_alone_are_judged() -> None:
    told = _report([REFERENCE, without(REFERENCE, [4])], None)
    assert (told.scale_ratio, told.start_gap) == (1.0, 0.0)
    assert told.keypoints_seen == pytest.approx(27 / 28)
    assert told.warnings == ()
    assert np.isfinite(told.score)
