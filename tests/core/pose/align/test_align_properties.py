"""What holds for any pose: no NaN, and nothing hangs on how large or where the driving clip's picture is."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.pose.align import apply, choose_frame, fit, report
from core.pose.skeleton import PoseFrame, threshold
from tests.core.pose.align.bodies import heights, lengths, posed, standing
from tests.core.pose.figures import figure

SEEDS = st.integers(0, 2**32 - 1)
RATIOS = st.floats(0.4, 2.5)
SIZES = st.floats(0.3, 2.0)


def _broken(seed: int) -> PoseFrame:
    """A random pose with joints missing, coincident, far away or without a number."""
    rng = np.random.default_rng(seed)
    points, scores = figure(rng)[None], rng.uniform(0, 1, (1, 134)) ** rng.choice([0.1, 1.0, 4.0])
    for joint in rng.integers(0, 134, rng.integers(0, 30)):
        points[0, joint] = rng.choice([0.0, points[0, rng.integers(0, 134), 0], 80.0, np.nan, np.inf, -1.0])
    points[0, rng.integers(0, 18)] = points[0, rng.integers(0, 18)]
    return threshold(points, scores * (rng.random((1, 134)) > rng.choice([0.0, 0.3, 0.9])))


@settings(max_examples=150, deadline=None)
@given(SEEDS, RATIOS, RATIOS)
def test_nothing_is_ever_nan(seed: int, reference_ratio: float, clip_ratio: float) -> None:
    reference, frame, pose = (_broken(seed + step) for step in range(3))
    measured = fit(reference, reference_ratio, frame, clip_ratio)
    moved = apply(pose, measured)
    assert all(0 < scale < 1e6 for scale in measured.scales.values().values())
    for points in (measured.offset, moved.body, moved.hands, moved.faces):
        assert np.isfinite(points).all()
    told = report([pose, None], [moved, None], reference, reference_ratio, measured)
    numbers = (told.keypoints_seen, told.scale_ratio, told.out_of_frame, told.start_gap)
    assert np.isfinite(numbers).all()
    assert 0 <= told.score <= 100
    assert choose_frame([None, pose, frame], clip_ratio, reference, reference_ratio) in (1, 2)


@settings(max_examples=40, deadline=None)
@given(SEEDS, RATIOS, st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_the_clip_s_shape_and_the_dancer_s_place_do_not_matter(
    seed: int, ratio: float, right: float, down: float
) -> None:
    """The same dance filmed in a picture of another shape, with the dancer elsewhere in it."""
    rng = np.random.default_rng(seed)
    reference, first, then = posed(figure(rng)), figure(rng), figure(rng)
    results = []
    for clip_ratio, at in ((1.0, (0.0, 0.0)), (ratio, (right, down))):
        frame, pose = posed(first + at, clip_ratio), posed(then + at, clip_ratio)
        results.append(apply(pose, fit(reference, 0.75, frame, clip_ratio)))
    assert np.allclose(results[0].body, results[1].body, atol=1e-9)
    assert np.allclose(results[0].hands, results[1].hands, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(SEEDS, SIZES)
def test_a_clip_that_is_smaller_in_its_picture_gives_the_same_align_frame(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    reference, first = posed(figure(rng)), figure(rng)
    plain, small = (posed(first * factor, 1.0) for factor in (1.0, size))
    one, other = (apply(frame, fit(reference, 0.75, frame, 1.0)) for frame in (plain, small))
    assert np.allclose(one.body, other.body, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(SIZES, SIZES, SIZES, RATIOS)
def test_a_symmetric_align_frame_takes_the_reference_s_lengths(
    size: float, arms: float, legs: float, ratio: float
) -> None:
    reference, frame = posed(standing(1.0, arms, legs), 0.6), posed(standing(size), ratio)
    moved = apply(frame, fit(reference, 0.6, frame, ratio))
    assert np.allclose(lengths(heights(moved, 0.6)), lengths(heights(reference, 0.6)), atol=1e-9)
