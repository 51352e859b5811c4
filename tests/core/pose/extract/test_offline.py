"""The offline engine on the demo characters, whose joints are known."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from core.catalogue.pose_models import offline_models
from core.errors import BadCheckpoint
from core.pose.extract.crops import Levels, Square, upright
from core.pose.extract.engine import Found
from core.pose.extract.hand import Arm, Hand, HandFinder, tell_apart
from core.pose.extract.litert import Network
from core.pose.extract.offline import OfflineEngine
from core.pose.skeleton import LEFT_HAND, RIGHT_HAND, Floats
from tests.core.pose.demo_people import CHARACTERS, Picture, character, engine, joints, moved


def body(found: Found) -> Floats:
    return found.keypoints[:18]


@cache
def alone(name: str) -> Found:
    """The one person in a character's picture, looked for once."""
    (person,) = engine().people(character(name))
    return person


@cache
def pair() -> Picture:
    """Ada on the left, Emre on the right."""
    return np.concatenate([character("Ada"), character("Emre")], axis=1)


@cache
def both_found() -> list[Found]:
    """Who is in ``pair``, from left to right."""
    return sorted(engine().people(pair()), key=lambda person: person.box[0])


@pytest.mark.parametrize("name", sorted(path.stem for path in CHARACTERS.glob("*.png")))
def test_joints_are_where_they_were_drawn(name: str) -> None:
    person = alone(name)
    truth, there = joints(name)
    apart = np.linalg.norm(body(person) - truth, axis=1)[there > 0]
    assert np.median(apart) < 0.02
    assert apart[:-2].max() < 0.045
    # The engine puts ears where people have them, and drawn heads are large.
    assert apart.max() < 0.08
    assert person.score > 0.5
    assert (person.scores[:18] > 0.35).all()


def test_left_stays_left_in_a_mirror() -> None:
    person = alone("Freya")
    (mirrored,) = engine().people(np.ascontiguousarray(character("Freya")[:, ::-1]))
    swapped = [0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16]
    expected = body(person)[swapped] * [-1, 1] + [1, 0]
    assert np.abs(body(mirrored) - expected).max() < 0.02


def test_joints_move_with_the_person() -> None:
    person = alone("Dayo")
    (after,) = engine().people(moved(character("Dayo"), 0.1, -0.05, 0.8))
    expected = (body(person) - 0.5) * 0.8 + 0.5 + [0.1, -0.05]
    assert np.abs(body(after) - expected).max() < 0.03


def test_a_wide_picture_of_two_people_shows_both() -> None:
    left, right = both_found()
    for person, name, shift in ((left, "Ada", 0.0), (right, "Emre", 1.0)):
        truth, there = joints(name)
        apart = np.linalg.norm(body(person) * [2, 1] - [shift, 0] - truth, axis=1)[there > 0]
        assert np.median(apart) < 0.025


def test_two_who_stand_together_in_a_very_wide_picture_are_two() -> None:
    """A small share of the width is many pixels there."""
    wall = np.full((288, 14 * 288, 3), character("Ada")[0, 0], np.uint8)
    people = engine().people(np.concatenate([character("Ada"), character("Emre"), wall], axis=1))
    assert len(people) == 2


def test_the_box_holds_what_is_seen() -> None:
    person = alone("Bruno")
    left, top, right, bottom = person.box
    seen = person.keypoints[person.scores > 0.3]
    assert (seen.min(axis=0) >= [left, top]).all()
    assert (seen.max(axis=0) <= [right, bottom]).all()


def test_nobody_in_noise_or_in_the_dark() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    assert engine().people(noise) == []
    assert engine().people(np.zeros((200, 100, 3), np.uint8)) == []


def test_who_was_there_is_followed_without_the_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [alone("Ada")]

    def refuse(*_: object) -> None:
        raise AssertionError("the detector ran")

    monkeypatch.setattr(engine()._detector, "find", refuse)
    (after,) = engine().people(moved(character("Ada"), 0.03, 0.02), before, look=False)
    assert np.abs(body(after) - body(before[0]) - [0.03, 0.02]).max() < 0.03


def test_a_newcomer_is_found_when_looked_for_and_nobody_twice() -> None:
    before = both_found()[:1]
    assert len(engine().people(pair(), before, look=False)) == 1
    assert len(engine().people(pair(), before, look=True)) == 2


def test_equal_pictures_give_equal_results() -> None:
    first, (second,) = alone("Chiyo"), engine().people(character("Chiyo"))
    assert (first.keypoints == second.keypoints).all()
    assert first.hint == second.hint


def test_hands_hang_on_their_own_arms() -> None:
    points = np.zeros((21, 2))
    points[9] = [0, -10]
    left, right = (Hand(points + np.array([x, 50.0]), 0.9, 0.5) for x in (100.0, 200.0))
    wrists = {"left": np.array([102.0, 55.0]), "right": np.array([201.0, 52.0])}
    assert set(tell_apart({"left": left, "right": right}, wrists)) == {"left", "right"}
    # Both found the same hand: it goes to the nearer wrist.
    near = {"left": np.array([101.0, 52.0]), "right": np.array([108.0, 58.0])}
    assert set(tell_apart({"left": left, "right": left}, near)) == {"left"}


@pytest.mark.parametrize(
    ("answers", "looks", "found"),
    [
        ("y", 1, True),  # where it was before: one look
        ("nyy", 3, True),  # lost, seen from the arm: a second, closer look
        ("nyn", 3, True),  # the closer look failed: the rough one stands
        ("nnnyy", 5, True),  # only straight on from the forearm
        ("nnnn", 4, False),
        ("fnnn", 4, False),  # a hand far from the wrist is another arm's
    ],
)
def test_a_hand_is_looked_for_where_it_was_then_where_the_arm_ends(
    answers: str, looks: int, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    palm = np.full((21, 2), 100.0)
    palm[9] = [100, 80]
    hands = {
        "y": Hand(palm, 0.9, 0.5),
        "n": Hand(palm, 0.1, 0.5),
        "f": Hand(palm + np.array([90.0, 0.0]), 0.9, 0.5),
    }
    finder = HandFinder(offline_models().files["hand"], 1)
    left = list(answers)
    monkeypatch.setattr(finder, "_look", lambda *_: hands[left.pop(0)])
    arm = Arm(*(np.array(place) for place in ((100.0, 180.0), (100.0, 105.0), (95.0, 80.0), (110.0, 82.0))))
    hand = finder.find(Levels(np.zeros((200, 200, 3), np.uint8)), arm, palm)
    assert (hand is not None) == found
    assert len(answers) - len(left) == looks


def test_a_hand_is_there_as_a_whole_or_not_at_all() -> None:
    person = alone("Ada")
    for hand in (LEFT_HAND, RIGHT_HAND):
        assert ((person.scores[hand] == 0) | (person.scores[hand] >= 0.5)).all()


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.5, math.pi])
def test_a_square_cuts_what_it_says(angle: float) -> None:
    picture = np.zeros((400, 500, 3), np.uint8)
    square = Square(260.0, 190.0, 120.0, angle)
    spot = square.to_picture(np.array([[0.25, 0.6]]))[0]
    row, column = int(spot[1]), int(spot[0])
    picture[row - 3 : row + 4, column - 3 : column + 4] = 255
    piece = Levels(picture).cut(square, 60)
    y, x = np.argwhere(piece[..., 0] > 128).mean(axis=0)
    assert (x + 0.5, y + 0.5) == pytest.approx((15, 36), abs=1.0)


def test_large_squares_are_averaged_not_skipped() -> None:
    stripes = np.zeros((1024, 1024, 3), np.uint8)
    stripes[:, ::2] = 200
    piece = Levels(stripes).cut(Square(512, 512, 1000), 64)
    assert np.abs(piece[4:-4, 4:-4].astype(int) - 100).max() <= 2


def test_up_is_from_the_hips_to_the_head() -> None:
    assert upright(np.array([5.0, 9.0]), np.array([5.0, 1.0])) == pytest.approx(0.0)
    assert upright(np.array([0.0, 0.0]), np.array([1.0, 0.0])) == pytest.approx(math.pi / 2)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "other"])
def test_a_file_that_is_no_such_network_is_named(damage: str, tmp_path: Path) -> None:
    files = offline_models().files
    path = tmp_path / "pose_detection.tflite"
    whole = files["hand" if damage == "other" else "detector"].read_bytes()
    if damage != "missing":
        path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 3], "other": whole}[damage])
    with pytest.raises(BadCheckpoint, match=r"pose_detection\.tflite") as caught:
        OfflineEngine(path, files["body"], files["hand"])
    assert caught.value.action


def test_a_network_counts_its_outputs() -> None:
    with pytest.raises(BadCheckpoint, match="not the pose network"):
        Network(offline_models().files["hand"], 224, (64, 1), 1)
