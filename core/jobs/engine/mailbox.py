"""What other threads tell the one that supervises, in order; and its clock."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Seconds that do not go back, and waiting by them."""

    def now(self) -> float:
        """The time in seconds."""

    def wait(self, changed: threading.Condition, timeout_s: float | None) -> None:
        """Wait until ``changed``, which is held, is notified or the time is over; may return earlier."""


class MonotonicClock:
    """The system's."""

    def now(self) -> float:
        """See ``Clock``."""
        return time.monotonic()

    def wait(self, changed: threading.Condition, timeout_s: float | None) -> None:
        """See ``Clock``."""
        changed.wait(timeout_s)


class Mailbox(Generic[T]):
    """A queue whose reader waits by a clock that tests can set."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._items: deque[T] = deque()

    def post(self, item: T) -> None:
        """From any thread; never waits."""
        with self._changed:
            self._items.append(item)
            self._changed.notify()

    def take(self, until_s: float | None = None) -> T | None:
        """The next item; None when it has not come by then."""
        with self._changed:
            while not self._items:
                left_s = None if until_s is None else until_s - self._clock.now()
                if left_s is not None and left_s <= 0:
                    return None
                self._clock.wait(self._changed, left_s)
            return self._items.popleft()
