"""Keypoint tracks read from the frames of skeleton videos."""

from __future__ import annotations

import numpy as np
import pytest
from figures import track

from core.errors import BadPose, Cancelled
from core.pose.colour_track import track_from_frames
from core.pose.draw import Image, black, draw
from core.pose.skeleton import BODY, threshold


def drawings(count: int) -> list[Image]:
    figures = track(count, seed=4)
    return [
        draw(threshold(points, scores), 640, 480, hands=False)
        for points, scores in zip(figures.keypoints, figures.scores, strict=True)
    ]


def test_a_track_holds_what_was_drawn() -> None:
    figures = track(3, seed=4)
    read = track_from_frames(iter(drawings(3)), 16.0)
    assert read.keypoints.shape == (3, 1, 134, 2)
    assert (read.width, read.height, read.fps, read.notes) == (480, 640, 16.0, ())
    assert (read.scores[:, 0, BODY] == 1).all()
    assert (read.scores[:, 0, 18:] == 0).all()
    assert np.abs(read.keypoints[:, 0, BODY] - figures.keypoints[:, 0, BODY]).max() < 0.01


def test_frames_without_a_skeleton_score_zero() -> None:
    frames = drawings(3)
    frames[1] = black(640, 480)
    read = track_from_frames(frames, 24.0)
    assert [bool(scores.any()) for scores in read.scores] == [True, False, True]
    assert (read.keypoints[1] == 0).all()
    assert read.notes == ()


def test_skeletons_that_cannot_be_read_are_noted() -> None:
    blots = black(640, 480)
    for number, colour in enumerate(((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))):
        blots[100 * number + 20 : 100 * number + 60, 100:140] = colour
    read = track_from_frames([drawings(1)[0], blots], 16.0)
    assert read.notes == ("1 of 2 skeletons could not be read back by colour.",)


def test_no_frames_are_refused() -> None:
    with pytest.raises(BadPose, match="no frames"):
        track_from_frames([], 16.0)


def test_reading_can_be_cancelled() -> None:
    def check() -> None:
        raise Cancelled()

    with pytest.raises(Cancelled):
        track_from_frames(drawings(1), 16.0, check)
