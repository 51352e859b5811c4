"""Finds people in clips and pictures with an engine that is opened when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from core.cache import Cache
from core.pose.extract.clip import FoundClip, extract_clip, extract_picture
from core.pose.extract.engine import Found, Image, PoseEngine
from core.types import Trim

Check = Callable[[], None]
OnFrame = Callable[[int, int], None]


def untold(done: int, total: int) -> None:
    """The ``on_frame`` of callers that show nothing."""


class PoseFinder:
    """An engine and the cache of what it found.

    Args:
        open_engine: opens the engine.
        cache: None finds everything anew.
    """

    def __init__(self, open_engine: Callable[[], PoseEngine], cache: Cache | None = None) -> None:
        self._open = open_engine
        self._opened: PoseEngine | None = None
        self._cache = cache

    @property
    def engine(self) -> PoseEngine:
        """The engine; raises ``BadCheckpoint`` where its files are missing or damaged."""
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the engine, such as a GPU that could not be used."""
        return () if self._opened is None else tuple(self._opened.notes)

    def in_clip(
        self,
        clip: Path,
        trim: Trim,
        check: Check,
        on_frame: OnFrame,
        sha256: str | None = None,
        fps: float | None = None,
    ) -> FoundClip:
        """Everybody in a range of a clip; arguments and errors as ``extract_clip``'s."""
        return extract_clip(clip, self.engine, trim, self._cache, sha256, check, on_frame, fps)

    def in_picture(self, picture: Image) -> list[Found]:
        """Everybody in uint8 RGB [H, W, 3]."""
        return extract_picture(np.ascontiguousarray(picture), self.engine, self._cache)
