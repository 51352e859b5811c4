"""A training run's length in steps and seconds, whichever ends first, over several pieces."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

Ending = Literal["run", "open", "piece"]

# Momentum is not saved, so each piece of a run begins gently.
PIECE_WARMUP_STEPS = 60
_RUN_WARMUP = 0.01
# A piece that ends a run brings the learning rate down over most of it.
_LAST_DECAY = 0.75


@dataclass
class Clock:
    """Counts the steps and seconds of all pieces of a run, and says what the learning rate is.

    A piece ends when the run does, or when ``piece_seconds`` have passed since it began. ``ending`` says when
    the learning rate falls to 0: towards the run's end ("run"), not in this piece, which others will follow
    ("open"; the run's length then does not matter), or over this piece, which ends the run ("piece").
    """

    total_steps: int
    total_seconds: float
    piece_seconds: float
    step: int = 0
    seconds_before: float = 0.0
    now: Callable[[], float] = time.monotonic
    ending: Ending = "run"
    _began: float = field(init=False)
    _first_step: int = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.now()
        self._first_step = self.step

    @property
    def seconds(self) -> float:
        """Seconds spent in all pieces."""
        return self.seconds_before + self.now() - self._began

    @property
    def progress(self) -> float:
        """0 at the start of the run, 1 at its end."""
        return min(1.0, max(self.step / self.total_steps, self.seconds / self.total_seconds))

    @property
    def piece_progress(self) -> float:
        """0 at the start of this piece, 1 at its end."""
        return min(1.0, (self.now() - self._began) / self.piece_seconds)

    def steps(self) -> Iterator[int]:
        """Step numbers until the run or the piece is over."""
        while self.piece_progress < 1.0 and (self.ending != "run" or self.progress < 1.0):
            yield self.step
            self.step += 1

    @property
    def finished(self) -> bool:
        """Whether the whole run, not just the piece, is over."""
        if self.ending == "run":
            return self.progress >= 1.0
        return self.ending == "piece" and self.piece_progress >= 1.0

    def factor(self, decay: float) -> float:
        """What learning rates are multiplied by now.

        Args:
            decay: the share of the run at whose end they fall to 0, where that is when the run ends.
        """
        in_piece = min(1.0, (self.step - self._first_step + 1) / PIECE_WARMUP_STEPS)
        if self.ending == "open":
            return in_piece
        if self.ending == "piece":
            return in_piece * trapezoid(self.piece_progress, 0.0, _LAST_DECAY)
        return in_piece * trapezoid(self.progress, _RUN_WARMUP, decay)


def trapezoid(progress: float, warmup: float, decay: float) -> float:
    """Learning-rate factor: rises over ``warmup``, stays, falls to 0 over the last ``decay`` (shares)."""
    rise = min(1.0, (progress + 1e-3) / max(warmup, 1e-6))
    fall = min(1.0, (1.0 - progress) / max(decay, 1e-6))
    return max(0.0, min(rise, fall))
