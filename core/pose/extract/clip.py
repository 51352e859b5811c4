"""The people of a clip, in chunks that depend on the clip and the engine alone and are cached one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from core.cache import Cache, cache_key
from core.media.probe import probe_video
from core.media.read import frames_in, read_frames, selection
from core.pose.extract.engine import Found, Image, PoseEngine
from core.pose.extract.packed import LAYOUT, FoundFrames, JoinedFrames, pack, unpack
from core.types import Trim

MAX_FPS: Final = 30.0
CHUNK: Final = 32
# The detector looks over every so many frames; in between the people of the frame before lead on.
LOOK_EVERY: Final = 8
# Matroska and WebM store whole milliseconds: a clip may be half of one longer than its frames.
_ROUNDING_S: Final = 6e-4
_EPSILON_FRAMES: Final = 1e-3
_READ_BYTES: Final = 1024 * 1024
Check = Callable[[], None]
OnFrame = Callable[[int, int], None]


@dataclass(frozen=True)
class FoundClip:
    """The people of a range of a clip.

    Attributes:
        frames: the people of each frame, at most 8, the surest first.
        fps: frames a second, the clip's own average rate, 30 where that is more, or what was asked for.
        width: of the upright picture in pixels.
        height: of the upright picture in pixels.
        first_frame: number of the first frame on the clip's grid of time k / fps.
    """

    frames: Sequence[Sequence[Found]]
    fps: float
    width: int
    height: int
    first_frame: int


@dataclass(frozen=True)
class _Work:
    """What stays the same for all chunks of a clip."""

    clip: Path
    engine: PoseEngine
    fps: float
    needed_frames: int
    cache: Cache | None
    content: str

    def key(self, chunk: int) -> str:
        rule = f"{LAYOUT} {CHUNK} {LOOK_EVERY}"
        return cache_key("pose", rule, self.content, self.engine.version, repr(self.fps), str(chunk))

    def length(self, chunk: int) -> int:
        """Frames of a chunk as far as they are needed: the start of a chunk does not depend on its end."""
        return min(CHUNK, self.needed_frames - chunk * CHUNK)


@dataclass
class _Progress:
    """Counts frames and tells of each."""

    on_frame: OnFrame
    total: int
    done: int = 0

    def add(self, frames: int) -> None:
        if frames:
            self.done += frames
            self.on_frame(self.done, self.total)


def _go_on() -> None:
    """The ``check`` of callers that never cancel."""


def _untold(done: int, total: int) -> None:
    """The ``on_frame`` of callers that show nothing."""


def extract_clip(
    clip: Path,
    engine: PoseEngine,
    trim: Trim,
    cache: Cache | None = None,
    sha256: str | None = None,
    check: Check = _go_on,
    on_frame: OnFrame = _untold,
    fps: float | None = None,
) -> FoundClip:
    """Find the people in a range of a clip; memory grows with people found, not with pictures.

    Works on the chunks of ``CHUNK`` frames that the range touches, each from its start on. With a cache,
    another range or another try after a cancel takes what is there.

    Args:
        clip: a video.
        engine: finds people in one picture.
        trim: the range in seconds.
        cache: keeps finished chunks.
        sha256: of the clip's content where it is known, else computed if there is a cache.
        check: called before each frame; whatever it raises ends the work.
        on_frame: told frames done and frames in all (from the first chunk's start on).
        fps: frames a second to look at, for who needs no more; at most, and by default, the clip's own or
            ``MAX_FPS``.

    Raises:
        BadVideo: unreadable or damaged within the range, or an empty range.
    """
    info = probe_video(clip)
    start_s, end_s = selection(info.duration_s, trim.start_s, trim.end_s)
    fps = min(info.fps, fps or MAX_FPS)
    clip_frames = frames_in(info.duration_s - _ROUNDING_S, fps)
    first = min(int(start_s * fps + _EPSILON_FRAMES), clip_frames - 1)
    end = min(max(frames_in(end_s, fps), first + 1), clip_frames)
    if cache is not None and sha256 is None:
        sha256 = _content_hash(clip, check)
    # With the size: a hash that was taken before the file was changed must not name what is in it now.
    content = f"{sha256} {clip.stat().st_size}"
    work = _Work(clip, engine, fps, end, cache, content)
    chunks = range(first // CHUNK, (end - 1) // CHUNK + 1)
    progress = _Progress(on_frame, sum(map(work.length, chunks)))
    found = JoinedFrames(_all_chunks(work, chunks, progress, check))
    start = first - chunks.start * CHUNK
    return FoundClip(found[start : start + end - first], fps, info.width, info.height, first)


def extract_picture(picture: Image, engine: PoseEngine, cache: Cache | None = None) -> list[Found]:
    """The people of one picture, uint8 RGB [H, W, 3], the surest first."""
    if cache is None:
        return pack([engine.people(picture)])[0]
    height, width = picture.shape[:2]
    content = hashlib.sha256(picture.tobytes()).hexdigest()
    key = cache_key("pose picture", LAYOUT, content, f"{width}x{height}", engine.version)
    stored = _stored(cache, key, 1)
    if stored is None:
        stored = pack([engine.people(picture)])
        cache.put(key, stored.to_bytes())
    return stored[0]


def _all_chunks(work: _Work, chunks: range, progress: _Progress, check: Check) -> list[FoundFrames]:
    """The people of each chunk: those in the cache at once, each run of others from one stream."""
    cached = {chunk: _stored(work.cache, work.key(chunk), work.length(chunk)) for chunk in chunks}
    progress.add(sum(len(part) for part in cached.values() if part is not None))
    parts: list[FoundFrames] = []
    for missing, run in groupby(chunks, lambda chunk: cached[chunk] is None):
        if missing:
            parts += _fresh(work, list(run), progress, check)
        else:
            parts += [part for part in map(cached.get, run) if part is not None]
    return parts


def _stored(cache: Cache | None, key: str, length: int) -> FoundFrames | None:
    """The first ``length`` frames of a chunk out of the cache, if as many are there."""
    data = None if cache is None else cache.get(key)
    found = None if data is None else unpack(data)
    return found[:length] if found is not None and len(found) >= length else None


def _fresh(work: _Work, run: Sequence[int], progress: _Progress, check: Check) -> Iterator[FoundFrames]:
    """Work on neighbouring chunks, one stream of frames for all of them."""
    start_s = run[0] * CHUNK / work.fps
    stream = read_frames(work.clip, start_s, None, work.fps, sum(map(work.length, run)))
    for chunk in run:
        found = pack(_people(work, chunk, stream, progress, check))
        if work.cache is not None:
            work.cache.put(work.key(chunk), found.to_bytes())
        yield found


def _people(
    work: _Work, chunk: int, stream: Iterator[Image], progress: _Progress, check: Check
) -> Iterator[list[Found]]:
    """The people of each frame of one chunk."""
    before: list[Found] = []
    lost = False
    for number in range(work.length(chunk)):
        check()
        people = work.engine.people(next(stream), before, lost or not before or number % LOOK_EVERY == 0)
        # Perhaps only by following on from frame to frame, so the next one is looked over.
        lost = len(people) < len(before)
        before = people
        progress.add(1)
        yield people


def _content_hash(clip: Path, check: Check) -> str:
    digest = hashlib.sha256()
    with clip.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            check()
            digest.update(piece)
    return digest.hexdigest()
