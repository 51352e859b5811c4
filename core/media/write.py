"""Results as H.264 MP4: exact frame count, the clip's sound, the settings, and an AI-generated label."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Final

import av
import numpy as np
from numpy.typing import NDArray

from core.errors import BadSetting, PirouetteError
from core.media.audio import SoundClip
from core.media.disk import disk_error, written_beside
from core.media.metadata import LABEL, SETTINGS_KEY
from core.types import FPS

# What imageio's "quality 8" of the reference pipeline gives x264: int((1 - 8 / 10) * 51).
CRF: Final = 10
_PRESET: Final = "medium"
# Without it x264's macroblock tree gives other bits from run to run (its vector code reads memory that
# nobody wrote), and other bits on another processor.
_REPEATABLE: Final = "cpu-independent=1"
_SOUND_BITS: Final = 192_000
_AAC_SAMPLES: Final = 1024
# Rec. 709, as every player assumes for a picture of this kind; untagged files come out with shifted colours.
_BT709: Final = 1

Frames = Iterable[NDArray[np.uint8]]
Opener = Callable[[Path], BinaryIO]


@dataclass(frozen=True)
class WrittenVideo:
    """What was written."""

    frames: int
    width: int
    height: int
    duration_s: float
    has_sound: bool


def open_file(path: Path) -> BinaryIO:
    """The default ``opener``: unbuffered, so that a full disk shows at the write that met it."""
    return path.open("wb+", buffering=0)


def write_video(
    path: Path,
    frames: Frames,
    fps: float = FPS,
    sound: SoundClip | None = None,
    settings: Mapping[str, Any] | None = None,
    check: Callable[[], None] = lambda: None,
    opener: Opener = open_file,
) -> WrittenVideo:
    """Encode to H.264 (yuv420p, CRF 10, fast start) and AAC, beside ``path``, then rename.

    Args:
        path: the MP4 to make or replace.
        frames: uint8 RGB [H, W, 3], or chunks [n, H, W, 3]; all of one even size.
        fps: frames a second.
        sound: sound that starts with the first frame; cut where the picture ends. None writes no sound track.
        settings: stored as JSON in the metadata; None stores none. The AI-generated label is always written.
        check: called before each frame and before the renaming; whatever it raises (a cancel) leaves nothing
            behind.
        opener: opens the temporary file for writing and reading.

    Raises:
        BadSetting: no frames, an odd or a changing size.
        DiskError: the folder cannot be written or the drive is full.
    """
    with written_beside(path) as beside, opener(beside) as file:
        sink = _Sink(file, beside)
        try:
            return _encode(sink, _single(frames), fps, sound, settings, check)
        except av.error.FFmpegError as error:
            cause = sink.error or error
            if isinstance(cause, OSError):
                raise disk_error(cause, path) from error
            raise PirouetteError(
                f"{path.name} could not be encoded: {error}.", value=path, action="Report this problem."
            ) from error


class _Sink:
    """The open file as libav sees it; remembers why a write failed, which libav does not tell."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        # Fast start reads the finished file a second time, by this name.
        self.name = str(path)
        self.error: OSError | None = None
        self.seek, self.tell, self.read = file.seek, file.tell, file.read

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise


def _encode(
    file: _Sink,
    frames: Iterator[NDArray[np.uint8]],
    fps: float,
    sound: SoundClip | None,
    settings: Mapping[str, Any] | None,
    check: Callable[[], None],
) -> WrittenVideo:
    first = next(frames, None)
    if first is None:
        raise BadSetting("There are no frames to write.", value=0, limit="at least 1 frame")
    height, width = first.shape[:2]
    _check_even(width, height)
    options = {"movflags": "faststart+use_metadata_tags"}
    with av.open(file, "w", format="mp4", options=options) as container:
        container.metadata.update(_metadata(settings))
        picture = _Picture(container, width, height, fps)
        track = _Track(container, sound) if sound is not None and sound.samples.size else None
        for frame in _chain(first, frames):
            check()
            picture.add(frame)
            if track is not None:
                track.feed(picture.count / fps)
        picture.finish()
        if track is not None:
            track.finish()
    check()
    return WrittenVideo(picture.count, width, height, picture.count / fps, track is not None)


class _Picture:
    """The video stream of a file being written."""

    def __init__(self, container: Any, width: int, height: int, fps: float) -> None:
        self._container = container
        rate = Fraction(fps).limit_denominator(1001)
        self._stream = container.add_stream("libx264", rate=rate)
        self._stream.options = {"crf": str(CRF), "preset": _PRESET, "x264-params": _REPEATABLE}
        context = self._stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base = 1 / rate
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = 1  # limited, as H.264 players expect
        self._shape = (height, width, 3)
        self.count = 0

    def add(self, picture: NDArray[np.uint8]) -> None:
        if picture.shape != self._shape:
            raise BadSetting(
                "All frames of a video must have one size.", value=picture.shape, limit=self._shape
            )
        rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame = rgb.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts, frame.time_base = self.count, self._stream.codec_context.time_base
        self._container.mux(self._stream.encode(frame))
        self.count += 1

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))


class _Track:
    """The sound stream of a file being written.

    Fed along with the picture, in whole AAC frames (about 20 ms): a part of one would be padded with silence
    beyond the end of the picture.
    """

    def __init__(self, container: Any, sound: SoundClip) -> None:
        self._container = container
        self._sound = sound
        self._layout = "mono" if sound.samples.shape[0] == 1 else "stereo"
        self._stream = container.add_stream("aac", rate=sound.rate, layout=self._layout)
        self._stream.bit_rate = _SOUND_BITS
        self._done = 0

    def feed(self, until_s: float) -> None:
        """Encode up to the end of the picture so far."""
        end = min(int(until_s * self._sound.rate + 1e-6), self._sound.samples.shape[1])
        while self._done + _AAC_SAMPLES <= end:
            self._add(self._done + _AAC_SAMPLES)

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))

    def _add(self, stop: int) -> None:
        piece = np.ascontiguousarray(self._sound.samples[:, self._done : stop])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=self._layout)
        frame.rate, frame.pts, frame.time_base = self._sound.rate, self._done, Fraction(1, self._sound.rate)
        self._container.mux(self._stream.encode(frame))
        self._done = stop


def _single(frames: Frames) -> Iterator[NDArray[np.uint8]]:
    """Frames one by one from frames or chunks of frames."""
    for item in frames:
        if item.ndim == 4:
            yield from item
        else:
            yield item


def _chain(first: NDArray[np.uint8], rest: Iterator[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    yield first
    yield from rest


def _check_even(width: int, height: int) -> None:
    if width % 2 or height % 2:
        raise BadSetting(
            "H.264 needs an even width and height.",
            value=f"{width}x{height}",
            limit="even numbers",
            action=f"Use {width // 2 * 2}x{height // 2 * 2}.",
        )


def _metadata(settings: Mapping[str, Any] | None) -> dict[str, str]:
    if settings is None:
        return dict(LABEL)
    return {**LABEL, SETTINGS_KEY: json.dumps(settings, ensure_ascii=False, allow_nan=False)}
