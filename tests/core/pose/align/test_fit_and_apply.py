"""Fitting a pose to the reference: goldens, and guards for what upstream leaves to chance."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.evaluation.golden.base import load
from core.evaluation.golden.kind_pose_align import check
from core.evaluation.golden.run import run_file
from core.pose.align import Scales, apply, fit
from core.pose.draw import draw
from core.pose.skeleton import PoseFrame, threshold
from tests.core.pose.align.bodies import RATIO, heights, lengths, pose, posed, standing, without
from tests.core.pose.figures import track

GOLDEN = Path(__file__).parents[3] / "golden" / "pose_align_a.safetensors"


def _same(one: PoseFrame, other: PoseFrame, limit: float) -> bool:
    return (
        np.abs(one.body - other.body).max() < limit
        and np.abs(one.hands - other.hands).max() < limit
        and np.array_equal(one.subset, other.subset)
    )


def test_golden() -> None:
    rows = run_file(GOLDEN)
    assert len(rows) == 12
    assert [row for row in rows if not row.passed] == []
    assert max(row.max_abs_error for row in rows) < 1e-12


def test_the_golden_adapter_takes_equal_infinities_and_sees_wrong_numbers() -> None:
    golden = load(GOLDEN)
    # Elbow and wrist coincide in the clip alone: upstream's lower arm and hand are then infinite.
    frames, scales = golden.tensors["case0.in.keypoints"].clone(), golden.tensors["case0.out.scales"].clone()
    frames[0, 0, 4] = frames[0, 0, 3]
    scales[[5, 6]] = torch.inf
    tensors = {**golden.tensors, "case0.in.keypoints": frames, "case0.out.scales": scales}
    rows = {row.tensor: row.passed for row in check(replace(golden, tensors=tensors))}
    assert rows["case0.out.scales"]
    assert not rows["case0.out.body"]
    assert rows["case1.out.body"]


def test_of_two_people_the_first_is_compared_without_the_second_hand() -> None:
    golden = load(GOLDEN)
    tensors = dict(golden.tensors)
    for name in ("keypoints", "scores"):
        first = tensors[f"case0.in.{name}"]
        tensors[f"case0.in.{name}"] = torch.cat([first, first.flip(0) * 0.5], dim=1)
    # Upstream's second row is the other person's left hand.
    hands = tensors["case0.out.hands"].clone()
    hands[:, 1] += 0.3
    tensors["case0.out.hands"] = hands
    rows = list(check(replace(golden, tensors=tensors)))
    assert len(rows) == 12
    assert all(row.passed for row in rows)


def test_upstream_leaves_joints_behind_an_infinite_scale_off_the_picture() -> None:
    reference = pose(1)
    frame = without(pose(2), [])
    frame.body[0] = frame.body[1]
    measured = fit(reference, RATIO, frame, RATIO, exact=True)
    assert measured.scales.neck == np.inf
    moved = apply(pose(3), measured, exact=True)
    head = [0, 14, 15, 16, 17]
    assert np.allclose(moved.body[head], (-1.0 + measured.offset) / [RATIO, 1.0])
    assert np.isfinite(moved.body).all()
    guarded = fit(reference, RATIO, frame, RATIO)
    assert np.isfinite(list(guarded.scales.values().values())).all()
    assert (apply(pose(3), guarded).body[head] > 0).all()


def test_upstream_counts_nothing_over_nothing_as_one() -> None:
    reference, frame = pose(1), pose(2)
    for each in (reference, frame):
        each.body[3] = each.body[2]
    scales = fit(reference, RATIO, frame, RATIO, exact=True).scales
    assert scales.arm_upper == 1.0
    assert scales.hand == 1.0
    assert scales.arm_lower != 1.0


@pytest.mark.parametrize("seed", range(6))
def test_guards_change_nothing_where_everything_is_seen(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference = posed(standing(rng.uniform(0.7, 1.2), rng.uniform(0.7, 1.4), rng.uniform(0.7, 1.4)), 0.6)
    frames = [pose(10 * seed + number, 1.5) for number in range(3)]
    exact, guarded = (fit(reference, 0.6, frames[0], 1.5, exact=choice) for choice in (True, False))
    assert np.allclose(
        list(exact.scales.values().values()), list(guarded.scales.values().values()), rtol=1e-12
    )
    for frame in frames:
        # Upstream keeps centres in 32 bits.
        assert _same(apply(frame, exact, exact=True), apply(frame, guarded), 1e-6)


def test_the_align_frame_takes_the_reference_s_limb_lengths() -> None:
    reference = posed(standing(1.1, arms=1.3, legs=0.8), 0.6)
    frame = posed(standing(0.6, at=(0.2, 0.05)), 1.6)
    moved = heights(apply(frame, fit(reference, 0.6, frame, 1.6)), 0.6)
    assert np.allclose(lengths(moved), lengths(heights(reference, 0.6)), atol=1e-12)
    assert np.allclose(moved[1], heights(reference, 0.6)[1], atol=1e-12)


def test_an_unseen_joint_at_zero_does_not_throw_its_children() -> None:
    reference, whole = posed(standing(1.2)), pose(4)
    measured = fit(reference, RATIO, posed(standing()), RATIO)
    full = apply(whole, measured)
    for lost, kept in (([3], [4]), ([9], [10]), ([2, 3], [4]), ([0], [14, 15, 16, 17]), ([1], [0, 3, 10])):
        moved = apply(without(whole, lost), measured)
        assert np.abs(moved.body[kept] - full.body[kept]).max() < 0.02, lost
        assert np.array_equal(moved.subset >= 0, without(whole, lost).subset >= 0)
    assert np.abs(apply(without(whole, [4]), measured).hands - full.hands).max() < 0.02
    uneven = replace(measured, scales=replace(measured.scales, arm_upper=1.5, arm_lower=0.8))
    full, cut = apply(whole, uneven), without(whole, [3])
    assert np.abs(apply(cut, uneven).body[4] - full.body[4]).max() < 0.1
    assert np.abs(apply(cut, uneven, exact=True).body[4] - full.body[4]).max() > 0.3


def test_an_unseen_limb_takes_the_scale_of_its_other_side_or_of_its_neighbours() -> None:
    reference = posed(standing(1.0, arms=1.5, legs=1.2))
    frame = posed(standing())
    full = fit(reference, RATIO, frame, RATIO).scales
    assert full.arm_upper == pytest.approx(1.5)
    one_arm = fit(without(reference, [3, 4]), RATIO, frame, RATIO).scales
    assert (one_arm.arm_upper, one_arm.arm_lower) == pytest.approx((1.5, 1.5))
    no_wrists = fit(reference, RATIO, without(frame, [4, 7]), RATIO).scales
    assert no_wrists.arm_lower == pytest.approx(full.arm_upper)
    half_body = fit(without(reference, range(8, 14)), RATIO, frame, RATIO).scales
    assert half_body.body_len == pytest.approx(half_body.shoulder)
    assert 0.9 < half_body.leg_upper < 1.5
    nobody = fit(without(reference, range(18)), RATIO, frame, RATIO)
    assert set(nobody.scales.values().values()) == {1.0}
    assert np.array_equal(nobody.offset, [0.0, 0.0])


def test_one_foreshortened_arm_does_not_stretch_both() -> None:
    points = standing()
    points[3] = points[2] + (points[3] - points[2]) / 20
    frame = posed(points)
    assert fit(posed(standing()), RATIO, frame, RATIO, exact=True).scales.arm_upper == pytest.approx(10.5)
    assert fit(posed(standing()), RATIO, frame, RATIO).scales.arm_upper == pytest.approx(1.0)


def test_a_small_dancer_grows_to_a_large_reference() -> None:
    measured = fit(posed(standing()), RATIO, posed(standing(0.11)), RATIO)
    assert measured.scales.shoulder == pytest.approx(1 / 0.11)


def test_without_a_neck_the_person_still_lands_on_the_reference() -> None:
    reference, frame = posed(standing(1.1)), posed(standing(0.7, at=(0.1, 0.1)))
    target = apply(frame, fit(reference, RATIO, frame, RATIO))
    for lost in ([1], [1, 2], [1, 2, 5], [0, 1, 2, 5]):
        cut = without(frame, lost)
        moved = apply(cut, fit(reference, RATIO, cut, RATIO))
        shown = cut.subset >= 0
        assert np.abs(moved.body[shown] - target.body[shown]).max() < 0.1, lost


def test_points_that_are_not_drawn_stay_away() -> None:
    keypoints = np.random.default_rng(0).uniform(0.2, 0.8, (1, 134, 2))
    scores = np.ones((1, 134))
    scores[0, 95:100] = scores[0, 30:40] = 0.1
    frame = threshold(keypoints, scores)
    low = posed(standing(at=(0.0, 3.0)))
    moved = apply(frame, fit(low, RATIO, frame, RATIO))
    assert (moved.hands[0, 3:8] == -1).all()
    assert (moved.faces[6:16] == -1).all()
    assert (moved.hands[1] > 0).all()


def test_scales_are_in_the_goldens_order() -> None:
    config = load(GOLDEN).config
    names = [name.removeprefix("scale_") for name in config["scale_order"]]
    assert list(Scales(*range(10)).values()) == names


def test_81_frames_are_aligned_and_drawn_within_two_seconds() -> None:
    clip = track(81)
    poses = [threshold(points, scores) for points, scores in zip(clip.keypoints, clip.scores, strict=True)]
    start = time.process_time()
    measured = fit(poses[0], 1312 / 1792, poses[1], RATIO)
    for each in poses:
        draw(apply(each, measured), 1792, 1312)
    spent_s = time.process_time() - start
    print(f"aligned and drew 81 frames at 1312x1792 in {spent_s:.2f} s of processor time")
    assert spent_s < 2.0
