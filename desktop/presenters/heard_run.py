"""A run of play as the sound device takes it: which samples, and how its clock runs against the window's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from desktop.model.playing import Run

# The device fills its buffers with a burst; only then do its questions come at an even pace.
_SETTLED_S: Final = 0.25
_GAIN: Final = 0.05
# Nothing that drifts is this fast: the device has paused, or the machine slept.
_LOST_S: Final = 0.15
_LOST_AT_FIRST_S: Final = 1.0


@dataclass
class HeardRun:
    """Touched by the device's thread alone, but for reading ``drift_s``.

    Attributes:
        at_s: when the run began, on the window's clock.
        elapsed_s: of the run, at the next sample; None before the first.
        settled_s: how far the device is ahead as a rule; None until it is known.
    """

    run: Run
    at_s: float
    elapsed_s: float | None = None
    begun_s: float = 0.0
    latency_s: float = 0.0
    settled_s: float | None = None
    drift_s: float = 0.0

    def take(self, now_s: float, seconds: float, latency_s: float) -> tuple[float, bool]:
        """Time of the run at the first of the samples asked for now, and whether it follows the last ones."""
        if self.elapsed_s is None:
            self.latency_s = latency_s
        expected_s = now_s + self.latency_s - self.at_s
        if self.elapsed_s is None:
            self.elapsed_s, self.begun_s = expected_s, now_s
            follows = False
        else:
            follows = self._follow(self.elapsed_s - expected_s, now_s)
            if not follows:
                self.elapsed_s = expected_s + self.drift_s
                self.begun_s, self.settled_s = now_s, None
        start_s = self.elapsed_s
        self.elapsed_s += seconds
        return start_s, follows

    def _follow(self, ahead_s: float, now_s: float) -> bool:
        if self.settled_s is None:
            if now_s - self.begun_s >= _SETTLED_S:
                self.settled_s = ahead_s - self.drift_s
            return abs(ahead_s - self.drift_s) < _LOST_AT_FIRST_S
        off_s = ahead_s - self.settled_s - self.drift_s
        if abs(off_s) >= _LOST_S:
            return False
        self.drift_s += _GAIN * off_s
        return True
