"""YOLOX's input and output, and whose box is kept."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.pose.extract.dwpose_boxes import (
    CELLS,
    Box,
    Seen,
    box_about,
    letterbox,
    overlap,
    people_in,
    with_those_before,
)
from core.pose.extract.engine import Found


def output(*rows: tuple[int, tuple[float, float, float, float], float, float]) -> np.ndarray:
    """Cell, x y w h as the network counts, score of anything, score of a person."""
    result = np.zeros((CELLS, 85), np.float32)
    for cell, numbers, anything, person in rows:
        result[cell, :4], result[cell, 4], result[cell, 5] = numbers, anything, person
    return result


def at(
    box: Box, score: float, cell: int = 8000
) -> tuple[int, tuple[float, float, float, float], float, float]:
    """A row of the first cells of stride 32 that tells this box."""
    column = cell - 8000
    width, height = box[2] - box[0], box[3] - box[1]
    x, y = (box[0] + box[2]) / 64 - column, (box[1] + box[3]) / 64
    return cell, (x, y, math.log(width / 32), math.log(height / 32)), 1.0, score


def test_a_wide_picture_lies_at_the_top_and_blue_comes_first() -> None:
    picture = np.zeros((360, 1280, 3), np.uint8)
    picture[...] = (10, 20, 30)
    given, scale = letterbox(picture)
    assert given.shape == (1, 3, 640, 640)
    assert scale == 0.5
    np.testing.assert_array_equal(given[0, :, 179, 639], (30, 20, 10))
    np.testing.assert_array_equal(given[0, :, 180, 0], (114, 114, 114))


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (1, 1), (641, 640)])
def test_any_shape_has_a_letterbox(shape: tuple[int, int]) -> None:
    given, _ = letterbox(np.zeros((*shape, 3), np.uint8))
    assert given.shape == (1, 3, 640, 640)
    assert given[0, 0, 0, 0] == 0


@pytest.mark.parametrize(
    ("cell", "stride", "column", "row"),
    [(0, 8, 0, 0), (6399, 8, 79, 79), (6400 + 41, 16, 1, 1), (8000 + 399, 32, 19, 19)],
)
def test_places_are_counted_from_each_cell(cell: int, stride: int, column: int, row: int) -> None:
    """Half a cell right and down, two cells wide, four high; the picture had been halved."""
    numbers = (0.5, 0.5, math.log(2), math.log(4))
    (seen,) = people_in(output((cell, numbers, 0.9, 0.8)), 0.5)
    x, y = (column + 0.5) * stride, (row + 0.5) * stride
    expected = (x - stride, y - 2 * stride, x + stride, y + 2 * stride)
    assert seen.box == pytest.approx([2 * value for value in expected], rel=1e-5)
    assert seen.score == pytest.approx(0.72)


def test_only_scores_above_a_half_count() -> None:
    box = (0.0, 0.0, 64.0, 64.0)
    assert people_in(output(at(box, 0.5)), 1.0) == []
    assert len(people_in(output(at(box, 0.51)), 1.0)) == 1


def test_boxes_that_share_more_than_seven_tenths_are_one() -> None:
    first, near, apart = (0.0, 0.0, 100.0, 100.0), (0.0, 0.0, 100.0, 71.0), (0.0, 0.0, 100.0, 69.0)
    seen = people_in(output(at(near, 0.6), at(first, 0.9, 8001)), 1.0)
    assert [round(one.score, 2) for one in seen] == [0.9]
    seen = people_in(output(at(apart, 0.6), at(first, 0.9, 8001)), 1.0)
    assert [round(one.score, 2) for one in seen] == [0.9, 0.6]


def test_impossible_numbers_are_nobody() -> None:
    wrong = [(0, (np.nan, 0, 0, 0), 1, 1), (1, (0, 0, 500, 0), 1, 1), (2, (0, 0, 0, 0), np.nan, 1)]
    assert people_in(output(*wrong), 1.0) == []


def test_shared_area() -> None:
    assert overlap((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 2, 2), (2, 0, 3, 2)) == 0
    assert overlap((0, 0, 0, 0), (0, 0, 0, 0)) == 0


def test_one_less_sure_box_stands_in_for_one_person_before() -> None:
    place = (0.0, 0.0, 100.0, 200.0)
    again, second = Seen((5, 0, 105, 200), 0.4), Seen((20, 0, 120, 200), 0.3)
    assert with_those_before([again, second], [place]) == [again]
    assert with_those_before([again, second], []) == []


def test_nobody_stands_in_where_the_person_is_seen_surely() -> None:
    place = (0.0, 0.0, 100.0, 200.0)
    sure, again = Seen(place, 0.8), Seen((0, 0, 100, 120), 0.4)
    assert with_those_before([sure, again], [place]) == [sure]


def test_the_box_about_joints_has_room() -> None:
    keypoints, scores = np.zeros((134, 2)), np.zeros(134)
    keypoints[:3], scores[:3] = [(0.4, 0.2), (0.6, 0.2), (0.5, 0.8)], 0.9
    person = Found(keypoints, scores, (0.0, 0.0, 1.0, 1.0), 0.9)
    assert box_about(person, 1000, 500) == pytest.approx((375, 62.5, 625, 437.5))


def test_with_few_joints_the_old_box_stays() -> None:
    person = Found(np.full((134, 2), 0.5), np.zeros(134), (0.1, 0.2, 0.3, 0.4), 0.9)
    assert box_about(person, 1000, 500) == pytest.approx((100, 100, 300, 200))
