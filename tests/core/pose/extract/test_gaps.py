"""Short gaps are interpolated joint by joint, long ones stay empty and are told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.pose.extract.gaps import Gaps, fill_gaps
from core.pose.skeleton import LEFT_HAND, PoseTrack

FPS = 10.0
LEFT_WRIST = 7


def moving(frames: int = 30, people: int = 1) -> PoseTrack:
    """All joints walk along a line at a steady speed, each from its own place."""
    time = np.arange(frames)[:, None, None, None]
    start = np.random.default_rng(3).uniform(0.2, 0.6, (1, people, 134, 2))
    points = start + time * np.array([0.01, -0.004])
    return PoseTrack(points, np.full((frames, people, 134), 0.8), 64, 64, FPS)


def without(track: PoseTrack, frames: slice, joints: object = slice(None), person: int = 0) -> PoseTrack:
    """The same with joints gone."""
    points, scores = track.keypoints.copy(), track.scores.copy()
    points[frames, person, joints], scores[frames, person, joints] = 0.0, 0.0
    return replace(track, keypoints=points, scores=scores)


def test_a_short_absence_is_filled_along_a_line() -> None:
    track = moving()
    filled, gaps = fill_gaps(without(track, slice(10, 15)))
    np.testing.assert_allclose(filled.keypoints, track.keypoints, atol=1e-12)
    np.testing.assert_array_equal(filled.scores, track.scores)
    assert gaps == Gaps(5)


def test_a_long_absence_stays_empty_and_is_told() -> None:
    broken = without(moving(), slice(10, 16))
    filled, gaps = fill_gaps(broken)
    np.testing.assert_array_equal(filled.keypoints, broken.keypoints)
    np.testing.assert_array_equal(filled.scores, broken.scores)
    assert gaps == Gaps(0, ((1.0, 1.6),))


def test_one_joint_is_filled_while_others_are_seen() -> None:
    track = moving()
    filled, gaps = fill_gaps(without(track, slice(4, 7), [4, 50]))
    np.testing.assert_allclose(filled.keypoints, track.keypoints, atol=1e-12)
    assert gaps == Gaps(3)


def test_an_unsure_joint_between_sure_ones_is_replaced() -> None:
    track = moving()
    track.keypoints[5, 0, 4] += 0.3
    track.scores[5, 0, 4] = 0.2
    filled, _ = fill_gaps(track)
    np.testing.assert_allclose(filled.keypoints[:, 0, 4], moving().keypoints[:, 0, 4], atol=1e-12)


def test_a_filled_joint_scores_as_the_lower_neighbour() -> None:
    track = without(moving(), slice(10, 13))
    track.scores[9], track.scores[13] = 0.9, 0.5
    filled, _ = fill_gaps(track)
    assert (filled.scores[10:13] == 0.5).all()


def test_nothing_is_made_up_beyond_the_ends() -> None:
    broken = without(without(moving(), slice(0, 3)), slice(22, 30))
    filled, gaps = fill_gaps(broken)
    np.testing.assert_array_equal(filled.scores, broken.scores)
    assert gaps == Gaps(0, ((2.2, 3.0),))


def test_a_joint_that_was_gone_before_everybody_was_is_not_filled() -> None:
    broken = without(without(moving(), slice(10, 13)), slice(5, 13), 4)
    filled, gaps = fill_gaps(broken)
    assert (filled.scores[5:13, 0, 4] == 0).all()
    assert (filled.scores[10:13, 0, 3] == 0.8).all()
    assert gaps.long == ()


def test_a_hand_goes_with_its_wrist() -> None:
    track = moving()
    track.keypoints[:, 0, LEFT_WRIST, 1] += 0.1 * np.sin(np.arange(30))
    hand = track.keypoints[:, 0, LEFT_WRIST, None] + np.linspace(0, 0.05, 21)[:, None]
    track.keypoints[:, 0, LEFT_HAND] = hand
    filled, _ = fill_gaps(without(track, slice(8, 12), LEFT_HAND))
    np.testing.assert_allclose(filled.keypoints[:, 0, LEFT_HAND], hand, atol=1e-12)


def test_a_hand_without_its_wrist_is_filled_along_a_line() -> None:
    track = moving()
    broken = without(without(track, slice(6, 20), LEFT_WRIST), slice(8, 12), LEFT_HAND)
    filled, _ = fill_gaps(broken)
    np.testing.assert_allclose(
        filled.keypoints[:, 0, LEFT_HAND], track.keypoints[:, 0, LEFT_HAND], atol=1e-12
    )


def test_the_longest_gap_is_a_choice() -> None:
    broken = without(moving(), slice(10, 13))
    assert fill_gaps(broken, 0.2)[1] == Gaps(0, ((1.0, 1.3),))
    assert fill_gaps(broken, 0.3)[1] == Gaps(3)
    assert fill_gaps(broken, 0.0)[1].filled == 0


def test_each_person_of_a_track_is_filled_alone() -> None:
    track = moving(people=2)
    filled, gaps = fill_gaps(without(without(track, slice(5, 8)), slice(6, 20), person=1))
    np.testing.assert_allclose(filled.keypoints[:, 0], track.keypoints[:, 0], atol=1e-12)
    assert (filled.scores[6:20, 1] == 0).all()
    assert gaps == Gaps(3)


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_a_track_too_short_for_gaps_is_left_as_it_is(frames: int) -> None:
    filled, gaps = fill_gaps(moving(frames))
    assert len(filled.keypoints) == frames
    assert gaps == Gaps(0)


def test_nobody_at_all_is_one_long_gap() -> None:
    assert fill_gaps(without(moving(), slice(None)))[1] == Gaps(0, ((0.0, 3.0),))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_a_steady_walk_is_restored_wherever_it_is_filled(seed: int) -> None:
    rng = np.random.default_rng(seed)
    track = moving(20)
    scores = np.where(rng.uniform(size=track.scores.shape) < 0.3, 0.0, track.scores)
    broken = replace(track, scores=scores, keypoints=np.where(scores[..., None] > 0, track.keypoints, 0.0))
    filled, _ = fill_gaps(broken)
    seen = scores > 0
    np.testing.assert_array_equal(filled.keypoints[seen], track.keypoints[seen])
    drawn = filled.scores > 0
    np.testing.assert_allclose(filled.keypoints[drawn], track.keypoints[drawn], atol=1e-12)
