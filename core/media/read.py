"""Frames of a clip resampled by presentation time: variable rates come out right, speed stays the same."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.errors import BadVideo
from core.media.probe import VideoInfo, check_complete, cut_off, open_video, probe_video, quarter_turns
from core.types import FPS

# Presentation times are exact fractions in the file and floats here.
_EPSILON_S: Final = 1e-4
# Matroska and WebM round them to milliseconds: a frame may be half of one early or late.
_ROUNDED_S: Final = 6e-4
# A header may promise this much more than the last frame shows before we call the file cut off.
_SLACK_S: Final = 0.25
_SLACK_FRAMES: Final = 3
# swscale: bilinear, accurate rounding, full horizontal chroma; its fast path is up to 3 levels dark.
_EXACT: Final = 2 | 0x40000 | 0x2000


def selection(duration_s: float, start_s: float, end_s: float | None) -> tuple[float, float]:
    """Start and end of a trimmed range within a clip.

    Raises:
        BadVideo: the range is empty or starts after the clip's end.
    """
    end = duration_s if end_s is None else min(end_s, duration_s)
    if not 0 <= start_s < end - _EPSILON_S:
        raise BadVideo(
            "The selected range of the clip is empty.",
            value=f"{start_s:g} to {end:g} s",
            limit=f"0 to {duration_s:.3f} s",
            action="Choose a start before the end, both inside the clip.",
        )
    return start_s, end


def frames_in(seconds: float, fps: float = FPS) -> int:
    """Output frames k with k / fps < seconds: a frame stands for the time from k / fps to (k + 1) / fps."""
    return max(1, math.ceil((seconds - _EPSILON_S) * fps))


def read_frames(
    path: Path,
    start_s: float = 0.0,
    end_s: float | None = None,
    fps: float = FPS,
    limit: int | None = None,
) -> Iterator[NDArray[np.uint8]]:
    """Upright RGB frames [H, W, 3] uint8 at a fixed rate, one at a time (memory does not grow with length).

    Frame k is the picture on screen at ``start_s + k / fps``, times counted from the first frame of the clip.
    Their number is ``frames_in(end - start)``, at most ``limit``.

    Raises:
        BadVideo: unreadable, an empty range, damaged on the way, or fewer frames than the header promises
            (then the message says how many there are).
    """
    info = probe_video(path)
    start, end = selection(info.duration_s, start_s, end_s)
    wanted = frames_in(end - start, fps)
    wanted = wanted if limit is None else min(wanted, limit)
    with open_video(path) as (container, stream):
        check_complete(stream, path)
        shown, read_until_s = None, 0.0
        done = 0
        for time_s, frame in _decoded(container, stream, start):
            while shown is not None and done < wanted and start + done / fps < time_s - _ROUNDED_S:
                yield to_rgb(shown)
                done += 1
            if done == wanted:
                return
            shown, read_until_s = frame, time_s + float((frame.duration or 0) * stream.time_base)
        _check_end(path, info, start + (wanted - 1) / fps, read_until_s)
        for _ in range(done, wanted):
            yield to_rgb(shown)


def glance(path: Path, count: int) -> Iterator[NDArray[np.uint8]]:
    """About ``count`` key frames spread over a clip, fast; upright RGB [H, W, 3] uint8.

    Raises:
        BadVideo: unreadable.
    """
    duration_s = probe_video(path).duration_s
    with open_video(path) as (container, stream):
        origin = stream.start_time or 0
        for look in range(count):
            target = origin + int(duration_s * look / count / stream.time_base)
            container.seek(target, stream=stream, backward=True)
            for frame in container.decode(stream):
                yield to_rgb(frame)
                break


def to_rgb(frame: Any) -> NDArray[np.uint8]:
    """A decoded frame upright as RGB [H, W, 3] uint8; any pixel format, depth or odd size."""
    picture: NDArray[np.uint8] = frame.to_ndarray(format="rgb24", interpolation=_EXACT)
    return np.ascontiguousarray(np.rot90(picture, quarter_turns(frame)))


def _decoded(container: Any, stream: Any, start_s: float) -> Iterator[tuple[float, Any]]:
    """Times from the clip's first frame, and frames, from the last key frame before ``start_s`` on."""
    base = Fraction(stream.time_base)
    origin = (stream.start_time or 0) * base
    if start_s > 0:
        container.seek(int((origin + Fraction(start_s)) / base), stream=stream, backward=True)
    step = 1 / float(stream.average_rate or FPS)
    time_s = -step
    for frame in container.decode(stream):
        # A frame without a time follows the one before at the average rate.
        time_s = time_s + step if frame.pts is None else float(frame.pts * base - origin)
        yield time_s, frame


def _check_end(path: Path, info: VideoInfo, needed_s: float, read_until_s: float) -> None:
    slack = max(_SLACK_S, _SLACK_FRAMES / info.fps)
    if needed_s - read_until_s > slack:
        expected = info.frame_count or round(info.duration_s * info.fps)
        raise cut_off(path, round(read_until_s * info.fps), expected)
