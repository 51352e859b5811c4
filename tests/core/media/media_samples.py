"""Small clips of every awkward kind, made with PyAV."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

CLOCK = Fraction(1, 1000)


def numbered(count: int, width: int = 64, height: int = 48) -> list[NDArray[np.uint8]]:
    """Frames whose grey level tells their number: 4 levels a frame, red stripe on the left edge."""
    frames = []
    for number in range(count):
        frame = np.full((height, width, 3), 20 + 4 * (number % 55), np.uint8)
        frame[:, : width // 8] = (255, 0, 0)
        frames.append(frame)
    return frames


def number_of(frame: NDArray[np.uint8]) -> int:
    """The number of a frame made by ``numbered``, read from its middle."""
    height, width = frame.shape[:2]
    return round((float(frame[height // 2, width // 2].mean()) - 20) / 4)


def make_clip(
    path: Path,
    frames: Sequence[NDArray[np.uint8]],
    fps: int = 30,
    times_ms: Sequence[int] | None = None,
    rotation: int = 0,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    beep_s: float | None = None,
    seconds: float | None = None,
    faststart: bool = False,
) -> Path:
    """Write a clip; ``times_ms`` gives each frame its time, ``beep_s`` adds sound with a beep of 0.1 s."""
    options = {"movflags": "faststart"} if faststart else {}
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        if codec == "libx264":
            stream.options = {"crf": "5", "g": "12", "x264-params": "scenecut=0"}
        elif codec == "libx265":
            stream.options = {"x265-params": "log-level=none:crf=4"}
        if rotation:
            stream.set_display_rotation(rotation)
        if times_ms is not None:
            stream.codec_context.time_base = CLOCK
        sound = container.add_stream("aac", rate=44100, layout="mono") if beep_s is not None else None
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[number], CLOCK
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            _beep(container, sound, beep_s or 0.0, seconds or len(frames) / fps)
    return path


def _beep(
    container: av.container.OutputContainer, stream: av.AudioStream, at_s: float, seconds: float
) -> None:
    rate = 44100
    time = np.arange(int(seconds * rate)) / rate
    wave = 0.5 * np.sin(2 * np.pi * 1000 * time) * ((time >= at_s) & (time < at_s + 0.1))
    for start in range(0, len(wave), 1024):
        piece = wave[None, start : start + 1024].astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece), format="fltp", layout="mono")
        frame.rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def beep_in(path: Path) -> float:
    """When the beep of a file starts, in seconds, from its decoded sound."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        for frame in container.decode(stream):
            loud = np.abs(frame.to_ndarray()[0]) > 0.1
            if loud.any():
                return float(frame.pts * frame.time_base) + int(loud.argmax()) / frame.sample_rate
    raise AssertionError("no beep")
