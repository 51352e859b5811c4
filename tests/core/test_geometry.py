"""Sizes against the examples of the specification."""

from __future__ import annotations

import pytest

from core.geometry import fit_frames, latent_frames, latent_size, pose_canvas

AREA = 576 * 1024


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(864, 1184, (112, 82)), (768, 1344, (126, 72)), (1280, 720, (72, 128))],
)
def test_latent_sizes_follow_the_reference(width: int, height: int, expected: tuple[int, int]) -> None:
    assert latent_size(width, height, AREA) == expected


@pytest.mark.parametrize(
    ("width", "height", "doubled"), [(864, 1184, (1792, 1312)), (768, 1344, (2016, 1152))]
)
def test_pose_canvas(width: int, height: int, doubled: tuple[int, int]) -> None:
    canvas = pose_canvas(width, height)
    assert (2 * canvas[0], 2 * canvas[1]) == doubled


@pytest.mark.parametrize("area", [64 * 64, 192 * 192, AREA])
def test_sizes_are_even_and_within_the_budget(area: int) -> None:
    for width, height in [(100, 100), (333, 777), (4000, 1000)]:
        rows, columns = latent_size(width, height, area)
        assert rows % 2 == columns % 2 == 0
        assert 64 * rows * columns <= area


@pytest.mark.parametrize(
    ("available", "native", "frames"),
    [(1, 33, 1), (4, 33, 1), (5, 33, 5), (36, 33, 33), (33, 81, 33), (200, 81, 81)],
)
def test_frames_are_4n_plus_1(available: int, native: int, frames: int) -> None:
    assert fit_frames(available, native) == frames
    assert latent_frames(frames) == (frames - 1) // 4 + 1
