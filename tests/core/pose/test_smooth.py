"""Smoothing over time: less jitter, no lag, and nothing mixed that does not belong together."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadSetting
from core.pose.skeleton import Floats, PoseTrack
from core.pose.smooth import smooth
from tests.core.pose.align.bodies import standing
from tests.core.pose.figures import track

FPS = 16.0
HANDS = slice(92, 134)


def _track(sway: Floats, noise: float = 0.0, fps: float = FPS) -> PoseTrack:
    """Somebody standing who moves sideways as ``sway`` [T] says, plus jitter."""
    points = np.repeat(standing()[None, None], len(sway), axis=0)
    points[..., 0] += sway[:, None, None]
    points += np.random.default_rng(0).normal(0, noise, points.shape) if noise else 0
    return PoseTrack(points, np.ones(points.shape[:-1]), 400, 400, fps)


def _sway(hertz: float, frames: int = 80, size: float = 0.05) -> Floats:
    return np.asarray(size * np.sin(2 * np.pi * hertz * np.arange(frames) / FPS))


def _change(one: PoseTrack, other: PoseTrack, part: slice = slice(0, 92)) -> float:
    return float((one.keypoints - other.keypoints)[:, :, part].std())


def test_off_is_the_track_itself() -> None:
    clip = track(5)
    assert smooth(clip, 0) is clip


@pytest.mark.parametrize("strength", [-0.1, 1.01, float("nan")])
def test_a_strength_out_of_range_is_named(strength: float) -> None:
    with pytest.raises(BadSetting, match="out of range") as caught:
        smooth(track(5), strength)
    assert (str(caught.value.value), caught.value.limit) == (str(strength), "0 to 1")


def test_jitter_falls_as_strength_rises() -> None:
    clean, noisy = _track(_sway(0.5)), _track(_sway(0.5), noise=0.003)
    left = [_change(smooth(noisy, strength), clean) for strength in (0.0, 0.1, 0.25, 0.5, 1.0)]
    assert left == sorted(left, reverse=True)
    assert left[2] < 0.8 * left[0]
    assert left[4] < 0.6 * left[0]


def test_hands_are_smoothed_less() -> None:
    noisy = _track(_sway(0.0), noise=0.003)
    result = smooth(noisy, 0.5)
    assert 0 < _change(noisy, result, HANDS) < 0.9 * _change(noisy, result)


def test_turning_points_stay_when_and_where_they_are() -> None:
    clip = _track(_sway(1.0))
    before, after = clip.keypoints[8:-8, 0, 4, 0], smooth(clip, 0.25).keypoints[8:-8, 0, 4, 0]
    middle = standing()[4, 0]
    assert np.abs(after - middle).max() > 0.98 * np.abs(before - middle).max()
    lags = [float(((after[4:-4] - np.roll(before, shift)[4:-4]) ** 2).sum()) for shift in (-1, 0, 1)]
    assert int(np.argmin(lags)) == 1
    assert lags[0] == pytest.approx(lags[2], rel=0.05)


def test_even_motion_and_stillness_are_kept_to_the_ends() -> None:
    for sway in (np.zeros(30), 0.01 * np.arange(30), 1e-4 * np.arange(30.0) ** 2):
        clip = _track(sway)
        assert np.abs(smooth(clip, 1.0).keypoints - clip.keypoints).max() < 1e-9


def test_missing_joints_are_neither_used_nor_invented() -> None:
    clip = _track(_sway(0.5, 40), noise=0.002)
    scores = clip.scores.copy()
    scores[10:13, 0, 4] = 0
    points = clip.keypoints.copy()
    points[10:13, 0, 4] = 0.0
    wild = points.copy()
    wild[10:13, 0, 4] = [5.0, -7.0]
    results = [smooth(replace(clip, keypoints=each, scores=scores), 0.5).keypoints for each in (points, wild)]
    assert (results[0][10:13, 0, 4] == 0).all()
    assert (results[1][10:13, 0, 4] == [5.0, -7.0]).all()
    assert np.array_equal(results[0][13:], results[1][13:])
    assert np.abs(results[0][9, 0, 4] - clip.keypoints[9, 0, 4]).max() < 0.01


def test_doubtful_joints_count_less() -> None:
    clip = _track(np.zeros(21))
    clip.keypoints[10, 0, 4, 0] += 0.05
    doubtful = replace(clip, scores=clip.scores.copy())
    doubtful.scores[10, 0, 4] = 0.1
    sure, unsure = (smooth(each, 0.5).keypoints[9, 0, 4, 0] - standing()[4, 0] for each in (clip, doubtful))
    assert 0 < abs(unsure) < 0.3 * abs(sure)


def test_a_cut_is_not_smeared() -> None:
    clip = _track(np.where(np.arange(40) < 20, 0.0, 0.4))
    assert np.abs(smooth(clip, 1.0).keypoints - clip.keypoints).max() < 1e-9
    # Nor does somebody who comes back elsewhere blend with who left.
    away = replace(clip, scores=clip.scores.copy())
    away.scores[18:21] = 0
    assert np.abs(smooth(away, 1.0).keypoints - clip.keypoints).max() < 1e-9


def test_a_leap_of_one_joint_is_kept() -> None:
    clip = _track(np.zeros(40))
    clip.keypoints[20:, 0, 4] = [0.95, 0.05]
    assert np.abs(smooth(clip, 1.0).keypoints - clip.keypoints).max() < 1e-9


def test_frames_of_another_rate_are_smoothed_over_the_same_time() -> None:
    moving = [
        _track(0.05 * np.sin(2 * np.pi * 2.0 * np.arange(int(5 * fps)) / fps), fps=fps)
        for fps in (30.0, 60.0)
    ]
    kept = [np.abs(smooth(each, 1.0).keypoints[60:90, 0, 4, 0] - standing()[4, 0]).max() for each in moving]
    assert kept[0] == pytest.approx(kept[1], rel=0.1)
    assert kept[0] < 0.047


def test_short_clips_and_two_people() -> None:
    assert smooth(track(1), 1.0).keypoints.shape == (1, 1, 134, 2)
    one, other = track(20, seed=1), track(20, seed=2)
    both = PoseTrack(
        np.concatenate([one.keypoints, other.keypoints], axis=1),
        np.concatenate([one.scores, other.scores], axis=1),
        one.width, one.height, one.fps, ("a note",),
    )  # fmt: skip
    result = smooth(both, 0.5)
    assert np.array_equal(result.keypoints[:, 1], smooth(other, 0.5).keypoints[:, 0])
    assert result.notes == ("a note",)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 30), st.floats(0.01, 1.0), st.sampled_from([1.0, 16.0, 60.0])
)
def test_smoothing_never_makes_a_number_that_is_none(
    seed: int, frames: int, strength: float, fps: float
) -> None:
    rng = np.random.default_rng(seed)
    clip = track(frames, seed, fps)
    scores = clip.scores * (rng.random(clip.scores.shape) > rng.choice([0.0, 0.5, 0.95])) * rng.random()
    result = smooth(replace(clip, scores=scores), strength).keypoints
    assert np.isfinite(result).all()
    assert np.array_equal(result[scores == 0], clip.keypoints[scores == 0])


def test_blocks_of_frames_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = _track(_sway(1.0), noise=0.01, fps=30.0)
    clip.scores[20:24, 0, 5] = 0.0
    clip.keypoints[50:] += 0.4
    at_once = smooth(clip, 0.7)
    monkeypatch.setattr("core.pose.smooth._BLOCK", 7)
    np.testing.assert_array_equal(smooth(clip, 0.7).keypoints, at_once.keypoints)


def test_long_tracks_take_little_more_than_themselves() -> None:
    clip = _track(np.zeros(3000))
    tracemalloc.start()
    try:
        smooth(clip, 0.25)
        assert tracemalloc.get_traced_memory()[1] < 8 * clip.keypoints.nbytes
    finally:
        tracemalloc.stop()
