"""Time in a transfer: how long to wait for a server, when to try again, how fast it goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from core.catalogue.speed import Speed

TransferPhase = Literal["download", "verify"]
Check = Callable[[], None]

_TOLD_EVERY_S: Final = 0.1
_NAP_S: Final = 0.2


class Clock(Protocol):
    """Time, so that a test need not wait."""

    def now(self) -> float:
        """Seconds, monotonic."""

    def sleep(self, seconds: float) -> None:
        """Do nothing for so long."""


class SystemClock:
    """This machine's time."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(frozen=True)
class Patience:
    """How long and how often a server is asked.

    Attributes:
        connect_s: to reach the server.
        stall_s: without a single byte, before the connection is given up.
        attempts: failures in a row, without a new byte between them, before the address is given up.
        first_s: pause after the first failure; each further one doubles it, up to ``longest_s``.
        longest_asked_s: the longest pause that a server may ask for.
    """

    connect_s: float = 10.0
    stall_s: float = 30.0
    attempts: int = 6
    first_s: float = 1.0
    longest_s: float = 60.0
    longest_asked_s: float = 600.0

    def pause_s(self, failures: int, asked_s: float | None = None) -> float:
        """Before the next try, after so many failures in a row."""
        own = min(self.longest_s, self.first_s * 2.0 ** (failures - 1))
        return own if asked_s is None else min(self.longest_asked_s, max(own, asked_s))


def wait(seconds: float, clock: Clock, check: Check) -> None:
    """Sleep in short naps, so that ``check`` can end it."""
    until = clock.now() + seconds
    while (left := until - clock.now()) > 0:
        check()
        clock.sleep(min(left, _NAP_S))


@dataclass(frozen=True)
class TransferProgress:
    """Where one file stands.

    Attributes:
        bytes_done: on disk and part of the hash; all of ``bytes_total`` only once the file has its name.
        bytes_per_s, eta_s: None until they can be told.
        phase: ``verify`` while what an earlier try left is read again.
    """

    bytes_done: int
    bytes_total: int
    bytes_per_s: float | None
    eta_s: float | None
    phase: TransferPhase


class Progress:
    """Tells how far a file is, at most ten times a second.

    Args:
        bytes_total: of the file.
        tell: called with each report.
    """

    def __init__(self, bytes_total: int, tell: Callable[[TransferProgress], None], clock: Clock) -> None:
        self._total = bytes_total
        self._tell = tell
        self._clock = clock
        self._told_at = float("-inf")
        self._speed = Speed(clock.now)

    def at(self, bytes_done: int, phase: TransferPhase, moved: int = 0) -> None:
        """So much is done; ``moved`` bytes came over the network since the last call."""
        now = self._clock.now()
        if phase == "download":
            self._speed.add(moved)
        if now - self._told_at >= _TOLD_EVERY_S and bytes_done < self._total:
            self._report(bytes_done, phase, now)

    def begin(self, bytes_done: int, phase: TransferPhase) -> None:
        """Tell where it starts, at once; pauses before it do not count for the speed."""
        self._speed.skip()
        self._report(min(bytes_done, self._total), phase, self._clock.now())

    def end(self) -> None:
        """Tell that the file is in its place."""
        self._report(self._total, "download", self._clock.now())

    def _report(self, bytes_done: int, phase: TransferPhase, now: float) -> None:
        self._told_at = now
        speed = self._speed.bytes_per_s if phase == "download" else None
        eta_s = (self._total - bytes_done) / speed if speed else None
        self._tell(TransferProgress(bytes_done, self._total, speed, eta_s, phase))
