"""Reading skeletons back by colour, at several sizes and through codecs."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from figures import track
from numpy.typing import NDArray
from PIL import Image

from core.media.read import read_frames
from core.media.write import write_video
from core.pose.colour import has_skeleton, is_black, read_back
from core.pose.draw import black, draw
from core.pose.skeleton import PoseFrame, threshold

POSES = 12


def poses() -> list[PoseFrame]:
    figures = track(POSES, seed=4)
    return [
        threshold(points, scores) for points, scores in zip(figures.keypoints, figures.scores, strict=True)
    ]


def errors(drawn: list[PoseFrame], pictures: list[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """Distances of all drawn joints in percent of the height; a joint that was not found counts as 100."""
    found = []
    for pose, picture in zip(drawn, pictures, strict=True):
        back = read_back(picture)
        assert back is not None
        ratio = picture.shape[1] / picture.shape[0]
        gaps = np.hypot(*((back.body - pose.body) * [ratio, 1]).T) * 100
        found.append(np.where(back.subset >= 0, gaps, 100.0))
    return np.concatenate(found)


@pytest.mark.parametrize(("size", "hands"), [((320, 240), False), ((640, 480), True), ((1024, 768), True)])
def test_plain_drawings(size: tuple[int, int], hands: bool) -> None:
    drawn = poses()
    gaps = errors(drawn, [draw(pose, *size, hands=hands) for pose in drawn])
    assert np.percentile(gaps, 95) <= 1.0
    assert np.median(gaps) <= 0.3


@pytest.mark.parametrize("scale", [0.75, 1.5])
def test_other_scales_and_jpeg(scale: float) -> None:
    drawn = poses()
    pictures = []
    for pose in drawn:
        scaled = cv2.resize(draw(pose, 800, 600), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        buffer = io.BytesIO()
        Image.fromarray(scaled).save(buffer, "JPEG", quality=85)
        pictures.append(np.array(Image.open(buffer)))
    assert np.percentile(errors(drawn, pictures), 95) <= 1.0


def test_through_video(tmp_path: Path) -> None:
    drawn = poses()
    write_video(tmp_path / "a.mp4", [draw(pose, 896, 656) for pose in drawn])
    assert np.percentile(errors(drawn, list(read_frames(tmp_path / "a.mp4"))), 95) <= 1.0


def test_undrawn_joints_are_not_invented() -> None:
    for pose in poses():
        subset = pose.subset.copy()
        subset[[3, 4, 9, 10, 12, 13]] = -1  # right arm below the shoulder, both legs below the hips
        back = read_back(draw(PoseFrame(pose.body, subset, pose.hands, pose.faces), 800, 600))
        assert back is not None
        assert (back.subset[subset >= 0] >= 0).mean() >= 0.9
        assert (back.subset[subset < 0] < 0).all()


def test_no_skeleton() -> None:
    rng = np.random.default_rng(0)
    grey = np.repeat(rng.integers(0, 255, (200, 150, 1), np.uint8), 3, axis=2)
    one_colour = black(200, 150)
    one_colour[50:60, 20:90] = (255, 0, 0)
    for picture in (black(200, 150), grey, rng.integers(0, 255, (200, 150, 3), np.uint8), one_colour):
        assert read_back(picture) is None
        assert not has_skeleton(picture)
    assert is_black(black(64, 64))
    assert not is_black(one_colour)
    assert has_skeleton(draw(poses()[0], 400, 300))
