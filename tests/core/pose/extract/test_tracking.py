"""One identity a person: crossings, absences, cuts, rows of a file that switch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.pose.extract.assignment import assign
from core.pose.extract.engine import Found
from core.pose.extract.tracking import Identity, follow, identities_of
from core.pose.skeleton import PoseTrack
from tests.core.pose.extract.dancers import FPS, Dancer, dancers_of, filmed
from tests.core.pose.figures import track as random_figures

ALONE = 0.6


def sets_of_dancers(
    identities: Sequence[Identity], found: Sequence[Sequence[Found]], who: Sequence[Sequence[int]]
) -> list[set[int]]:
    return [set(dancers_of(identity, found, who)) for identity in identities]


def between(*ranges: tuple[int, int]) -> object:
    return lambda frame: any(first <= frame < end for first, end in ranges)


@pytest.mark.parametrize("seed", range(5))
def test_two_who_cross_each_other_keep_their_identities(seed: int) -> None:
    left = Dancer(lambda f: 0.2 + 0.006 * f, phase=0.3 + seed)
    right = Dancer(lambda f: 0.8 - 0.006 * f, phase=1.9 * seed, height=0.66)
    found, who = filmed([left, right], 100, seed)
    identities = follow(found, FPS)
    assert sets_of_dancers(identities, found, who) in ([{0}, {1}], [{1}, {0}])
    assert all(len(identity.frames) > 94 for identity in identities)


@pytest.mark.parametrize("seed", range(5))
def test_one_who_passes_behind_another_comes_out_as_the_same(seed: int) -> None:
    front = Dancer(lambda _: 0.5, phase=seed)
    behind = Dancer(
        lambda f: 0.15 + 0.008 * f, height=0.62, there=lambda f: not 38 <= f < 48, phase=0.8 * seed
    )
    found, who = filmed([front, behind], 90, seed)
    identities = follow(found, FPS)
    assert sorted(map(sorted, sets_of_dancers(identities, found, who))) == [[0], [1]]
    assert sorted(len(identity.frames) for identity in identities) == [80, 90]


def test_one_who_turns_back_behind_another_comes_out_as_the_same() -> None:
    front = Dancer(lambda _: 0.55)
    behind = Dancer(
        lambda f: 0.2 + 0.008 * min(f, 80 - f), height=0.62, there=lambda f: not 34 <= f < 46, phase=2.0
    )
    found, who = filmed([front, behind], 80)
    assert sorted(map(sorted, sets_of_dancers(follow(found, FPS), found, who))) == [[0], [1]]


def test_a_row_of_dancers_in_step_stays_apart() -> None:
    row = [Dancer(lambda f, n=n: 0.15 + 0.17 * n + 0.03 * np.sin(0.2 * f), height=0.6) for n in range(5)]
    found, who = filmed(row, 120)
    identities = follow(found, FPS)
    assert sorted(map(sorted, sets_of_dancers(identities, found, who))) == [[n] for n in range(5)]
    assert all(len(identity.frames) == 120 for identity in identities)


def test_neighbours_of_whom_one_is_missing_now_and_then_are_not_taken_for_each_other() -> None:
    row = [
        Dancer(lambda _, n=n: 0.3 + 0.2 * n, phase=n, there=lambda f, n=n: (f // 7 + 2 * n) % 5 != 0)
        for n in range(3)
    ]
    found, who = filmed(row, 150)
    assert sorted(map(sorted, sets_of_dancers(follow(found, FPS), found, who))) == [[0], [1], [2]]


def test_one_who_comes_in_is_new_and_one_who_leaves_ends() -> None:
    stays = Dancer(lambda _: 0.3)
    leaves = Dancer(lambda f: 0.7 + 0.01 * f, there=lambda f: f < 30)
    enters = Dancer(lambda f: max(1.4 - 0.01 * f, 0.6), there=lambda f: f >= 70)
    found, who = filmed([stays, leaves, enters], 120)
    identities = follow(found, FPS)
    assert sorted(map(sorted, sets_of_dancers(identities, found, who))) == [[0], [1], [2]]


@pytest.mark.parametrize(("absent", "expected"), [(25, 1), (35, 2)])
def test_one_who_comes_back_within_a_second_is_the_same(absent: int, expected: int) -> None:
    back = Dancer(lambda f: 0.8 + 0.004 * min(f, 80 - f), there=lambda f: not 30 <= f < 30 + absent)
    found, who = filmed([Dancer(lambda _: 0.3), back], 100)
    identities = follow(found, FPS)
    of_back = [each for each in sets_of_dancers(identities, found, who) if each == {1}]
    assert len(of_back) == expected
    assert len(identities) == expected + 1


def test_somebody_of_another_size_is_somebody_else() -> None:
    tall = Dancer(lambda _: 0.5, height=0.8, there=lambda f: f < 30)
    small = Dancer(lambda _: 0.5, height=0.4, there=lambda f: f >= 40)
    found, _ = filmed([tall, small], 70)
    assert len(follow(found, FPS)) == 2


def test_a_cut_ends_all_identities() -> None:
    before = [Dancer(lambda _, n=n: 0.3 + 0.4 * n, there=lambda f: f < 40) for n in range(2)]
    # One of the second shot stands where one of the first did, but is found a little later.
    after = [
        Dancer(lambda _: 0.5, height=1.3, y=0.8, there=lambda f: f >= 40),
        Dancer(lambda _: 0.31, phase=2.0, there=lambda f: f >= 55),
    ]
    found, who = filmed([*before, *after], 90)
    identities = follow(found, FPS)
    assert sorted(map(sorted, sets_of_dancers(identities, found, who))) == [[0], [1], [2], [3]]


def test_a_wrong_find_for_some_frames_does_not_end_anybody() -> None:
    dancer = Dancer(lambda f: 0.5 + 0.002 * f, there=lambda f: not 40 <= f < 45)
    poster = Dancer(lambda _: 0.1, height=0.3, y=0.2, swing=0.0, there=lambda f: 40 <= f < 45)
    found, who = filmed([dancer, poster], 90)
    identities = follow(found, FPS)
    assert sets_of_dancers(identities, found, who) == [{0}, {1}]
    assert len(identities[0].frames) == 85


def test_a_second_find_of_the_same_person_is_left_out() -> None:
    found, _ = filmed([Dancer(lambda f: 0.3 + 0.004 * f)], 60)
    doubled = [[*people, *people] for people in found]
    assert len(follow(doubled, FPS)) == 1


def test_a_fast_dancer_filmed_slowly_is_one_identity() -> None:
    dancer = Dancer(lambda f: 0.5 + 0.2 * np.sin(0.6 * f), tempo=1.1, swing=1.2)
    found, _ = filmed([dancer], 80)
    (identity,) = follow(found, 10.0)
    assert len(identity.frames) == 80


def test_nobody_gives_no_identity() -> None:
    assert follow([[], [], []], FPS) == []
    assert follow([], FPS) == []


def test_an_identity_holds_what_was_found() -> None:
    found, _ = filmed([Dancer(lambda _: 0.5, there=between((3, 6)))], 10)  # type: ignore[arg-type]
    (identity,) = follow(found, FPS)
    assert identity.frames.tolist() == [3, 4, 5]
    points, scores = identity.joints()
    np.testing.assert_allclose(points[0], found[3][0].keypoints, atol=1e-6)
    np.testing.assert_allclose(scores[1], found[4][0].scores, atol=1e-6)
    np.testing.assert_allclose(identity.boxes[2], found[5][0].box, atol=1e-6)
    np.testing.assert_allclose(identity.certainty, 0.9, atol=1e-6)
    assert points.dtype == np.float32
    assert identity.surest == 0.9


def as_rows(found: Sequence[Sequence[Found]], rows: int) -> PoseTrack:
    points, scores = np.zeros((len(found), rows, 134, 2)), np.zeros((len(found), rows, 134))
    for frame, people in enumerate(found):
        for row, person in enumerate(people):
            points[frame, row], scores[frame, row] = person.keypoints, person.scores
    return PoseTrack(points, scores, 512, 512, FPS)


def test_rows_of_a_file_that_switch_person_are_put_right() -> None:
    found, who = filmed([Dancer(lambda _: 0.3), Dancer(lambda _: 0.7, there=lambda f: f % 9 != 0)], 60)
    identities = identities_of(as_rows(found, 2))
    assert sorted(map(sorted, sets_of_dancers(identities, found, who))) == [[0], [1]]


def test_a_file_with_one_row_is_one_person_however_far_they_jump() -> None:
    track = random_figures(40)
    track.keypoints[::2] += 3.0
    track.scores[7] = 0.0
    (identity,) = identities_of(track)
    assert identity.frames.tolist() == [frame for frame in range(40) if frame != 7]


def test_a_file_with_nobody_has_no_identity() -> None:
    assert identities_of(PoseTrack(np.zeros((4, 1, 134, 2)), np.zeros((4, 1, 134)), 64, 64, 16.0)) == []


@given(st.integers(0, 3), st.integers(0, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_an_assignment_is_the_cheapest_of_all(rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    costs = rng.uniform(0, 1, (rows, columns))
    costs[rng.uniform(size=costs.shape) < 0.2] = np.inf
    pairs = assign(costs, ALONE)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    padded = np.concatenate([costs, np.full((rows, rows), ALONE)], axis=1)
    choices = permutations(range(columns + rows), rows)
    least = min(sum(padded[row, column] for row, column in enumerate(choice)) for choice in choices)
    total = sum(costs[pair] for pair in pairs) + ALONE * (rows - len(pairs))
    assert total == pytest.approx(least)
