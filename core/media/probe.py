"""What a video file holds, found from its header, its index and its first frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av

from core.errors import BadVideo

MIN_SIDE: Final = 16
MAX_SIDE: Final = 8192
_FORMATS: Final = "Give a video file such as MP4, MOV, WebM or MKV."
_FRAME_TOLERANCE: Final = 0.02
_LENIENT: Final[dict[str, Any]] = (
    {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
)
"""A title in another encoding than UTF-8 is no reason to refuse a video; PyAV from 19 on sees to it alone."""


@dataclass(frozen=True)
class VideoInfo:
    """A video file.

    Attributes:
        width: pixels as shown, rotation applied.
        height: pixels as shown, rotation applied.
        rotation: degrees counter-clockwise that the stored picture is turned by: 0, 90, 180 or 270.
        fps: average frames a second.
        duration_s: seconds from the first frame to the end of the last.
        frame_count: frames by the header, None where it does not tell.
        has_sound: there is at least one sound stream.
        codec: name of the video codec.
        pixel_format: such as yuv420p.
        variable_frame_rate: a hint: the average rate differs from the smallest frame step.
    """

    width: int
    height: int
    rotation: int
    fps: float
    duration_s: float
    frame_count: int | None
    has_sound: bool
    codec: str
    pixel_format: str
    variable_frame_rate: bool


def probe_video(path: Path) -> VideoInfo:
    """Open a video and decode its first frame.

    Raises:
        BadVideo: missing, empty, cut off, damaged, without a video stream or frame, of a wrong size.
    """
    with open_video(path) as (container, stream):
        frame = _first_frame(container, stream, path)
        check_complete(stream, path)
        rotation = quarter_turns(frame) * 90
        width, height = frame.width, frame.height
        if rotation % 180:
            width, height = height, width
        _check_size(width, height, path)
        fps = _fps(stream)
        return VideoInfo(
            width=width,
            height=height,
            rotation=rotation,
            fps=fps,
            duration_s=max(_duration(container, stream, fps, path), _last_shown_s(container, stream)),
            frame_count=stream.frames or None,
            has_sound=bool(container.streams.audio),
            codec=stream.codec_context.name,
            pixel_format=str(stream.codec_context.pix_fmt),
            variable_frame_rate=_is_variable(stream),
        )


@contextmanager
def open_video(path: Path) -> Iterator[tuple[Any, Any]]:
    """The open container and its video stream; every libav error inside becomes ``BadVideo``.

    Raises:
        BadVideo: as ``probe_video``.
    """
    _check_file(path)
    with as_bad_video(path), av.open(str(path), **_LENIENT) as container:
        stream = _video_stream(container)
        if stream is None:
            raise BadVideo(
                f"{path.name} has no video in it.",
                value=", ".join(s.type for s in container.streams) or "no streams",
                limit="one video stream",
                action=_FORMATS,
            )
        stream.thread_type = "AUTO"
        yield container, stream


@contextmanager
def as_bad_video(path: Path) -> Iterator[None]:
    """Every libav error inside becomes ``BadVideo``; for readers that stay open."""
    try:
        yield
    except (av.error.FFmpegError, EOFError) as error:
        raise BadVideo(
            f"{path.name} cannot be read as a video: it is damaged, cut off or no video at all.",
            value=getattr(error, "strerror", None) or str(error),
            action=_FORMATS,
        ) from error


def quarter_turns(frame: Any) -> int:
    """Quarter turns counter-clockwise from the file's display matrix: 0 to 3."""
    return round(float(frame.rotation) / 90) % 4


def check_complete(stream: Any, path: Path) -> None:
    """Compare the index of an MP4 or MOV with the file's length, so that a cut-off copy is found at once.

    Raises:
        BadVideo: packets lie beyond the end of the file; says how many frames are there.
    """
    size_bytes = path.stat().st_size
    entries = [(entry.pos, entry.size) for entry in stream.index_entries]
    whole = sum(pos + size <= size_bytes for pos, size in entries)
    if whole < len(entries) and stream.frames:
        raise cut_off(path, whole, len(entries))


def cut_off(path: Path, readable: int, expected: int) -> BadVideo:
    """The error for a file that ends too early."""
    return BadVideo(
        f"{path.name} is cut off: {readable} of {expected} frames can be read.",
        value=f"{readable} frames",
        limit=f"{expected} frames",
        action="Copy or download the file again, or trim the range to the readable part in a video editor.",
    )


def _check_file(path: Path) -> None:
    if not path.exists():
        raise BadVideo(f"{path} does not exist.", value=path, action="Check the path.")
    if path.is_dir():
        raise BadVideo(f"{path} is a folder, not a video.", value=path, action=_FORMATS)
    if path.stat().st_size == 0:
        raise BadVideo(f"{path.name} is empty.", value="0 bytes", limit="a video", action=_FORMATS)


def _video_stream(container: Any) -> Any | None:
    """The first video stream that is not the cover picture of a sound file."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    return None


def _first_frame(container: Any, stream: Any, path: Path) -> Any:
    for frame in container.decode(stream):
        return frame
    raise BadVideo(
        f"{path.name} has no frame that can be shown.", value="0 frames", limit="at least 1", action=_FORMATS
    )


def _check_size(width: int, height: int, path: Path) -> None:
    if min(width, height) < MIN_SIDE or max(width, height) > MAX_SIDE:
        raise BadVideo(
            f"{path.name} has a picture size that we cannot use.",
            value=f"{width}x{height}",
            limit=f"{MIN_SIDE} to {MAX_SIDE} pixels a side",
            action="Scale the video first.",
        )


def _fps(stream: Any) -> float:
    rate = stream.average_rate or stream.base_rate or stream.guessed_rate
    return float(rate) if rate else 25.0


def _duration(container: Any, stream: Any, fps: float, path: Path) -> float:
    if stream.duration:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration:
        # Matroska counts from 0, also where the first picture comes later.
        late_s = float((stream.start_time or 0) * stream.time_base)
        seconds = container.duration / av.time_base
        seconds = seconds - late_s if 0 < late_s < seconds else seconds
    else:
        seconds = stream.frames / fps
    if seconds <= 0:
        raise BadVideo(
            f"{path.name} has no length.", value="0 s", limit="at least one frame", action=_FORMATS
        )
    return seconds


def _last_shown_s(container: Any, stream: Any) -> float:
    """When the last frame ends, from the packets after the last key frame.

    With a variable rate and reordered frames the header counts decoding times, which may end too early.
    """
    start = stream.start_time or 0
    try:
        container.seek(start + (stream.duration or 0), stream=stream, backward=True)
    except av.error.FFmpegError:
        return 0.0  # a stream without an index: the header's length stands
    packets = [packet for packet in container.demux(stream) if packet.pts is not None]
    last = max((packet.pts + (packet.duration or 0) for packet in packets), default=start)
    return float((last - start) * stream.time_base)


def _is_variable(stream: Any) -> bool:
    average, base = stream.average_rate, stream.base_rate
    return bool(average and base and abs(float(base / average) - 1) > _FRAME_TOLERANCE)
