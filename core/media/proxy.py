"""Small copies of clips in which every frame stands alone: a drag over the timeline finds them at once.

A copy is one file: the frames as JPEG, then their times and places. It can be read while it is being made.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
import logging
import math
import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Final

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

from core.errors import PirouetteError
from core.media.disk import disk_error, written_beside
from core.media.probe import as_bad_video, probe_video
from core.media.seeker import Seeker

SIDE: Final = 640
# Decoding this many pixels takes about a frame's time; what reaches further is worth a copy.
_REACH_PIXELS: Final = 8_000_000
# Nobody can drag more finely than this over a timeline: longer clips leave frames out.
_MOST_FRAMES: Final = 9_000
_QUALITY: Final = "6"
_BILINEAR: Final = 2
_LIMIT_BYTES: Final = 2 << 30
_MAGIC: Final = b"PIRPROX1"
_ENTRY: Final = struct.Struct("<ddQI")
_FOOTER: Final = struct.Struct("<QQB8s")
_LOG: Final = logging.getLogger(__name__)


class Proxy:
    """Frames of a copy, as far as it is made. For any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        self._from_s: list[float] = []
        self._entries: list[tuple[float, int, int]] = []
        self._decoder: Any = None
        self._reformat = VideoReformatter()
        self._turns = 0
        self.complete = False

    def covers(self, time_s: float) -> bool:
        """Is the frame on screen then in the copy already?"""
        with self._lock:
            return self._file is not None and (self.complete or time_s < self._last_from_s())

    def picture(self, time_s: float) -> tuple[float, float, float, NDArray[np.uint8]] | None:
        """Time, from when and until when it is shown, BGRA [H, W, 4] uint8; None where it is not made yet.

        Where the copy leaves frames out, the one before stands for them.
        """
        with self._lock:
            found = bisect.bisect_right(self._from_s, time_s) - 1
            last = found == len(self._entries) - 1
            if self._file is None or found < 0 or (last and not self.complete):
                return None
            own_s, offset, size_bytes = self._entries[found]
            until_s = math.inf if last else self._from_s[found + 1]
            try:
                self._file.seek(offset)
                picture = self._decode(self._file.read(size_bytes))
            except (OSError, av.error.FFmpegError) as error:
                _LOG.warning("A copy for scrubbing cannot be read: %s", error)
                self._forget()
                return None
            return own_s, self._from_s[found], until_s, picture

    def close(self) -> None:
        """Give the file back; nothing is found any more."""
        with self._lock:
            self._forget()

    def add(self, from_s: float, time_s: float, offset: int, size_bytes: int) -> None:
        """A further frame is in the file."""
        with self._lock:
            self._from_s.append(from_s)
            self._entries.append((time_s, offset, size_bytes))

    def read_from(self, path: Path, turns: int, complete: bool) -> None:
        """Take the frames from this file from now on; shown turned so many quarters counter-clockwise."""
        with self._lock:
            if self._file is not None:
                self._file.close()
            self._file, self._turns, self.complete = path.open("rb"), turns, complete

    def let_go(self) -> None:
        """Close the file for a moment: one that is open cannot be renamed everywhere."""
        with self._lock:
            if self._file is not None:
                self._file.close()
            self._file = None

    def _last_from_s(self) -> float:
        return self._from_s[-1] if self._from_s else -math.inf

    def _decode(self, data: bytes) -> NDArray[np.uint8]:
        if self._decoder is None:
            self._decoder = av.CodecContext.create("mjpeg", "r")
            self._decoder.thread_count = 1
        frame = self._decoder.decode(av.Packet(data))[0]
        picture = self._reformat.reformat(frame, format="bgra").to_ndarray()
        return np.ascontiguousarray(np.rot90(picture, self._turns), np.uint8)

    def _forget(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._from_s, self._entries = None, [], []


class Proxies:
    """The copies in a folder, by what they are copies of.

    Args:
        folder: made when the first one is.
        limit_bytes: of all; the ones that were not used for longest go first.
    """

    def __init__(self, folder: Path, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes

    def find(self, clip: Path) -> Proxy | None:
        """A finished copy of the file as it is now; None where there is none."""
        path = self._path(clip)
        proxy = Proxy()
        try:
            turns, entries = _index(path)
            for entry in entries:
                proxy.add(*entry)
            proxy.read_from(path, turns, complete=True)
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, struct.error, ValueError) as error:
            _LOG.warning("A damaged copy for scrubbing is made anew: %s", error)
            proxy.close()
            return None
        return proxy

    def make(self, clip: Path, proxy: Proxy, check: Callable[[], None] = lambda: None) -> None:
        """Write the copy; ``proxy`` gives its frames meanwhile and afterwards.

        Args:
            check: called for each frame; raises ``Cancelled`` to stop.

        Raises:
            BadVideo: the clip is unreadable. DiskError: no room. Cancelled: by ``check``. Nothing is left.
        """
        path = self._path(clip)
        try:
            turns = probe_video(clip).rotation // 90
            with as_bad_video(clip), written_beside(path) as part, part.open("wb") as out:
                proxy.read_from(part, turns, complete=False)
                entries = [_put(proxy, out, *frame) for frame in _small_frames(clip, check)]
                _finish(out, turns, entries)
                out.close()
                proxy.let_go()
            proxy.read_from(path, turns, complete=True)
        except OSError as error:
            proxy.close()
            raise disk_error(error, path) from error
        except PirouetteError:
            proxy.close()
            raise
        self._shrink(keep=path)

    def _path(self, clip: Path) -> Path:
        status = clip.stat()
        what = f"{clip.resolve()}|{status.st_size}|{status.st_mtime_ns}"
        return (
            self._folder / f"{hashlib.sha256(what.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.frames"
        )

    def _shrink(self, keep: Path) -> None:
        found = [(path.stat(), path) for path in self._folder.glob("*.frames")]
        held_bytes = sum(status.st_size for status, _ in found)
        for status, path in sorted(found, key=lambda one: one[0].st_mtime_ns):
            if held_bytes <= self._limit_bytes:
                return
            if path != keep:
                # One that another window reads cannot be removed everywhere; the next time, then.
                with suppress(OSError):
                    path.unlink()
                    held_bytes -= status.st_size


def is_worth_a_proxy(seeker: Seeker) -> bool:
    """Does finding a frame take long enough to be felt?"""
    pixels = seeker.info.width * seeker.info.height
    return seeker.longest_reach_frames * pixels > _REACH_PIXELS


def _small_frames(clip: Path, check: Callable[[], None]) -> Iterator[tuple[float, float, bytes]]:
    """From when, own time, JPEG; in order."""
    seeker = Seeker(clip)
    try:
        expected = seeker.info.duration_s * seeker.info.fps
        stride = max(1, math.ceil(expected / _MOST_FRAMES))
        encoder, reformat = None, VideoReformatter()
        for number, shown in enumerate(_all(seeker)):
            check()
            if number % stride:
                continue
            small = _shrunk(reformat, shown.frame)
            encoder = encoder or _encoder(small)
            small.pts, small.time_base = number, encoder.time_base
            (packet,) = encoder.encode(small)
            yield shown.from_s, shown.time_s, bytes(packet)
    finally:
        seeker.close()


def _all(seeker: Seeker) -> Iterator[Any]:
    shown = seeker.at(0.0)
    yield shown
    while shown.until_s < math.inf:
        shown = seeker.at(shown.until_s)
        yield shown


def _shrunk(reformat: VideoReformatter, frame: Any) -> Any:
    """As stored, not turned; with the matrix that every JPEG has, whatever the clip's is."""
    scale = min(1.0, SIDE / max(frame.width, frame.height))
    width, height = (max(1, round(length * scale)) for length in (frame.width, frame.height))
    return reformat.reformat(
        frame, width, height, "yuvj420p", dst_colorspace=Colorspace.ITU601, interpolation=_BILINEAR
    )


def _encoder(small: Any) -> Any:
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = small.width, small.height
    encoder.pix_fmt, encoder.time_base, encoder.thread_count = "yuvj420p", Fraction(1, 1000), 1
    encoder.options = {"qmin": _QUALITY, "qmax": _QUALITY, "huffman": "default"}
    return encoder


def _put(
    proxy: Proxy, out: BinaryIO, from_s: float, time_s: float, data: bytes
) -> tuple[float, float, int, int]:
    entry = (from_s, time_s, out.tell(), len(data))
    out.write(data)
    out.flush()
    proxy.add(*entry)
    return entry


def _finish(out: BinaryIO, turns: int, entries: list[tuple[float, float, int, int]]) -> None:
    at = out.tell()
    out.write(b"".join(_ENTRY.pack(*entry) for entry in entries))
    out.write(_FOOTER.pack(at, len(entries), turns, _MAGIC))


def _index(path: Path) -> tuple[int, list[tuple[float, float, int, int]]]:
    """Quarter turns and the frames. Raises ``ValueError`` where the file is not whole."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - _FOOTER.size))
        at, count, turns, magic = _FOOTER.unpack(file.read(_FOOTER.size))
        if magic != _MAGIC or at + count * _ENTRY.size + _FOOTER.size != end:
            raise ValueError(f"{path.name} is not whole")
        file.seek(at)
        entries = list(_ENTRY.iter_unpack(file.read(count * _ENTRY.size)))
    starts = [entry[0] for entry in entries]
    if not entries or any(after <= before for before, after in itertools.pairwise(starts)):
        raise ValueError(f"{path.name} has frames out of order")
    if any(offset + size_bytes > at for _, _, offset, size_bytes in entries):
        raise ValueError(f"{path.name} has frames beyond its end")
    return turns % 4, entries
