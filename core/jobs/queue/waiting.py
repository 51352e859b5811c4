"""Why no render may start now, or must stop: held, outside the schedule, GPU in use, disk full."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeVar

from core.codec import from_data, to_data
from core.errors import BadInput
from core.hardware.activity import gpu_busy
from core.jobs.preflight import MIN_FREE_BYTES, FreeBytes, free_bytes
from core.jobs.queue.schedule import Schedule, closed_until
from core.media.disk import existing_folder

HELD: Final = "held"
SCHEDULE: Final = "schedule"
# A render that runs has made most of what it writes; below this not even its state could be kept.
RUNNING_FREE_BYTES: Final = 64 * 1024 * 1024
# Settings may change in another process and clocks may be put forward, so nobody waits longer than this.
_LONGEST_LOOK_S: Final = 30.0
_DISK_LOOK_S: Final = 10.0
_GPU_LOOK_S: Final = 5.0
T = TypeVar("T")


class Settings(Protocol):
    """What is asked of the queue: its settings."""

    def setting(self, name: str, default: T) -> T: ...

    def set_setting(self, name: str, value: Any) -> None: ...


@dataclass(frozen=True)
class Hold:
    """Why the queue waits.

    Attributes:
        words: one sentence for people.
        look_again_s: ask again after this time, or earlier when the queue has changed.
        until: when it will be over by the wall clock, where that is known.
    """

    kind: Literal["held", "schedule", "gpu", "disk"]
    words: str
    look_again_s: float
    until: datetime | None = None


class Gate:
    """Says whether a render may start now. Pure logic over what it is given; one thread asks.

    Args:
        held: whether the user holds the queue.
        schedule: what is set now; its ``BadInput`` holds the queue.
        busy: whether others use the GPU, None where that cannot be told.
        free: free bytes of a folder's drive.
        now: the wall clock here.
        clock: monotonic seconds.
        on_note: told once what the user should know.
    """

    def __init__(
        self,
        held: Callable[[], bool],
        schedule: Callable[[], Schedule],
        busy: Callable[[], bool | None] = lambda: None,
        free: FreeBytes = free_bytes,
        now: Callable[[], datetime] = datetime.now,
        clock: Callable[[], float] = time.monotonic,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._held = held
        self._schedule = schedule
        self._free = free
        self._now = now
        self._idle = _IdleGpu(busy, clock, on_note)

    def reason(self, paths: Iterable[Path] = ()) -> Hold | None:
        """Why no render may start now; None where one may.

        Args:
            paths: what would be written: the drives of these need ``MIN_FREE_BYTES``.
        """
        if self._held():
            return Hold("held", "Held; it goes on when you release it.", _LONGEST_LOOK_S)
        try:
            schedule = self._schedule()
        except BadInput as error:
            return Hold("schedule", error.sentence(), _LONGEST_LOOK_S)
        used = self._used(schedule)
        return outside(schedule, self._now()) or low_disk(paths, MIN_FREE_BYTES, self._free) or used

    def _used(self, schedule: Schedule) -> Hold | None:
        """Looks also while the window is closed, so that the idle time is known when it opens."""
        if schedule.only_idle_gpu:
            return self._idle.reason(schedule.idle_minutes)
        self._idle.forget()
        return None

    def stop_reason(self, paths: Iterable[Path] = ()) -> Hold | None:
        """Why a running render must be paused; None where it may go on.

        Args:
            paths: what it writes: the drives of these need ``RUNNING_FREE_BYTES``.
        """
        try:
            schedule = self._schedule()
        except BadInput:
            schedule = Schedule()  # nobody loses a running render to a damaged setting
        closed = outside(schedule, self._now()) if schedule.at_end == "pause" else None
        return closed or low_disk(paths, RUNNING_FREE_BYTES, self._free)


def gate_of(
    queue: Settings,
    gpu: str | None = None,
    on_note: Callable[[str], None] = lambda _: None,
    free: FreeBytes = free_bytes,
) -> Gate:
    """The gate of a queue on this machine.

    Args:
        gpu: UUID of the GPU that must be idle, None for all of this machine.
    """
    return Gate(
        held=lambda: is_held(queue),
        schedule=lambda: load_schedule(queue),
        busy=lambda: gpu_busy(gpu),
        free=free,
        on_note=on_note,
    )


def is_held(queue: Settings) -> bool:
    """Whether no further render may start until the user says so."""
    return queue.setting(HELD, False) is True


def load_schedule(queue: Settings) -> Schedule:
    """What is set.

    Raises:
        BadInput: what is stored is no schedule.
    """
    data: Any = queue.setting(SCHEDULE, {})
    try:
        if not isinstance(data, dict):  # the decoder finds nothing wrong with a text
            raise BadInput("It is no object.")
        schedule: Schedule = from_data(data, Schedule)
    except BadInput as error:
        raise BadInput(
            "The stored schedule of the queue cannot be read.",
            value=str(data)[:100],
            action="Set it again, or clear it with `pirouette queue schedule --off`.",
        ) from error
    return schedule


def save_schedule(queue: Settings, schedule: Schedule) -> None:
    """Set it for every process that works on the queue."""
    queue.set_setting(SCHEDULE, to_data(schedule))


def outside(schedule: Schedule, now: datetime) -> Hold | None:
    """The hold of a closed window; None where it is open."""
    opening = closed_until(schedule, now)
    if opening is None:
        return None
    away_s = (opening - now.replace(tzinfo=None)).total_seconds()
    return Hold("schedule", f"Waits until {moment(opening, now)}.", min(away_s, _LONGEST_LOOK_S), opening)


def moment(then: datetime, now: datetime) -> str:
    """A time of today as ``22:00``, of the next days as ``Mon 22:00``."""
    clock = f"{then:%H:%M}"
    return clock if then.date() == now.date() else f"{_WEEKDAYS[then.weekday()]} {clock}"


# Not strftime's, which follow the locale: the sentences around them are English.
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def low_disk(
    paths: Iterable[Path], floor_bytes: int = RUNNING_FREE_BYTES, free: FreeBytes = free_bytes
) -> Hold | None:
    """The hold of the first drive with less than ``floor_bytes``; None where all have more."""
    for folder in dict.fromkeys(existing_folder(path) for path in paths):
        try:
            available = free(folder)
        except OSError as error:
            words = f"Waits: the drive of {folder} does not answer ({error.strerror or error})."
            return Hold("disk", words, _DISK_LOOK_S)
        if available < floor_bytes:
            space = f"{available // 2**20} MB free, {floor_bytes // 2**20} MB needed"
            return Hold("disk", f"Waits for space on the drive of {folder}: {space}.", _DISK_LOOK_S)
    return None


class _IdleGpu:
    """Since when others have left the GPU alone.

    While our own render runs nobody looks, and that time counts as idle: what others do beside it cannot be
    told from what we do. One busy look proves nothing (the echo of our own render, a window that is redrawn),
    two in a row do.
    """

    def __init__(
        self,
        busy: Callable[[], bool | None],
        clock: Callable[[], float],
        on_note: Callable[[str], None],
    ) -> None:
        self._busy = busy
        self._clock = clock
        self._on_note = on_note
        self._since_s: float | None = None
        self._suspected = False
        self._noted = False

    def reason(self, minutes: float) -> Hold | None:
        """Why to wait, after one look at the GPU."""
        busy = self._busy()
        if busy is None:
            self._note_once()
            return None
        now_s = self._clock()
        if self._since_s is None or (busy and self._suspected):
            self._since_s = now_s
        self._suspected = busy
        left_s = self._since_s + minutes * 60 - now_s
        if busy:
            return Hold("gpu", "Waits: another program uses the GPU.", _GPU_LOOK_S)
        if left_s > 0:
            words = f"Waits until the GPU has been idle for {minutes:g} minutes ({_minutes(left_s)} to go)."
            return Hold("gpu", words, min(left_s, _GPU_LOOK_S))
        return None

    def forget(self) -> None:
        """Begin anew at the next look."""
        self._since_s = None

    def _note_once(self) -> None:
        if not self._noted:
            self._noted = True
            self._on_note(
                "Whether others use the GPU cannot be told here, so the queue does not wait for it."
            )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.0f} min"
