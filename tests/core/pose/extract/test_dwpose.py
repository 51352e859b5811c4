"""DWPose's engine on tiny real networks: figures with coloured discs are found where they were painted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.pose.extract.dwpose import MOST_PEOPLE, DwposeEngine
from core.pose.extract.engine import Found, Image
from core.pose.extract.models import open_engine
from tests.fakes.tiny_pose_models import (
    BACKGROUND,
    FADED_CLOTHES,
    LESS_SURE_CLOTHES,
    PLACES,
    SURE_CLOTHES,
    Colour,
    figure,
    stage,
    write_pose_models,
)

HIDDEN_CLOTHES: Colour = (60, 60, 60)
# OpenPose's number -> disc: nose, right shoulder, left wrist, left eye, roots of the left and right hand.
TOLD = {0: 0, 2: 6, 7: 2, 15: 1, 92: 0, 113: 0}
SURE, LESS_SURE, FADED = 0.95 * 0.98, 0.9 * 0.8, 0.6 * 0.6


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pose-networks")
    write_pose_models(folder)
    return folder


@pytest.fixture(scope="module")
def engine(networks: Path) -> DwposeEngine:
    return DwposeEngine(networks / "yolox_l.onnx", networks / "dw-ll_ucoco_384.onnx")


def paint(picture: Image, box: tuple[float, float, float, float], clothes: Colour) -> dict[int, np.ndarray]:
    """A figure of this box; the discs' places in pixels."""
    left, top, right, bottom = box
    size = np.array([right - left, bottom - top])
    discs = {number: np.round(np.array([left, top]) + size * place) for number, place in PLACES.items()}
    points = {number: (float(x), float(y)) for number, (x, y) in discs.items()}
    figure(box, points, clothes, picture, radius=max(round(size[1] / 60), 2))
    return discs


def distances(person: Found, discs: dict[int, np.ndarray], picture: Image) -> np.ndarray:
    """Pixels between what was told and what was painted."""
    size = (picture.shape[1], picture.shape[0])
    return np.array(
        [np.abs(person.keypoints[joint] * size - discs[disc]).max() for joint, disc in TOLD.items()]
    )


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((640, 640), (200, 120, 400, 560)),
        ((900, 700), (150, 150, 380, 550)),
        ((480, 854), (60, 200, 300, 800)),
        ((300, 200), (100, 20, 180, 180)),
        ((1920, 1080), (700, 100, 1100, 1000)),
    ],
)
def test_joints_are_found_within_a_pixel_of_the_network(
    engine: DwposeEngine, size: tuple[int, int], box: tuple[float, float, float, float]
) -> None:
    """A pixel of the network is one of the picture times how much smaller the person was made."""
    picture = stage(*size)
    discs = paint(picture, box, SURE_CLOTHES)
    (person,) = engine.people(picture)
    pixel = max((box[3] - box[1]) * 1.25 / 384, 1.0)
    assert distances(person, discs, picture).max() <= pixel
    assert person.scores[list(TOLD)].min() > 0.6
    np.testing.assert_allclose(
        np.array(person.box) * (*size, *size), box, atol=max(size) / 640 * 1.5, err_msg="the detector's box"
    )


def test_the_neck_lies_between_the_shoulders(engine: DwposeEngine) -> None:
    picture = stage(640, 640)
    paint(picture, (200, 120, 400, 560), SURE_CLOTHES)
    (person,) = engine.people(picture)
    np.testing.assert_allclose(person.keypoints[1], (person.keypoints[2] + person.keypoints[5]) / 2)
    assert person.scores[1] == 1


def test_a_large_picture_is_made_smaller_and_a_joint_keeps_its_place(engine: DwposeEngine) -> None:
    picture = stage(3840, 2160)
    discs = paint(picture, (1500, 200, 2300, 2000), SURE_CLOTHES)
    (person,) = engine.people(picture)
    assert distances(person, discs, picture).max() <= 1800 * 1.25 / 384


def test_a_large_picture_is_averaged_not_sampled(engine: DwposeEngine) -> None:
    """Clothes with fine stripes have the colour that they have from afar."""
    picture = stage(2400, 2400)
    figure((600, 400, 1200, 1600), {}, SURE_CLOTHES, picture, 1)
    stripes = np.where(np.arange(1200) % 2, 1, -1)[:, None, None] * (80, 0, 60)
    picture[400:1600, 600:1200] = picture[400:1600, 600:1200] + stripes
    (person,) = engine.people(picture)
    np.testing.assert_allclose(np.array(person.box) * 2400, (600, 400, 1200, 1600), atol=8)


def test_the_surest_comes_first_and_a_dog_is_nobody(engine: DwposeEngine) -> None:
    picture = stage(900, 700)
    right = paint(picture, (600, 150, 800, 550), LESS_SURE_CLOTHES)
    left = paint(picture, (100, 150, 300, 550), SURE_CLOTHES)
    figure((400, 400, 500, 500), {}, (120, 110, 30), picture, 1)
    first, second = engine.people(picture)
    assert (first.score, second.score) == pytest.approx((SURE, LESS_SURE), abs=1e-3)
    assert max(distances(first, left, picture).max(), distances(second, right, picture).max()) <= 1.5


def test_the_networks_get_the_channels_that_they_learned(engine: DwposeEngine) -> None:
    """With red and blue exchanged the other clothes are seen, and red discs are found where blue ones are."""
    picture = stage(900, 700)
    discs = paint(picture, (100, 150, 300, 550), SURE_CLOTHES)
    (person,) = engine.people(np.ascontiguousarray(picture[..., ::-1]))
    assert person.score == pytest.approx(LESS_SURE, abs=1e-3)
    size = (900, 700)
    np.testing.assert_allclose(person.keypoints[0] * size, discs[2], atol=1.5)
    np.testing.assert_allclose(person.keypoints[14] * size, discs[0], atol=1.5)


def test_an_empty_stage_has_nobody(engine: DwposeEngine) -> None:
    """Upstream would take the whole picture for a person."""
    assert engine.people(stage(640, 480)) == []


def test_a_person_is_followed_without_the_detector(engine: DwposeEngine) -> None:
    first, second = stage(900, 700), stage(900, 700)
    paint(first, (100, 150, 300, 550), SURE_CLOTHES)
    discs = paint(second, (120, 160, 320, 560), HIDDEN_CLOTHES)
    before = engine.people(first)
    assert engine.people(second, before) == []
    (person,) = engine.people(second, before, look=False)
    assert distances(person, discs, second).max() <= 1.5
    assert person.score == before[0].score
    left, top, right, bottom = np.array(person.box) * (900, 700, 900, 700)
    joints = np.array(list(discs.values()))
    assert left < joints[:, 0].min() < joints[:, 0].max() < right
    assert top < joints[:, 1].min() < joints[:, 1].max() < bottom


def test_following_for_many_frames_does_not_lose_the_person(engine: DwposeEngine) -> None:
    picture = stage(900, 700)
    paint(picture, (100, 150, 300, 550), SURE_CLOTHES)
    people = engine.people(picture)
    for step in range(1, 7):
        picture = stage(900, 700)
        discs = paint(picture, (100 + 25 * step, 150, 300 + 25 * step, 550), HIDDEN_CLOTHES)
        people = engine.people(picture, people, look=False)
        assert distances(people[0], discs, picture).max() <= 1.5


def test_without_anybody_before_the_detector_is_asked(engine: DwposeEngine) -> None:
    picture = stage(640, 640)
    paint(picture, (200, 120, 400, 560), SURE_CLOTHES)
    assert len(engine.people(picture, [], look=False)) == 1


def test_who_has_left_is_not_followed(engine: DwposeEngine) -> None:
    picture = stage(900, 700)
    paint(picture, (100, 150, 300, 550), SURE_CLOTHES)
    before = engine.people(picture)
    assert engine.people(stage(900, 700), before, look=False) == []


def test_a_person_seen_less_surely_counts_only_where_one_was_before(engine: DwposeEngine) -> None:
    there, faded, elsewhere = stage(900, 700), stage(900, 700), stage(900, 700)
    paint(there, (100, 150, 300, 550), SURE_CLOTHES)
    paint(faded, (110, 150, 310, 550), FADED_CLOTHES)
    paint(elsewhere, (500, 150, 700, 550), FADED_CLOTHES)
    before = engine.people(there)
    assert engine.people(faded) == []
    (person,) = engine.people(faded, before)
    assert person.score == pytest.approx(FADED, abs=1e-3)
    assert engine.people(elsewhere, before) == []


def test_any_batch_gives_the_same_joints(engine: DwposeEngine, tmp_path: Path) -> None:
    picture = stage(1000, 700)
    boxes = [(40 + 190 * index, 150, 160 + 190 * index, 500) for index in range(5)]
    discs = [paint(picture, box, HIDDEN_CLOTHES) for box in boxes]
    blank = Found(np.zeros((134, 2)), np.zeros(134), (0, 0, 1, 1), 0.9)
    before = [replace(blank, box=(box[0] / 1000, box[1] / 700, box[2] / 1000, box[3] / 700)) for box in boxes]
    expected = engine.people(picture, before, look=False)
    assert max(distances(*pair, picture).max() for pair in zip(expected, discs, strict=True)) <= 1.5
    for batch in (1, 2, 5):
        people = open_engine(write_pose_models(tmp_path, batch)).people(picture, before, look=False)
        for person, other in zip(people, expected, strict=True):
            np.testing.assert_array_equal(person.keypoints, other.keypoints)
            np.testing.assert_array_equal(person.scores, other.scores)


def test_one_person_found_twice_counts_once(engine: DwposeEngine) -> None:
    picture = stage(900, 700)
    paint(picture, (100, 150, 300, 550), SURE_CLOTHES)
    (person,) = engine.people(picture)
    less_sure = replace(person, score=0.6)
    (kept,) = engine.people(picture, [less_sure, person], look=False)
    assert kept.score == person.score


def test_two_who_stand_together_in_a_wide_picture_are_two(engine: DwposeEngine) -> None:
    """A small share of the width is many pixels there."""
    picture = stage(12000, 300)
    boxes = [(left, 100, left + 80, 200) for left in (4000, 4110)]
    discs = [paint(picture, box, HIDDEN_CLOTHES) for box in boxes]
    size = np.array([12000, 300, 12000, 300])
    before = [Found(np.zeros((134, 2)), np.zeros(134), tuple(box / size), 0.9) for box in boxes]
    people = engine.people(picture, before, look=False)
    assert len(people) == 2
    for person, places in zip(people, discs, strict=True):
        assert distances(person, places, picture).max() <= 1.5


def test_in_a_crowd_the_surest_are_kept(engine: DwposeEngine) -> None:
    picture = stage(1600, 400)
    boxes = [(10 + 78 * index, 100, 70 + 78 * index, 300) for index in range(20)]
    for box in boxes:
        paint(picture, box, HIDDEN_CLOTHES)
    before = [
        Found(
            np.zeros((134, 2)),
            np.zeros(134),
            (b[0] / 1600, b[1] / 400, b[2] / 1600, b[3] / 400),
            0.99 - i / 100,
        )
        for i, b in enumerate(boxes)
    ]
    people = engine.people(picture, before, look=False)
    assert len(people) == MOST_PEOPLE
    assert people[-1].score == before[MOST_PEOPLE - 1].score


def test_a_person_cut_by_the_edge_keeps_the_joints_that_are_seen(engine: DwposeEngine) -> None:
    picture = stage(640, 640)
    discs = paint(picture, (-90, 120, 110, 560), SURE_CLOTHES)
    (person,) = engine.people(picture)
    assert np.abs(person.keypoints[2] * 640 - discs[6]).max() <= 1.5
    assert person.scores[15] == 0  # the left eye lies beyond the edge
    np.testing.assert_array_equal(person.keypoints[person.scores == 0], 0)


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.integers(0, 2**32 - 1))
def test_any_picture_gives_finite_fractions(engine: DwposeEngine, width: int, height: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    picture[: height // 2] = BACKGROUND
    for person in engine.people(picture):
        assert np.isfinite(person.keypoints).all()
        assert ((person.scores >= 0) & (person.scores <= 1)).all()


def test_the_version_changes_with_the_files(engine: DwposeEngine, networks: Path, tmp_path: Path) -> None:
    detector, estimator = networks / "yolox_l.onnx", networks / "dw-ll_ucoco_384.onnx"
    assert DwposeEngine(detector, estimator).version == engine.version
    other = write_pose_models(tmp_path, batch=3).files["estimator"]
    assert DwposeEngine(detector, other).version != engine.version
