"""What is moved by hand becomes pose edits, and edits become what was moved by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.pose.edit import check_edits, edit_pose
from core.pose.skeleton import PoseFrame, threshold
from core.types import PoseEdit
from desktop.model.fitted import ByHand, level_of, taken_apart
from tests.core.pose.figures import track

RATIO = 0.6
PIVOT = (0.5, 0.3)
NUMBERS = {
    "scale": st.floats(0.3, 3.0),
    "degrees": st.floats(-179.0, 179.0),
    "x": st.floats(-0.6, 0.6),
    "y": st.floats(-0.6, 0.6),
}


def pose() -> PoseFrame:
    figures = track(1)
    return threshold(figures.keypoints[0], figures.scores[0])


@settings(deadline=None, max_examples=60)
@given(hand=st.builds(ByHand, **NUMBERS, lengths=st.just({"arms": 1.2})))
def test_edits_and_hand_are_the_same(hand: ByHand) -> None:
    edits = hand.edits(PIVOT)
    check_edits(edits)
    rest, again, pivot = taken_apart(edits, (0.1, 0.9), RATIO)
    assert rest == ()
    assert again.edits(pivot) == pytest.approx(edits) or again.edits(pivot) == edits


@settings(deadline=None, max_examples=60)
@given(first=st.builds(ByHand, **NUMBERS), about=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_many_moves_in_one_are_the_same_picture(first: ByHand, about: tuple[float, float]) -> None:
    """Whatever pivots a file's edits have, they come out as one move."""
    more = (
        PoseEdit("scale", {"factor": 0.9, "about_x": about[0], "about_y": about[1]}),
        PoseEdit("offset", {"x": 0.02}),
        PoseEdit("rotate", {"degrees": 12.0, "about_x": 0.4, "about_y": 0.6}),
    )
    edits = (*first.edits(PIVOT), *more)
    _, hand, pivot = taken_apart(edits, PIVOT, RATIO)
    one, many = edit_pose(pose(), hand.edits(pivot), RATIO), edit_pose(pose(), edits, RATIO)
    assert np.abs(one.body - many.body).max() < 1e-3


def test_edits_before_another_kind_stay_where_they_are() -> None:
    neck = PoseEdit("scale", {"factor": 1.1})
    mine = PoseEdit("offset", {"x": 0.1})
    edits = (PoseEdit("mirror"), PoseEdit("offset", {"y": 0.2}), neck, mine)
    rest, hand, pivot = taken_apart(edits, PIVOT, RATIO)
    assert rest == edits[:3]
    assert (*rest, *hand.edits(pivot)) == edits


def test_limbs_of_one_side_are_not_ours() -> None:
    edits = (PoseEdit("limbs", {"left_arm": 1.1}), PoseEdit("offset", {"x": 0.1}))
    rest, hand, _ = taken_apart(edits, PIVOT, RATIO)
    assert rest == edits[:1]
    assert hand.lengths == {}


def test_scaling_keeps_the_point_that_it_is_about() -> None:
    hand = ByHand(scale=1.2, x=0.1, y=-0.05)
    neck = pose().body[1]
    before = edit_pose(pose(), hand.edits((0.5, 0.5)), 1.0).body[1]
    centre = (float(before[0]) - 0.5, float(before[1]) - 0.5)
    after = edit_pose(pose(), hand.scaled(1.5, centre).edits((0.5, 0.5)), 1.0).body[1]
    assert after == pytest.approx(before, abs=1e-4)
    assert not np.allclose(neck, after)


def test_nothing_leaves_its_range() -> None:
    hand = ByHand()
    for _ in range(40):
        hand = hand.scaled(2.0, (0.5, 0.5)).moved(1.0, -1.0).turned(170.0).lengthened("legs", 100.0)
    check_edits(hand.edits(PIVOT))
    assert math.isclose(hand.scale, 10.0)
    assert -180 <= hand.degrees <= 180


def test_nothing_done_is_no_edit() -> None:
    assert ByHand().edits(PIVOT) == ()
    assert ByHand().lengthened("arms", 1.0).edits(PIVOT) == ()


@pytest.mark.parametrize(
    ("score", "level"), [(100, "good"), (75, "good"), (74, "fair"), (50, "fair"), (49, "poor"), (0, "poor")]
)
def test_the_traffic_light(score: int, level: str) -> None:
    assert level_of(score) == level
