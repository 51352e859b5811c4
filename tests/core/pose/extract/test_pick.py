"""Whom one can choose in a clip, in which order, and what the choice gives."""

from __future__ import annotations

import json

import numpy as np
import pytest

from core.errors import BadPose, BadSetting
from core.pose.extract.engine import Found
from core.pose.extract.pick import as_track, candidates, pick
from core.pose.extract.tracking import Identity

FPS = 10.0


def somebody(frames: range, height: float, x: float = 0.5, surest: float = 0.9) -> Identity:
    count = len(frames)
    rng = np.random.default_rng(count)
    points, scores = rng.uniform(0, 1, (count, 134, 2)), rng.uniform(0.4, 0.9, (count, 134))
    box = (x - 0.1, 0.9 - height, x + 0.1, 0.9)
    people: list[list[Found]] = [[] for _ in range(frames.stop)]
    for row, frame in enumerate(frames):
        people[frame] = [Found(points[row], scores[row], box, surest)]
    return Identity(
        people,
        np.array(list(frames), np.int64),
        np.zeros(count, np.int64),
        np.tile(np.array(box, np.float32), (count, 1)),
        scores[:, :18].mean(axis=1).astype(np.float32),
        surest,
    )


def test_the_largest_and_steadiest_comes_first() -> None:
    passing = somebody(range(40, 60), 0.9)
    small = somebody(range(100), 0.3)
    main = somebody(range(5, 100), 0.7)
    listed, ordered = candidates([passing, small, main], 100, FPS)
    assert [id(each) for each in ordered] == [id(main), id(small), id(passing)]
    assert [candidate.number for candidate in listed] == [0, 1, 2]
    assert pick(ordered, None) is pick(ordered, 0) is main


def test_a_candidate_tells_where_and_when() -> None:
    (candidate,), _ = candidates([somebody(range(20, 70), 0.6, x=0.3)], 100, FPS)
    assert (candidate.seen, candidate.first_s, candidate.last_s) == (0.5, 2.0, 6.9)
    assert candidate.height == pytest.approx(0.6)
    assert candidate.centre == pytest.approx((0.3, 0.6))
    assert candidate.box == pytest.approx((0.2, 0.3, 0.4, 0.9))


def test_the_thumbnail_is_of_the_frame_that_shows_most() -> None:
    person = somebody(range(20, 70), 0.6)
    person.certainty[13] = 1.0
    person.boxes[13] = (0.1, 0.2, 0.3, 0.4)
    (candidate,), _ = candidates([person], 100, FPS)
    assert candidate.shown_s == 3.3
    assert candidate.box == pytest.approx((0.1, 0.2, 0.3, 0.4))


def test_a_candidate_is_plain_json() -> None:
    (candidate,), _ = candidates([somebody(range(10), 0.6)], 10, FPS)
    data = json.loads(json.dumps(candidate.to_json()))
    assert set(data) == {"number", "seen", "height", "centre", "box", "shown_s", "first_s", "last_s"}
    assert data["box"] == [0.4, 0.3, 0.6, 0.9]


def test_fragments_are_not_listed() -> None:
    main, fragment = somebody(range(200), 0.6), somebody(range(50, 52), 0.9)
    assert candidates([fragment, main], 200, FPS)[1] == [main]


def test_what_is_short_only_in_time_or_only_in_share_is_listed() -> None:
    long_clip = [somebody(range(400), 0.6), somebody(range(50, 60), 0.6)]
    assert len(candidates(long_clip, 400, FPS)[1]) == 2
    short_clip = [somebody(range(10), 0.6), somebody(range(5, 7), 0.6)]
    assert len(candidates(short_clip, 10, FPS)[1]) == 2


def test_a_fragment_is_listed_where_there_is_nobody_else() -> None:
    first, larger = somebody(range(3, 4), 0.5), somebody(range(50, 52), 0.9)
    assert candidates([first, larger], 200, FPS)[1] == [larger]


def test_a_number_that_is_not_listed_is_refused_with_the_limit() -> None:
    people = [somebody(range(9), 0.5), somebody(range(9), 0.4)]
    for number in (2, -1):
        with pytest.raises(BadSetting) as caught:
            pick(people, number)
        assert (caught.value.value, caught.value.limit) == (number, "0 to 1")


def test_nobody_is_a_clear_sentence() -> None:
    assert candidates([], 100, FPS) == ([], [])
    with pytest.raises(BadPose, match="Nobody was found"):
        pick([], None)


def test_the_track_is_empty_where_the_person_is_not_seen() -> None:
    person = somebody(range(3, 8, 2), 0.5)
    track = as_track(person, 10, 720, 1280, 25.0)
    assert track.keypoints.shape == (10, 1, 134, 2)
    np.testing.assert_array_equal(np.flatnonzero(track.scores[:, 0, 0]), [3, 5, 7])
    np.testing.assert_allclose(track.keypoints[5, 0], person.people[5][0].keypoints, atol=1e-6)
    assert (track.width, track.height, track.fps) == (720, 1280, 25.0)
