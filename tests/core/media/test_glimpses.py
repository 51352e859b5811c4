"""Small pictures of a clip at given moments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import BadVideo
from core.media.glimpses import glimpses, key_glimpse
from core.media.write import write_video

FRAMES = 40


@pytest.fixture(scope="module")
def ramp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frame k is grey level 6 k; 16 a second, 128 x 64."""
    path = tmp_path_factory.mktemp("clip") / "ramp.mp4"
    write_video(path, (np.full((64, 128, 3), 6 * k, np.uint8) for k in range(FRAMES)))
    return path


def test_each_moment_shows_the_frame_on_screen_then(ramp: Path) -> None:
    times = [0.0, 0.5, 1.03, 2.4]
    levels = {time: round(float(small.mean()) / 6) for time, small in glimpses(ramp, times, 64)}
    assert levels == {0.0: 0, 0.5: 8, 1.03: 16, 2.4: 38}


def test_moments_come_in_order_and_once_and_the_last_frame_stays(ramp: Path) -> None:
    found = list(glimpses(ramp, [9.0, 0.25, 0.25], 64))
    assert [time for time, _ in found] == [0.25, 9.0]
    assert round(float(found[-1][1].mean()) / 6) == FRAMES - 1


def test_the_longer_side_is_as_asked_and_nothing_is_enlarged(ramp: Path) -> None:
    assert key_glimpse(ramp, 64).shape == (32, 64, 3)
    assert key_glimpse(ramp, 999).shape == (64, 128, 3)


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    with pytest.raises(BadVideo):
        key_glimpse(bad, 64)
    with pytest.raises(BadVideo):
        list(glimpses(bad, [0.0], 64))
