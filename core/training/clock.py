"""A training run's length in steps and seconds, whichever ends first, over several pieces."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Counts the steps and seconds of all pieces of a run.

    ``progress`` is the share of the whole run that is done (the schedule's abscissa); a piece ends when the
    run does, or when ``piece_seconds`` have passed since it began.
    """

    total_steps: int
    total_seconds: float
    piece_seconds: float
    step: int = 0
    seconds_before: float = 0.0
    now: Callable[[], float] = time.monotonic
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.now()

    @property
    def seconds(self) -> float:
        """Seconds spent in all pieces."""
        return self.seconds_before + self.now() - self._began

    @property
    def progress(self) -> float:
        """0 at the start of the run, 1 at its end."""
        return min(1.0, max(self.step / self.total_steps, self.seconds / self.total_seconds))

    def steps(self) -> Iterator[int]:
        """Step numbers until the run or the piece is over."""
        while self.progress < 1.0 and self.now() - self._began < self.piece_seconds:
            yield self.step
            self.step += 1

    @property
    def finished(self) -> bool:
        """Whether the whole run, not just the piece, is over."""
        return self.progress >= 1.0
