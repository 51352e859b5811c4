"""What DWPose's network is shown, and how its rows of bins are read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.pose.extract.simcc import HEIGHT, WIDTH, Region, cut_out, read_bins, region


def bins(
    points: dict[int, tuple[int, int]], high: tuple[float, float] = (0.9, 0.7)
) -> tuple[np.ndarray, np.ndarray]:
    """Rows for one person with a peak at these bins."""
    x, y = np.full((1, 133, 576), -0.1, np.float32), np.full((1, 133, 768), -0.1, np.float32)
    for point, (column, row) in points.items():
        x[0, point, column], y[0, point, row] = high
    return x, y


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        # Enlarged by 1.25, then widened to 3:4.
        ((100, 50, 200, 350), Region(150, 200, 281.25, 375)),
        # Or made higher.
        ((0, 0, 400, 100), Region(200, 50, 500, 500 * 4 / 3)),
        ((10, 10, 10, 10), Region(10, 10, 1.25, 1.25 * 4 / 3)),
    ],
)
def test_a_box_is_enlarged_and_fitted_to_the_network(
    box: tuple[float, float, float, float], expected: Region
) -> None:
    found = region(box)
    assert (found.centre_x, found.centre_y) == (expected.centre_x, expected.centre_y)
    assert (found.width, found.height) == pytest.approx((expected.width, expected.height))


def test_the_picture_is_cut_red_first_and_normalised() -> None:
    picture = np.zeros((384, 288, 3), np.uint8)
    picture[...] = (255, 128, 0)
    cut = cut_out(picture, Region(144, 192, WIDTH, HEIGHT))
    assert cut.shape == (3, 384, 288)
    expected = [(255 - 123.675) / 58.395, (128 - 116.28) / 57.12, (0 - 103.53) / 57.375]
    np.testing.assert_allclose(cut[:, 200, 100], expected, rtol=1e-5)


def test_beyond_the_picture_it_is_black() -> None:
    cut = cut_out(np.full((50, 50, 3), 255, np.uint8), Region(0, 0, 100, 400 / 3))
    np.testing.assert_allclose(
        cut[:, 0, 0], [-123.675 / 58.395, -116.28 / 57.12, -103.53 / 57.375], rtol=1e-5
    )
    assert cut[0, 250, 200] > 2


def test_two_bins_are_a_pixel_and_the_lower_peak_is_the_score() -> None:
    points, scores = read_bins(*bins({0: (100, 401)}), [Region(144, 192, WIDTH, HEIGHT)])
    np.testing.assert_allclose(points[0, 0], (50, 200.5))
    assert scores[0, 0] == pytest.approx(0.7)


def test_points_without_a_peak_are_zero() -> None:
    points, scores = read_bins(*bins({0: (100, 401)}), [Region(500, 500, 100, 400 / 3)])
    assert (scores[0, 1:] == 0).all()
    assert (points[0, 1:] == 0).all()


@pytest.mark.parametrize(
    ("high", "score"), [((1.7, 1.2), 1.0), ((np.nan, 0.9), 0.0), ((np.inf, 0.9), 0.0), ((-np.inf, 0.9), 0.0)]
)
def test_scores_stay_within_their_range(high: tuple[float, float], score: float) -> None:
    points, scores = read_bins(*bins({5: (10, 10)}, high), [Region(0, 0, WIDTH, HEIGHT)])
    assert scores[0, 5] == score
    assert np.isfinite(points).all()


@given(
    st.floats(-500, 2500),
    st.floats(-500, 2500),
    st.floats(2, 3000),
    st.floats(2, 3000),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_a_place_in_a_box_comes_back_within_a_bin(
    left: float, top: float, width: float, height: float, across: float, down: float
) -> None:
    place = region((left, top, left + width, top + height))
    wanted = np.array([left + across * width, top + down * height])
    corner = np.array([place.centre_x - place.width / 2, place.centre_y - place.height / 2])
    scale = WIDTH / place.width
    column, row = np.rint((wanted - corner) * scale * 2).astype(int)
    points, _ = read_bins(*bins({0: (column, row)}), [place])
    assert np.abs(points[0, 0] - wanted).max() <= 0.25 / scale + 1e-6
