"""Small pictures kept on disk, so that a cold start shows them at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.cache import Cache, cache_key
from core.settings import places

LIMIT_BYTES: Final = 256 * 1024**2
# Raised where the same file would give another picture.
_VERSION: Final = "1"


@dataclass(frozen=True)
class Stamp:
    """A file as it is now: another size or time means other pictures."""

    path: Path
    size_bytes: int
    mtime_ns: int


def stamp_of(path: Path) -> Stamp:
    """Raises ``OSError`` where the file is not there."""
    status = path.stat()
    return Stamp(path, status.st_size, status.st_mtime_ns)


class ThumbnailCache:
    """JPEG and PNG files by what they show; those unused for longest go first.

    Args:
        root: its folder; None takes the user's.
        limit_bytes: what it may take.
    """

    def __init__(self, root: Path | None = None, limit_bytes: int = LIMIT_BYTES) -> None:
        self._cache = Cache(root or places().cache / "thumbnails", limit_bytes)

    def get(self, stamp: Stamp, time_s: float | None, side: int) -> bytes | None:
        """The encoded picture; None where it was not made or is damaged."""
        return self._cache.get(_key(stamp, time_s, side))

    def put(self, stamp: Stamp, time_s: float | None, side: int, data: bytes) -> None:
        """Keep it; a full or read-only drive is no error."""
        self._cache.put(_key(stamp, time_s, side), data)


def _key(stamp: Stamp, time_s: float | None, side: int) -> str:
    moment = "" if time_s is None else f"{time_s:.4f}"
    return cache_key(_VERSION, str(stamp.path), str(stamp.size_bytes), str(stamp.mtime_ns), moment, str(side))
