"""Clocks that only a test, or what it tests, moves."""

from __future__ import annotations

import threading


class SteppedClock:
    """Stands still but for the sleeps, which it adds up: waiting takes no time and can be measured."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += seconds


class SetClock:
    """A clock for ``core.jobs.engine.mailbox``: moved by ``advance``, which wakes whoever waits by it."""

    def __init__(self) -> None:
        self._time_s = 0.0
        self._lock = threading.Lock()
        self._waiting: list[threading.Condition] = []

    def now(self) -> float:
        return self._time_s

    def wait(self, changed: threading.Condition, timeout_s: float | None) -> None:  # noqa: ARG002
        with self._lock:
            known = changed in self._waiting
            if not known:
                self._waiting.append(changed)
        if known:  # else the time may have moved before we were known: look again
            changed.wait()

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._time_s += seconds
            waiting = list(self._waiting)
        for changed in waiting:
            with changed:
                changed.notify_all()
