"""Any moment of any clip: the same frames as reading it from end to end, in whatever order."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from media_samples import make_clip, number_of, numbered

from core.errors import BadVideo
from core.media.read import read_frames
from core.media.seeker import Seeker
from core.types import FPS

Maker = Callable[[Path], Path]


def long_gop(path: Path, codec: str = "libx264", fps: int = 30, count: int = 75, **options: str) -> Path:
    """A clip with one key frame, or as many as the options say, and frames that are stored out of order."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = options or {"crf": "5", "g": "250", "bf": "3", "x264-params": "scenecut=0"}
        for picture in numbered(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def late_start(path: Path) -> Path:
    """The first frame's time is a second and a half, as in a stream that was cut."""
    times = [1500 + 40 * number for number in range(50)]
    return make_clip(path, numbered(50), times_ms=times)


def open_gops(path: Path) -> Path:
    """Frames before a key frame that need the group before it."""
    return long_gop(path, g="12", bf="3", crf="5", **{"x264-params": "scenecut=0:open-gop=1:b-adapt=0"})


VARIABLE_MS = [0, 40, 80, 500, 540, 580, 1000, 1040, 1400, 1480, 1500, 2100, 2140]
CLIPS: dict[str, Maker] = {
    "keys.mp4": lambda path: make_clip(path, numbered(75)),
    "one-key.mp4": long_gop,
    "one-key.mkv": long_gop,
    "one-key.mov": long_gop,
    "open.mp4": open_gops,
    "open.mkv": open_gops,
    "ntsc.webm": lambda path: long_gop(path, "libvpx-vp9", 24, 50, crf="20", g="20", deadline="realtime"),
    "plain.avi": lambda path: long_gop(path, "mpeg4", 25, 50, qmin="2", qmax="2", g="12"),
    "reordered.avi": lambda path: long_gop(path, "mpeg4", 25, 50, qmin="2", qmax="2", g="12", bf="2"),
    "fast.mp4": lambda path: make_clip(path, numbered(120), fps=60),
    "slow.mp4": lambda path: make_clip(path, numbered(20), fps=8),
    "variable.mp4": lambda path: make_clip(path, numbered(len(VARIABLE_MS)), times_ms=VARIABLE_MS),
    "turned.mp4": lambda path: make_clip(path, numbered(40), rotation=90),
    "late.mkv": late_start,
    "late.mp4": late_start,
    "one-frame.mp4": lambda path: make_clip(path, numbered(1)),
}


@pytest.fixture(params=list(CLIPS))
def clip(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """One of every kind."""
    return CLIPS[request.param](tmp_path / request.param)


def test_the_frames_of_a_render_in_any_order(clip: Path) -> None:
    expected = list(read_frames(clip))
    forward = list(range(len(expected)))
    shuffled = forward * 2
    random.Random(7).shuffle(shuffled)
    for order in (forward, forward[::-1], shuffled):
        seeker = Seeker(clip)
        for number in order:
            picture = seeker.picture(seeker.at(number / FPS))
            assert np.array_equal(picture[..., 2::-1], expected[number]), f"frame {number}"
        seeker.close()


def test_a_frame_says_from_when_to_when_it_is_on_screen(clip: Path) -> None:
    seeker = Seeker(clip)
    shown = [seeker.at(0)]
    while shown[-1].until_s < math.inf:
        shown.append(seeker.at(shown[-1].until_s))
    assert shown[0].from_s == -math.inf
    assert shown[-1].until_s == math.inf
    assert [one.until_s for one in shown[:-1]] == [one.from_s for one in shown[1:]]
    seeker.close()


def test_every_stored_frame_can_be_stepped_to(tmp_path: Path) -> None:
    seeker = Seeker(long_gop(tmp_path / "a.mp4"))
    numbers = [
        number_of(seeker.picture(seeker.at(number / 30))[..., :3]) for number in (54, 53, 52, 3, 4, 54, 0)
    ]
    assert numbers == [54, 53, 52, 3, 4, 54, 0]
    seeker.close()


def test_a_walk_that_is_left_goes_on_from_there(tmp_path: Path) -> None:
    seeker = Seeker(long_gop(tmp_path / "a.mp4"))
    for shown in seeker.walk(1.0):
        if shown.time_s >= 0.5:
            break
    assert [round(one.time_s * 30) for one in seeker.walk(0.6)] == [15, 16, 17, 18]
    seeker.close()


def test_a_key_frame_that_is_nearer_is_jumped_to(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", numbered(75))  # one in 12 frames
    seeker = Seeker(clip)
    assert 12 <= seeker.longest_reach_frames <= 14
    assert len(list(seeker.walk(70 / 30))) <= 24
    assert len(list(seeker.walk(72 / 30))) == 3
    seeker.close()


def test_small_copies_are_scaled_while_converting(tmp_path: Path) -> None:
    seeker = Seeker(make_clip(tmp_path / "a.mp4", numbered(3, 320, 240), rotation=90))
    assert seeker.picture(seeker.at(0), 80).shape == (80, 60, 4)
    assert seeker.picture(seeker.at(0), 4000).shape == (320, 240, 4)
    seeker.close()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_damaged_middle_is_told(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 48, 64, 3), np.uint8)
    clip = make_clip(tmp_path / name, list(noise), codec="ffv1" if name.endswith("mkv") else "libx264")
    if name.endswith("mp4"):
        data = clip.read_bytes()
        clip.write_bytes(data[: data.index(b"mdat") + 40])
    else:
        clip.write_bytes(b"\0" * 2000)
    with pytest.raises(BadVideo) as caught:
        Seeker(clip)
    assert caught.value.action
