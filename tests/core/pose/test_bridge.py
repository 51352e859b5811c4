"""The start-gap bridge: from the reference's pose into the motion, limbs whole, no jump at either end."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.pose.bridge import FAR, LONGEST, NEAR, SHORTEST, bridge, bridge_frames
from core.pose.bridge_blend import ease
from core.pose.limbs import WRISTS, seen_points
from core.pose.skeleton import Floats, PoseFrame, threshold
from tests.core.pose.figures import figure

RATIO = 0.75
# Arms, legs and the neck; the trunk and the face turn in space and may become narrow.
WHOLE = ((2, 3), (3, 4), (5, 6), (6, 7), (8, 9), (9, 10), (11, 12), (12, 13), (1, 0))
quick = settings(max_examples=20, deadline=None)


def pose(seed: int, unseen: float = 0.0) -> PoseFrame:
    rng = np.random.default_rng(seed)
    points = figure(rng)
    points[24:92] = points[0] + rng.uniform(-0.02, 0.02, (68, 2))
    return threshold(points[None], (rng.random((1, 134)) >= unseen).astype(float))


def standing(**angles: float) -> PoseFrame:
    """A figure with given angles of the left arm in degrees, 0 to the right, clockwise."""
    chosen = pose(0)
    body = chosen.body.copy()
    for joint, inner, name in ((6, 5, "upper"), (7, 6, "lower")):
        angle = math.radians(angles.get(name, angles.get("arm", 90.0)))
        body[joint] = body[inner] + 0.12 * np.array([math.cos(angle) / RATIO, math.sin(angle)])
    hands = chosen.hands + np.stack([body[7] - chosen.body[7], np.zeros(2)])[:, None]
    return replace(chosen, body=body, hands=hands)


def lengths(frame: PoseFrame) -> Floats:
    body = frame.body * [RATIO, 1.0]
    return np.array([math.dist(body[a], body[b]) for a, b in WHOLE])


def angle(frame: PoseFrame | None) -> float:
    """Of the left upper arm, degrees."""
    assert frame is not None
    x, y = (frame.body[6] - frame.body[5]) * [RATIO, 1.0]
    return math.degrees(math.atan2(y, x)) % 360


def swing(seed: int, frames: int) -> list[PoseFrame | None]:
    """A motion from one random figure to another, continuous."""
    first, second = pose(seed), pose(seed + 1)
    return [
        replace(first, body=first.body + (second.body - first.body) * k / frames, hands=first.hands)
        for k in range(frames)
    ]


@pytest.mark.parametrize(
    ("gap", "frames"),
    [(0.0, 0), (NEAR, 0), (NEAR + 1e-6, SHORTEST), (FAR, LONGEST), (9.0, LONGEST), (math.nan, 0)],
)
def test_a_far_start_takes_8_to_16_frames_and_a_near_one_none(gap: float, frames: int) -> None:
    assert bridge_frames(gap) == frames


def test_a_wider_gap_never_takes_fewer_frames() -> None:
    taken = [bridge_frames(gap) for gap in np.linspace(0, 0.3, 200)]
    assert taken == sorted(taken)
    assert set(taken) == {0, *range(SHORTEST, LONGEST + 1)}


def test_the_easing_rises_from_rest_to_rest() -> None:
    weights = ease(np.linspace(0, 1, 201))
    assert weights[0] == 0
    assert weights[-1] == 1
    assert (np.diff(weights) > 0).all()
    assert np.allclose(weights + weights[::-1], 1)
    assert max(weights[1], 1 - weights[-2]) < 2e-6


@quick
@given(st.integers(0, 999), st.integers(0, 999), st.sampled_from([8, 12, 16]), st.floats(0, 1))
def test_the_first_frame_is_the_reference_and_after_the_bridge_the_motion_goes_on(
    first: int, second: int, frames: int, unseen: float
) -> None:
    reference, motion = pose(first, unseen), [pose(second + k % 5, unseen) for k in range(40)]
    bridged = bridge(motion, reference, RATIO, frames)
    assert len(bridged) == len(motion)
    assert bridged[0] is reference
    assert all(one is other for one, other in zip(bridged[frames:], motion[frames:], strict=True))
    for one in bridged:
        assert one is not None
        assert all(np.isfinite(part).all() for part in (one.body, one.hands, one.faces))
        assert np.array_equal(one.subset[one.subset >= 0], np.flatnonzero(one.subset >= 0))


@quick
@given(st.integers(0, 999), st.integers(0, 999))
def test_limbs_stay_as_long_as_they_are_on_one_end_or_the_other(first: int, second: int) -> None:
    reference, end = pose(first), pose(second)
    end = replace(end, body=end.body * [1.0, 0.8])
    low = np.minimum(lengths(reference), lengths(end)) - 1e-9
    high = np.maximum(lengths(reference), lengths(end)) + 1e-9
    for one in bridge([end] * 32, reference, RATIO, 16):
        assert one is not None
        assert ((low <= lengths(one)) & (lengths(one) <= high)).all()


@quick
@given(st.integers(0, 999), st.integers(0, 999))
def test_hands_go_with_their_wrists(first: int, second: int) -> None:
    for one in bridge([pose(second)] * 32, pose(first), RATIO, 16):
        assert one is not None
        for row, wrist in enumerate(WRISTS):
            assert np.allclose(one.hands[row, 0], one.body[wrist])
            # Fingers of both are 0.018 a link long.
            finger = np.linalg.norm((one.hands[row, 1] - one.hands[row, 0]) * [RATIO, 1.0])
            assert finger < 0.019


def test_an_arm_goes_the_short_way_round() -> None:
    angles = [angle(one) for one in bridge([standing(arm=350)] * 32, standing(arm=70), RATIO, 16)[:17]]
    turned = (np.array(angles) + 180) % 360 - 180
    assert turned[0] == pytest.approx(70)
    assert turned[-1] == pytest.approx(-10)
    assert (np.diff(turned) < 0).all()


def test_an_arm_that_swings_past_the_opposite_does_not_flip() -> None:
    """The shortest way taken anew in each frame would change sides where the two are opposite."""
    motion: list[PoseFrame | None] = [standing(arm=90 + 180 + 60 * (k / 16 - 0.5)) for k in range(40)]
    bridged = bridge(motion, standing(arm=90), RATIO, 16)
    turned = np.unwrap(np.radians([angle(one) for one in bridged]))
    assert np.abs(np.degrees(np.diff(turned))).max() < 30


@quick
@given(st.integers(0, 999), st.integers(0, 999))
def test_the_motion_is_met_while_it_moves(first: int, second: int) -> None:
    motion, frames = swing(second, 33), 16
    bridged = bridge(motion, pose(first), RATIO, frames)
    before, at = bridged[frames - 1], bridged[frames]
    other, goal = motion[frames - 1], motion[frames]
    assert before is not None
    assert at is not None
    assert other is not None
    assert goal is not None
    step = (at.body - before.body) - (goal.body - other.body)
    # The weight is 1 to 0.0023 there, of a gap of less than a picture (1,500 random pairs: 0.0015 at most).
    assert np.abs(step).max() < 0.0023


def test_a_person_who_turned_round_becomes_narrow_and_not_upside_down() -> None:
    reference = pose(3)
    middle = reference.body[1, 0]
    back = replace(reference, body=(reference.body - [middle, 0]) * [-1, 1] + [middle, 0])
    for one in bridge([back] * 32, reference, RATIO, 16):
        assert one is not None
        assert np.allclose(one.body[[2, 5, 8, 11], 1], reference.body[[2, 5, 8, 11], 1], atol=0.01)


def test_what_only_the_reference_shows_goes_and_what_only_the_motion_shows_comes_halfway() -> None:
    reference, moving = standing(arm=60), standing(arm=10)
    legs, hand = [9, 10, 12, 13], 0
    subset = reference.subset.copy()
    subset[legs] = -1
    reference = replace(reference, subset=subset, body=np.where(subset[:, None] < 0, 0, reference.body))
    moving = replace(moving, hands=np.stack([np.full((21, 2), -1.0), moving.hands[1]]))
    bridged = bridge([moving] * 32, reference, RATIO, 16)
    for number, one in enumerate(bridged):
        assert one is not None
        late = number >= 8
        assert (one.subset[legs] >= 0).all() == late
        assert seen_points(one.hands[hand]).any() == (not late)
        if late:
            assert np.allclose(one.body[legs], moving.body[legs])
        else:
            assert np.allclose(one.hands[hand, 0], one.body[7])


def test_a_joint_that_flickers_does_not_jump() -> None:
    """The elbow is lost, at 0, 0, in every other frame."""
    still, lost = standing(arm=20), standing(arm=20)
    subset, body = lost.subset.copy(), lost.body.copy()
    subset[6], body[6] = -1, 0.0
    lost = replace(lost, subset=subset, body=body)
    motion: list[PoseFrame | None] = [lost if k % 2 else still for k in range(32)]
    flickering = bridge(motion, standing(arm=80), RATIO, 16)
    steady = bridge([still] * 32, standing(arm=80), RATIO, 16)
    for one, other in zip(flickering[:16], steady[:16], strict=True):
        assert one is not None
        assert other is not None
        assert np.allclose(one.body, other.body)


def test_a_limb_that_is_lost_goes_on_hanging_on_the_moving_body() -> None:
    """Of a person who walks, an arm and a hand are found in the bridge's last frame only."""
    reference, still = standing(arm=80), standing(arm=20)
    arm = [6, 7]
    motion: list[PoseFrame | None] = []
    for number in range(32):
        step = np.array([0.01 * number, 0.0])
        one = replace(still, body=still.body + step, hands=still.hands + step)
        if number < 16:
            subset, body, hands = one.subset.copy(), one.body.copy(), one.hands.copy()
            subset[arm], body[arm], hands[0] = -1, 0.0, -1.0
            one = replace(one, subset=subset, body=body, hands=hands)
        motion.append(one)
    for number, one in enumerate(bridge(motion, reference, RATIO, 16)[:16]):
        assert one is not None
        assert np.allclose(lengths(one)[2:4], 0.12)
        assert (one.subset[arm] >= 0).all() == (number < 8)
        if number < 8:
            assert np.allclose(one.hands[0, 0], one.body[7])


def test_an_arm_towards_the_camera_does_not_spin() -> None:
    """A limb of no length has a direction of noise, which must not show."""
    rng = np.random.default_rng(4)
    motion: list[PoseFrame | None] = []
    for _ in range(32):
        one = standing(arm=90)
        body = one.body.copy()
        body[6] = body[5] + rng.uniform(-0.003, 0.003, 2)
        motion.append(replace(one, body=body))
    elbows = np.stack([one.body[6] for one in bridge(motion, standing(arm=90), RATIO, 16) if one is not None])
    shoulder = standing().body[5]
    assert (np.abs((elbows - shoulder)[:, 0]) < 0.005).all()


def test_nobody_at_first_is_bridged_to_who_comes() -> None:
    reference, came = standing(arm=80), standing(arm=10)
    bridged = bridge([None] * 6 + [came] * 26, reference, RATIO, 12)
    steady = bridge([came] * 32, reference, RATIO, 12)
    for one, other in zip(bridged, steady, strict=True):
        assert one is not None
        assert other is not None
        assert np.allclose(one.body, other.body)


def test_nobody_within_the_bridge_holds_the_reference() -> None:
    reference = standing(arm=80)
    assert bridge([None] * 20, reference, RATIO, 8) == [reference] * 8 + [None] * 12


@pytest.mark.parametrize(("length", "taken"), [(0, 0), (1, 0), (2, 1), (9, 4), (17, 8), (33, 16), (81, 16)])
def test_at_least_half_of_a_short_range_stays_the_motion(length: int, taken: int) -> None:
    moving = standing(arm=10)
    bridged = bridge([moving] * length, standing(arm=80), RATIO, 16)
    assert len(bridged) == length
    assert sum(one is not moving for one in bridged) == taken


def test_the_same_again_gives_the_same_bits_and_leaves_its_inputs() -> None:
    reference, motion = pose(1), [pose(k) for k in range(40)]
    copies = [one.body.copy() for one in motion]
    first, second = (bridge(motion, reference, RATIO, 16) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert one is not None
        assert other is not None
        assert np.array_equal(one.body, other.body)
        assert np.array_equal(one.hands, other.hands)
    assert all(np.array_equal(one.body, copy) for one, copy in zip(motion, copies, strict=True))
