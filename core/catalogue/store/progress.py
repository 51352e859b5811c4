"""How far work on many files is, as totals over all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from core.catalogue.speed import Speed

WorkPhase = Literal["download", "verify", "copy", "convert"]
_EVERY_S: Final = 0.1


@dataclass(frozen=True)
class StoreProgress:
    """Where the work stands.

    Attributes:
        phase: what happens to ``file`` now.
        bytes_done, bytes_total: of all files together, what was there at the start included.
        bytes_per_s, eta_s: None until they can be told.
        file_bytes_done: of ``file`` alone.
    """

    phase: WorkPhase
    file: str
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int
    bytes_per_s: float | None = None
    eta_s: float | None = None
    file_bytes_done: int = 0


OnProgress = Callable[[StoreProgress], None]
Check = Callable[[], None]


def ignore(_: StoreProgress) -> None:
    """For callers that show nothing."""


def go_on() -> None:
    """For callers that never stop."""


class Totals:
    """Adds up files that may be worked on at the same time, and tells at most ten times a second.

    Args:
        on_progress: called with the totals, never from two threads at once.
        files_total, bytes_total: of all files.
        clock: seconds.
    """

    def __init__(
        self,
        on_progress: OnProgress,
        files_total: int,
        bytes_total: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_progress = on_progress
        self._files_total = files_total
        self._bytes_total = bytes_total
        self._clock = clock
        self._lock = threading.Lock()
        self._done: dict[str, int] = {}
        self._finished: set[str] = set()
        self._told_at = float("-inf")
        self._speed = Speed(clock)

    def at(self, key: str, phase: WorkPhase, bytes_done: int, moved: int | None = None) -> None:
        """``bytes_done`` of one file are done; ``moved`` count for the speed (default: the growth)."""
        with self._lock:
            before = self._done.get(key, 0)
            self._done[key] = bytes_done
            self._speed.add(max(0, bytes_done - before) if moved is None else moved)
            if self._clock() - self._told_at >= _EVERY_S:
                self._tell(key, phase)

    def there(self, key: str, bytes_done: int) -> None:
        """So much of a file is there before anything begins."""
        self._done[key] = bytes_done

    def start(self, key: str, phase: WorkPhase, bytes_done: int) -> None:
        """Begin a file of which so much is there already."""
        with self._lock:
            self._done[key] = bytes_done
            self._tell(key, phase)

    def finish(self, key: str, phase: WorkPhase, size_bytes: int) -> None:
        """A file is done."""
        with self._lock:
            self._done[key] = size_bytes
            self._finished.add(key)
            self._tell(key, phase)

    def _tell(self, key: str, phase: WorkPhase) -> None:
        done = sum(self._done.values())
        speed = self._speed.bytes_per_s
        left = max(0, self._bytes_total - done)
        eta_s = left / speed if speed else None
        self._told_at = self._clock()
        self._on_progress(
            StoreProgress(
                phase,
                key,
                len(self._finished),
                self._files_total,
                done,
                self._bytes_total,
                speed,
                eta_s,
                self._done[key],
            )
        )
