"""How fast bytes come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_SMOOTHING_S: Final = 5.0
_SAMPLE_S: Final = 0.1


class Speed:
    """Bytes a second over the latest seconds, older ones fading.

    Args:
        clock: seconds.

    Attributes:
        bytes_per_s: None until it can be told.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._pending = 0
        self.bytes_per_s: float | None = None

    def add(self, size_bytes: int) -> None:
        """So many more bytes have come."""
        self._pending += size_bytes
        elapsed = self._clock() - self._since
        if elapsed < _SAMPLE_S:
            return
        now = self._pending / elapsed
        weight = min(1.0, elapsed / _SMOOTHING_S)
        before = self.bytes_per_s
        self.bytes_per_s = now if before is None else before + weight * (now - before)
        self._since += elapsed
        self._pending = 0

    def skip(self) -> None:
        """What has passed since the latest bytes was a pause and does not count."""
        self._since, self._pending = self._clock(), 0
