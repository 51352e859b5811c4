"""What each pose edit does, and what it leaves alone."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadSetting
from core.pose.edit import edit_pose, edit_track
from core.pose.limbs import seen_points
from core.pose.skeleton import LEFT_HAND, LIMBS, NECK, RIGHT_HAND, Floats, PoseFrame, PoseTrack, threshold
from core.types import PoseEdit
from tests.core.pose.figures import figure, track

RATIO = 0.75
NEUTRAL = [
    PoseEdit("offset", {"x": 0.0}),
    PoseEdit("scale", {"factor": 1.0, "about_x": 0.3, "about_y": 0.9}),
    PoseEdit("rotate", {"degrees": 0.0}),
    PoseEdit("limbs", {"arms": 1.0}),
]
FACTORS = st.floats(0.5, 2.0)
quick = settings(max_examples=25, deadline=None)


def pose(seed: int = 0, unseen: float = 0.0) -> PoseFrame:
    """A random figure with a face, a share of its points not seen."""
    rng = np.random.default_rng(seed)
    points = figure(rng)
    points[24:92] = points[0] + rng.uniform(-0.02, 0.02, (68, 2))
    return threshold(points[None], (rng.random((1, 134)) >= unseen).astype(float))


def drawn(frame: PoseFrame) -> Floats:
    """Everything that is seen, in units of the height."""
    parts = (
        frame.body[frame.subset >= 0],
        frame.hands[seen_points(frame.hands)],
        frame.faces[seen_points(frame.faces)],
    )
    return np.concatenate(parts) * [RATIO, 1.0]


def lengths(frame: PoseFrame) -> Floats:
    body = frame.body * [RATIO, 1.0]
    return np.array([math.dist(body[a], body[b]) for a, b in LIMBS])


def same(first: PoseFrame, second: PoseFrame) -> bool:
    return all(
        np.allclose(getattr(first, name), getattr(second, name), atol=1e-9)
        for name in ("body", "subset", "hands", "faces")
    )


@quick
@given(st.integers(0, 99), st.floats(0, 1), st.permutations(NEUTRAL))
def test_neutral_edits_change_nothing(seed: int, unseen: float, edits: list[PoseEdit]) -> None:
    before = pose(seed, unseen)
    assert edit_pose(before, edits, RATIO) is before


@quick
@given(
    st.integers(0, 99),
    st.floats(0, 1),
    st.fixed_dictionaries({"head": FACTORS, "arms": FACTORS, "left_leg": FACTORS, "right_hand": FACTORS}),
    st.floats(-360, 360),
    st.floats(-2, 2),
)
def test_what_is_not_seen_stays_and_nothing_becomes_nan(
    seed: int, unseen: float, limbs: dict[str, float], degrees: float, x: float
) -> None:
    before = pose(seed, unseen)
    edits = [PoseEdit("limbs", limbs), PoseEdit("rotate", {"degrees": degrees}), PoseEdit("offset", {"x": x})]
    after = edit_pose(before, [*edits, PoseEdit("scale", {"factor": 0.3})], RATIO)
    assert np.array_equal(after.subset, before.subset)
    assert np.array_equal(after.body[before.subset < 0], before.body[before.subset < 0])
    for one, other in ((after.hands, before.hands), (after.faces, before.faces)):
        assert np.isfinite(one).all()
        assert (one[~seen_points(other)] == -1).all()
        assert (seen_points(one) == seen_points(other)).all()
    assert np.isfinite(after.body).all()


def test_offset_moves_equally_far_along_both_axes() -> None:
    before = pose()
    after = edit_pose(before, [PoseEdit("offset", {"x": 0.1, "y": -0.1})], RATIO)
    assert np.allclose(drawn(after) - drawn(before), [0.1, -0.1])


def test_scale_keeps_the_neck_or_the_point_that_was_given() -> None:
    before = pose()
    after = edit_pose(before, [PoseEdit("scale", {"factor": 2.0})], RATIO)
    assert np.allclose(after.body[NECK], before.body[NECK])
    assert np.allclose(lengths(after), 2 * lengths(before))
    point = {"factor": 2.0, "about_x": 0.2, "about_y": 0.9}
    after = edit_pose(before, [PoseEdit("scale", point)], RATIO)
    assert np.allclose(after.body - [0.2, 0.9], 2 * (before.body - [0.2, 0.9]))


def test_without_a_neck_the_hips_stay() -> None:
    before = pose()
    subset = before.subset.copy()
    subset[NECK] = -1
    after = edit_pose(replace(before, subset=subset), [PoseEdit("scale", {"factor": 2.0})], RATIO)
    assert np.allclose(after.body[[8, 11]].mean(axis=0), before.body[[8, 11]].mean(axis=0))
    assert np.array_equal(after.body[NECK], before.body[NECK])


def test_rotation_is_clockwise_and_keeps_shapes_on_a_canvas_that_is_not_square() -> None:
    before = pose()
    after = edit_pose(before, [PoseEdit("rotate", {"degrees": 90.0})], RATIO)
    assert np.allclose(lengths(after), lengths(before))
    # The head was above the neck: a quarter turn clockwise lays it to the right.
    head = (after.body[0] - after.body[NECK]) * [RATIO, 1.0]
    assert np.allclose(head, [0.1, 0.0])


@quick
@given(st.integers(0, 99), st.floats(0, 1), st.sampled_from([-360.0, 360.0]), st.floats(-360, 360))
def test_whole_turns_change_nothing_and_turns_can_be_undone(
    seed: int, unseen: float, whole: float, degrees: float
) -> None:
    before = pose(seed, unseen)
    assert edit_pose(before, [PoseEdit("rotate", {"degrees": whole})], RATIO) is before
    there = {"degrees": degrees, "about_x": 0.1, "about_y": 0.2}
    back = there | {"degrees": -degrees}
    assert same(edit_pose(before, [PoseEdit("rotate", there), PoseEdit("rotate", back)], RATIO), before)


@quick
@given(st.integers(0, 99), st.floats(0.5, 2.0))
def test_a_scaled_limb_carries_what_is_further_out(seed: int, factor: float) -> None:
    before = pose(seed)
    after = edit_pose(before, [PoseEdit("limbs", {"left_upper_arm": factor})], RATIO)
    expected = lengths(before)
    expected[LIMBS.index((5, 6))] *= factor
    assert np.allclose(lengths(after), expected)
    step = after.body[6] - before.body[6]
    assert np.allclose(after.body[7] - before.body[7], step)
    assert np.allclose(after.hands[0] - before.hands[0], step)
    assert np.array_equal(after.hands[1], before.hands[1])


@pytest.mark.parametrize(
    ("part", "scaled"),
    [
        ("head", {(1, 0), (0, 14), (14, 16), (0, 15), (15, 17)}),
        ("shoulders", {(1, 2), (1, 5)}),
        ("torso", {(1, 8), (1, 11)}),
        ("arms", {(2, 3), (3, 4), (5, 6), (6, 7)}),
        ("right_arm", {(2, 3), (3, 4)}),
        ("lower_arms", {(3, 4), (6, 7)}),
        ("hands", set()),
        ("legs", {(8, 9), (9, 10), (11, 12), (12, 13)}),
        ("left_lower_leg", {(12, 13)}),
    ],
)
def test_a_part_is_these_limbs(part: str, scaled: set[tuple[int, int]]) -> None:
    before = pose()
    after = edit_pose(before, [PoseEdit("limbs", {part: 1.5})], RATIO)
    factors = np.array([1.5 if limb in scaled else 1.0 for limb in LIMBS])
    assert np.allclose(lengths(after), factors * lengths(before))
    for row in range(2):
        grown = np.ptp(after.hands[row], axis=0) / np.ptp(before.hands[row], axis=0)
        assert np.allclose(grown, 1.5 if part == "hands" else 1.0)
    face = np.ptp(after.faces, axis=0) / np.ptp(before.faces, axis=0)
    assert np.allclose(face, 1.5 if part == "head" else 1.0)


def test_factors_of_overlapping_parts_multiply() -> None:
    once = edit_pose(pose(), [PoseEdit("limbs", {"arms": 1.2, "left_lower_arm": 1.1})], RATIO)
    assert lengths(once)[LIMBS.index((6, 7))] == pytest.approx(1.32 * lengths(pose())[LIMBS.index((6, 7))])


def test_a_wrist_without_its_elbow_hangs_on_the_shoulder() -> None:
    before = pose()
    subset, body = before.subset.copy(), before.body.copy()
    subset[6], body[6] = -1, 0.0
    before = replace(before, subset=subset, body=body)
    after = edit_pose(before, [PoseEdit("limbs", {"left_upper_arm": 1.5})], RATIO)
    assert np.allclose(after.body[7] - after.body[5], 1.25 * (before.body[7] - before.body[5]))
    assert (after.body[6] == 0).all()


def test_edits_are_made_in_the_order_of_the_list() -> None:
    turn, move = (
        PoseEdit("rotate", {"degrees": 90.0, "about_x": 0, "about_y": 0}),
        PoseEdit("offset", {"x": 0.1}),
    )
    assert not same(edit_pose(pose(), [turn, move], RATIO), edit_pose(pose(), [move, turn], RATIO))


def test_each_stage_passes_over_the_other_s_edits() -> None:
    clip, before = track(3), pose()
    assert edit_track(clip, NEUTRAL) is clip
    assert edit_pose(before, [PoseEdit("mirror"), PoseEdit("hold")], RATIO) is before
    for call in (lambda e: edit_track(clip, e), lambda e: edit_pose(before, e, RATIO)):
        with pytest.raises(BadSetting):
            call([PoseEdit("nothing")])


@quick
@given(st.integers(0, 99))
def test_mirrored_twice_is_as_before(seed: int) -> None:
    clip = sparse(seed)
    twice = edit_track(clip, [PoseEdit("mirror"), PoseEdit("mirror")])
    assert np.allclose(twice.keypoints, clip.keypoints)
    assert np.array_equal(twice.scores, clip.scores)


def test_a_mirror_exchanges_left_and_right_of_body_hands_feet_and_face() -> None:
    clip = track(1)
    points = clip.keypoints.copy()
    points[0, 0, 18:92] = np.random.default_rng(1).random((74, 2))
    clip = replace(clip, keypoints=points)
    mirrored = edit_track(clip, [PoseEdit("mirror")]).keypoints[0, 0]
    points = points[0, 0] * [-1, 1] + [1, 0]
    # Wrists, knees, toes; first fingers; chin and its sides; corners of eyes and mouth.
    for one, other in (
        (4, 7),
        (9, 12),
        (18, 21),
        (100, 121),
        (32, 32),
        (24, 40),
        (60, 69),
        (72, 78),
        (84, 88),
    ):
        assert np.allclose(mirrored[one], points[other])
        assert np.allclose(mirrored[other], points[one])


def test_a_symmetric_face_is_its_own_mirror_image() -> None:
    # 68 points of a schematic face, written as the left half: (distance from the middle, height).
    face = np.zeros((68, 2))
    for n in range(17):
        face[n] = math.cos(math.pi * (1 - n / 16)), math.sin(math.pi * n / 16)
    for n in range(5):
        face[17 + n], face[26 - n] = (-0.8 + 0.15 * n, -0.4), (0.8 - 0.15 * n, -0.4)
    face[27:31, 1] = np.linspace(-0.3, 0.1, 4)
    face[31:36, 0] = np.linspace(-0.2, 0.2, 5)
    eyes = [(36, 45, -0.6, 0), (37, 44, -0.5, -0.1), (38, 43, -0.4, -0.1), (39, 42, -0.3, 0)]
    for eye, mirror, x, y in [*eyes, (40, 47, -0.4, 0.1), (41, 46, -0.5, 0.1)]:
        face[eye], face[mirror] = (x, y), (-x, y)
    face[48:55] = [(x, 0.5 - 0.1 * (1 - abs(x))) for x in np.linspace(-0.4, 0.4, 7)]
    face[55:60] = [(x, 0.7) for x in np.linspace(0.3, -0.3, 5)]
    face[60:65] = [(x, 0.52) for x in np.linspace(-0.3, 0.3, 5)]
    face[65:68] = [(x, 0.58) for x in np.linspace(0.2, -0.2, 3)]
    points = np.zeros((1, 1, 134, 2))
    points[0, 0, 24:92] = face * 0.1 + 0.5
    clip = PoseTrack(points, np.ones((1, 1, 134)), 100, 100, 16.0)
    mirrored = edit_track(clip, [PoseEdit("mirror")]).keypoints
    assert np.allclose(mirrored[0, 0, 24:92], points[0, 0, 24:92])


def sparse(seed: int = 0, frames: int = 6) -> PoseTrack:
    """A track with points that were not found: 0, 0 with score 0."""
    clip = track(frames, seed)
    scores = (np.random.default_rng(seed).random(clip.scores.shape) > 0.3).astype(float)
    return replace(clip, scores=scores, keypoints=clip.keypoints * (scores > 0)[..., None])


def test_a_point_without_a_place_has_none_after_a_mirror_either() -> None:
    mirrored = edit_track(sparse(), [PoseEdit("mirror")])
    assert (mirrored.keypoints[mirrored.scores == 0] == 0).all()


def test_drop_takes_the_hand_of_the_range_and_nothing_else() -> None:
    clip = track(8, fps=4.0)
    edit = PoseEdit("drop", {"left_hand": 1, "right_hand": 0, "from_s": 0.5, "to_s": 1.5})
    scores = edit_track(clip, [edit]).scores[:, 0]
    assert (scores[2:6, LEFT_HAND] == 0).all()
    rest = scores.copy()
    rest[2:6, LEFT_HAND] = 1
    assert (rest == 1).all()
    assert not edit_track(clip, [PoseEdit("drop", {"right_hand": 1})]).scores[:, 0, RIGHT_HAND].any()


def test_a_dropped_face_keeps_the_nose_and_the_places_that_alignment_measures_on() -> None:
    clip = track(2)
    dropped = edit_track(clip, [PoseEdit("drop", {"face": 1})])
    assert np.flatnonzero(dropped.scores[0, 0] == 0).tolist() == [14, 15, 16, 17, *range(24, 92)]
    assert np.array_equal(dropped.keypoints, clip.keypoints)


def test_hold_shows_one_pose_over_the_range() -> None:
    clip = track(8, fps=4.0)
    held = edit_track(clip, [PoseEdit("hold", {"at_s": 1.5, "from_s": 0.5, "to_s": 1.25})]).keypoints
    source = [0, 1, 6, 6, 6, 5, 6, 7]
    assert np.array_equal(held, clip.keypoints[source])
    held = edit_track(clip, [PoseEdit("hold", {"from_s": 1.0})]).keypoints
    assert np.array_equal(held, clip.keypoints[[0, 1, 2, 3, 4, 4, 4, 4]])
    assert np.array_equal(edit_track(clip, [PoseEdit("hold")]).keypoints, clip.keypoints[[0] * 8])


def test_a_range_shorter_than_a_frame_is_the_frame_that_shows_then() -> None:
    clip = track(4, fps=4.0)
    held = edit_track(clip, [PoseEdit("hold", {"at_s": 0, "from_s": 0.55, "to_s": 0.6})]).keypoints
    assert np.array_equal(held, clip.keypoints[[0, 1, 0, 3]])


def test_times_are_the_clip_s_also_of_a_track_that_begins_later() -> None:
    clip = track(8, fps=4.0)
    edit = PoseEdit("hold", {"from_s": 10.5, "to_s": 11.0})
    held = edit_track(clip, [edit], start_s=10.0).keypoints
    assert np.array_equal(held, clip.keypoints[[0, 1, 2, 2, 4, 5, 6, 7]])
    assert edit_track(clip, [edit]) is clip
    with pytest.raises(BadSetting) as refused:
        edit_track(clip, [PoseEdit("hold", {"at_s": 9.0, "to_s": 11.0})], start_s=10.0)
    assert refused.value.value == "9 s"
    assert refused.value.limit == "10 to 12 s"
