"""Who runs jobs: a lease of a process, and how others see that it is gone.

A process that has ended is seen at once. One that is there but does nothing any more (stopped, or hung) is
seen by its beats: a counter that no longer grows, timed by the observer's own monotonic clock. So neither a
changed wall clock nor a laptop that slept costs anybody a lease.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple

import psutil

STALE_S: Final = 30.0
ANY_DEVICE: Final = "any"
# What passed between two looks counts as this part of the time to staleness at most: on some systems the
# monotonic clock goes on while the machine sleeps, and whoever beats needs a moment after it.
_LOOKS: Final = 3
_SAME_START: Final = 0.01
_COLUMNS: Final = "id, pid, process_started, boot, device, beats, words"


@dataclass(frozen=True)
class Process:
    """A process that cannot be taken for a later one with the same number.

    Attributes:
        started: as the system tells it, on Linux in ticks since the machine's start, which no change of the
            wall clock moves; 0 where it is not known.
        boot: which start of the machine, and on Linux which space of process numbers; empty where unknown.
    """

    pid: int
    started: float = 0.0
    boot: str = ""


class LeaseRow(NamedTuple):
    """A lease as it lies in the database."""

    id: str
    pid: int
    process_started: float
    boot: str
    device: str
    beats: int
    words: str

    @property
    def process(self) -> Process:
        """Whose it is."""
        return Process(self.pid, self.process_started, self.boot)


def this_process() -> Process:
    """The process that asks."""
    pid = os.getpid()
    return Process(pid, started_at(pid) or 0.0, boot_id())


def started_at(pid: int) -> float | None:
    """When a process was started; None where there is none, or it has ended and only waits to be fetched.

    Raises:
        PermissionError: the system does not tell.
    """
    return _started_at_on_linux(pid) if sys.platform == "linux" else started_at_by_psutil(pid)


def started_at_by_psutil(pid: int) -> float | None:
    """The same on systems that keep the time of a process's start as it was."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.AccessDenied as error:
        raise PermissionError(str(error)) from error
    except psutil.Error:
        return None


def boot_id() -> str:
    """Which start of the machine this is; empty where the system does not tell."""
    if sys.platform != "linux":
        return ""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def lives(process: Process, seen_from: Process) -> bool | None:
    """Whether a process is still there; None where that cannot be told from here."""
    if process.boot and seen_from.boot and process.boot != seen_from.boot:
        # Another start of the machine; in another container of this one its numbers mean nothing here.
        return None if process.boot.split()[0] == seen_from.boot.split()[0] else False
    try:
        started = started_at(process.pid)
    except PermissionError:
        return None
    if started is None:
        return False
    return not process.started or abs(started - process.started) < _SAME_START


def _started_at_on_linux(pid: int) -> float | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in brackets, may hold anything. After it: the state, and as the twentieth the start.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else float(fields[19])


@dataclass
class _Seen:
    beats: int
    at_s: float
    unmoved_s: float = 0.0


@dataclass
class Observer:
    """Tells the leases that are alive, as far as can be seen from this process.

    Attributes:
        clock: seconds, monotonic.
        stale_s: without a beat for so long, a lease is dead although its process is there.
    """

    clock: Callable[[], float]
    stale_s: float = STALE_S
    process: Process = field(default_factory=this_process)
    own: set[str] = field(default_factory=set)
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def is_alive(self, lease: LeaseRow) -> bool:
        """Whether somebody stands behind a lease; those in ``own`` need no beats to be believed."""
        if lease.id in self.own:
            return True
        return lives(lease.process, self.process) is not False and not self._is_stale(lease)

    def _is_stale(self, lease: LeaseRow) -> bool:
        now_s = self.clock()
        with self._lock:
            seen = self._seen.get(lease.id)
            if seen is None or seen.beats != lease.beats:
                self._seen[lease.id] = _Seen(lease.beats, now_s)
                return False
            seen.unmoved_s += min(now_s - seen.at_s, self.stale_s / _LOOKS)
            seen.at_s = now_s
            return seen.unmoved_s >= self.stale_s

    def forget(self, lease_id: str) -> None:
        """A lease is no more."""
        with self._lock:
            self._seen.pop(lease_id, None)


class Lease:
    """The right of this process to run jobs on a device; beat it at least every 10 seconds.

    Attributes:
        id: of the lease, the owner of the jobs that it has claimed.
        device: ``any``, ``cpu`` or ``cuda:UUID``.
    """

    def __init__(
        self, lease_id: str, device: str, beat: Callable[[Lease], None], close: Callable[[Lease], None]
    ) -> None:
        self.id, self.device = lease_id, device
        self._beat, self._close = beat, close
        self.closed = False

    def beat(self) -> None:
        """Say that this process is alive; raises ``DiskError``."""
        if not self.closed:
            self._beat(self)

    def close(self) -> None:
        """Give jobs that still run back to the queue, without counting a death; raises ``DiskError``."""
        if not self.closed:
            self._close(self)
            self.closed = True

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def meet(one: str, other: str) -> bool:
    """Whether two leases render on the same device."""
    return ANY_DEVICE in (one, other) or one == other


def lease_rows(connection: sqlite3.Connection) -> list[LeaseRow]:
    """All leases, of the living and the dead."""
    return [LeaseRow._make(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM lease")]


def write_beat(connection: sqlite3.Connection, lease: Lease, process: Process, words: str) -> None:
    """Count one more beat; the lease is written anew where somebody took it for dead meanwhile."""
    if connection.execute("UPDATE lease SET beats = beats + 1 WHERE id = ?", (lease.id,)).rowcount:
        return
    row: tuple[Any, ...] = (
        lease.id,
        process.pid,
        process.started,
        process.boot,
        lease.device,
        0,
        words,
    )
    connection.execute(f"INSERT INTO lease ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def drop(connection: sqlite3.Connection, lease_id: str) -> None:
    """Remove a lease."""
    connection.execute("DELETE FROM lease WHERE id = ?", (lease_id,))
