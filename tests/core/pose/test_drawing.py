"""Skeletons: goldens, the threshold, drawings of other sizes, and negatives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.evaluation.golden.run import run_file
from core.pose.augment import negative, uniforms
from core.pose.draw import COLOURS, draw
from core.pose.skeleton import LIMBS, PoseFrame, coco_to_openpose, threshold, threshold_people

GOLDEN = Path(__file__).parents[2] / "golden"
UNIFORMS = [-0.16889406936621212, -0.1587029188445128, 1.0159835112875855, 0.9149878813653226]
BODY = [
    [0.5324151599803526, 0.2360153011203725],
    [0.06292488026842483, 0.39572035983213705],
    [0.3779665290738167, 0.9184010190103616],
]
AUGMENTED = [
    [0.5324151599803526, 0.2360153011203725],
    [0.09597108015016184, 0.398273007440741],
    [0.3888377665604154, 0.9293079388347434],
]


@pytest.mark.parametrize("name", ["pose_map_a", "pose_draw_a"])
def test_goldens(name: str) -> None:
    rows = run_file(GOLDEN / f"{name}.safetensors")
    assert len(rows) >= 4
    assert [row for row in rows if not row.passed] == []


def test_pictures_are_exact() -> None:
    rows = run_file(GOLDEN / "pose_draw_a.safetensors")
    pictures = [row for row in rows if "image" in row.tensor]
    assert len(pictures) == 3
    assert max(row.max_abs_error for row in pictures) == 0


def test_neck_lies_between_the_shoulders() -> None:
    points = np.random.default_rng(0).random((1, 133, 2))
    scores = np.full((1, 133), 0.9)
    scores[0, 6] = 0.3
    mapped, certain = coco_to_openpose(points, scores)
    assert np.allclose(mapped[0, 1], (points[0, 5] + points[0, 6]) / 2)
    assert certain[0, 1] == 0
    assert np.array_equal(mapped[0, [2, 5, 8, 11]], points[0, [6, 5, 12, 11]])


def test_threshold_keeps_body_and_drops_hands() -> None:
    points = np.full((1, 134, 2), 0.5)
    scores = np.full((1, 134), 0.35)
    pose = threshold(points, scores)
    assert (pose.subset == -1).all()
    assert (pose.body == 0.5).all()
    assert (pose.hands == 0.5).all()
    scores[:, 92:] = 0.349
    assert (threshold(points, scores).hands == -1).all()


def test_two_people_get_their_own_hands() -> None:
    points = np.zeros((2, 134, 2))
    points[0, 92:113], points[0, 113:], points[1, 92:113], points[1, 113:] = 0.1, 0.2, 0.3, 0.4
    people = threshold_people(points, np.ones((2, 134)))
    assert people.subset[1].tolist() == list(range(18, 36))
    assert people.person(0).hands[:, 0, 0].tolist() == [0.1, 0.2]
    assert people.person(1).hands[:, 0, 0].tolist() == [0.3, 0.4]
    assert people.person(1).subset.tolist() == list(range(18))


def _pose(seed: int) -> PoseFrame:
    rng = np.random.default_rng(seed)
    return threshold(rng.uniform(0.1, 0.9, (1, 134, 2)), np.ones((1, 134)))


@pytest.mark.parametrize("size", [(97, 61), (512, 320), (1024, 576)])
def test_colours_and_order(size: tuple[int, int]) -> None:
    pose = _pose(1)
    picture = draw(pose, *size, hands=False)
    assert picture.shape == (*size, 3)
    x, y = (pose.body[17] * [size[1], size[0]]).astype(int)
    assert tuple(picture[y, x]) == COLOURS[17]  # the last joint lies on top, in full colour
    dim = {tuple(int(value * 0.6) for value in colour) for colour in COLOURS[: len(LIMBS)]}
    seen = {tuple(pixel) for pixel in picture.reshape(-1, 3).tolist()}
    assert seen <= dim | set(COLOURS) | {(0, 0, 0)}


def test_undrawn_joints_take_their_limbs_along() -> None:
    pose = _pose(2)
    subset = np.full(18, -1)
    subset[[0, 4]] = [0, 4]  # no limb joins these two
    picture = draw(PoseFrame(pose.body, subset, pose.hands, pose.faces), 200, 100, hands=False)
    assert {tuple(p) for p in picture.reshape(-1, 3).tolist()} == {(0, 0, 0), COLOURS[0], COLOURS[4]}


def test_hands_are_a_choice_and_far_points_do_no_harm() -> None:
    pose = _pose(3)
    assert not np.array_equal(draw(pose, 200, 100), draw(pose, 200, 100, hands=False))
    away = PoseFrame(pose.body + 1e9, pose.subset, np.full((2, 21, 2), -1.0), pose.faces)
    assert draw(away, 64, 64).max() == 0


def test_negative_equals_the_reference() -> None:
    """Numbers of golden ``pose_align_a``, case 1, frame 1: neck, right wrist, right ankle."""
    body = np.zeros((18, 2))
    body[[1, 4, 10]] = BODY
    pose = PoseFrame(body, np.arange(18), np.full((2, 21, 2), 0.25), np.zeros((68, 2)))
    stretched = negative(pose, np.array(UNIFORMS))
    assert np.abs(stretched.body[[1, 4, 10]] - AUGMENTED).max() < 1e-9
    # Hands follow the same rule.
    factors = np.array([UNIFORMS[2] * UNIFORMS[3], UNIFORMS[2]])
    assert np.allclose(stretched.hands[0, 0], body[1] + factors * (0.25 - body[1]))


def test_negatives_are_fresh_per_frame_and_repeatable() -> None:
    first, again, other = uniforms(5, 40), uniforms(5, 12), uniforms(6, 40)
    assert np.array_equal(first[:12], again)
    assert not np.array_equal(first, other)
    assert len(np.unique(first[:, 2])) == 40
    assert (np.abs(first[:, :2]) <= 0.2).all()
    assert 0.7 <= first[:, 2].min() < 0.8 < 1.2 < first[:, 2].max() <= 1.3
    assert 0.6 <= first[:, 3].min() < 0.8 < 1.2 < first[:, 3].max() <= 1.4
    assert not np.allclose(negative(_pose(1), first[0]).body, negative(_pose(1), first[1]).body)
    generator = negative(_pose(1), np.random.default_rng(3))
    assert np.array_equal(generator.body, negative(_pose(1), np.random.default_rng(3)).body)
