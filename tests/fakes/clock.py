"""A clock that only a sleep moves."""

from __future__ import annotations


class SteppedClock:
    """Stands still but for the sleeps, which it adds up: waiting takes no time and can be measured."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += seconds
