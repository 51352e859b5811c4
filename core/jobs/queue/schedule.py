"""When the queue may start renders: a time window on some days, and only while nobody else uses the GPU.

Times are what the wall clock here reads. Where the clock is put forward, a window that lies in the missing
hour does not open that day; where it is put back, the hour that comes twice is inside or outside both times.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final, Literal

from core.errors import BadSetting

DAY_NAMES: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_IDLE_MINUTES: Final = 24 * 60
_TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Schedule:
    """When renders may start; the default is always.

    Attributes:
        from_time, to_time: ``HH:MM``, both or neither; a window whose end is not after its start goes over
            midnight and belongs to the day on which it begins.
        days: on which days a window begins, 0 Monday to 6 Sunday; empty for every day.
        only_idle_gpu: start only when others have not used the GPU for ``idle_minutes``.
        at_end: what happens to a running render when the window closes.

    Raises:
        BadSetting: a time, a day or a number that is none.
    """

    from_time: str = ""
    to_time: str = ""
    days: tuple[int, ...] = ()
    only_idle_gpu: bool = False
    idle_minutes: float = 5
    at_end: Literal["finish", "pause"] = "finish"

    def __post_init__(self) -> None:
        self._check_times()
        if any(day not in range(len(DAY_NAMES)) for day in self.days):
            raise BadSetting(
                "A day of the schedule is none.",
                value=", ".join(map(str, self.days)),
                limit="0 (Monday) to 6 (Sunday)",
                action="Name days such as mon-fri.",
            )
        if not 0 < self.idle_minutes <= LONGEST_IDLE_MINUTES:
            raise BadSetting(
                f"The GPU cannot be asked to be idle for {self.idle_minutes:g} minutes.",
                value=self.idle_minutes,
                limit=f"above 0, at most {LONGEST_IDLE_MINUTES}",
                action="Give minutes such as 10.",
            )
        if self.at_end not in ("finish", "pause"):
            raise BadSetting(
                f"'{self.at_end}' is nothing that can be done at the window's end.",
                value=self.at_end,
                limit="finish, pause",
                action="Choose finish or pause.",
            )

    def _check_times(self) -> None:
        if bool(self.from_time) != bool(self.to_time):
            raise BadSetting(
                "The schedule has only one end of its time window.",
                value=self.from_time or self.to_time,
                limit="both ends or neither",
                action="Give both, such as --from 22:00 --to 07:00.",
            )
        if self.from_time and clock_time(self.from_time) == clock_time(self.to_time):
            raise BadSetting(
                "The time window of the schedule is empty.",
                value=f"{self.from_time} to {self.to_time}",
                limit="two different times",
                action="Leave both times out for whole days.",
            )


def clock_time(text: str) -> time:
    """``22:00`` or ``7:30``; raises ``BadSetting`` on anything else."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise BadSetting(
            f"'{text}' is no time of the day.",
            value=text,
            limit="00:00 to 23:59",
            action="Write it like 22:00.",
        )
    return time(int(found[1]), int(found[2]))


def parse_days(text: str) -> tuple[int, ...]:
    """``mon-fri``, ``fri-mon``, ``sat,sun``; empty for ``all``.

    Raises:
        BadSetting: a name that is no day.
    """
    if text.strip().lower() in ("", "all", "daily"):
        return ()
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        start, end = _day(first, text), _day(last or first, text)
        days |= {(start + step) % 7 for step in range((end - start) % 7 + 1)}
    return tuple(sorted(days))


def _day(name: str, text: str) -> int:
    short = name.strip().lower()
    if len(short) >= 3:
        for number, day in enumerate(_LONG_DAYS):
            if day.startswith(short):
                return number
    raise BadSetting(
        f"'{name.strip()}' is no day of the week.",
        value=text,
        limit=", ".join(DAY_NAMES),
        action="Write days like mon-fri or sat,sun.",
    )


_LONG_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def closed_until(schedule: Schedule, now: datetime) -> datetime | None:
    """When the next window begins, in the wall clock's time; None where one is open now.

    Args:
        now: what the clock on the wall reads; a time zone is not looked at.
    """
    now = now.replace(tzinfo=None)
    opening: datetime | None = None
    # From yesterday, whose window may go over midnight, to the same day of next week.
    for offset in range(-1, 8):
        start, end = _window(schedule, now, offset)
        if schedule.days and start.weekday() not in schedule.days:
            continue
        if start <= now < end:
            return None
        if start > now and opening is None:
            opening = start
    return opening


def _window(schedule: Schedule, now: datetime, offset: int) -> tuple[datetime, datetime]:
    """The window that begins on the day ``offset`` days from now; a whole day where there are no times."""
    midnight = datetime.combine(now.date(), time()) + offset * _DAY
    if not schedule.from_time:
        return midnight, midnight + _DAY
    start = datetime.combine(midnight.date(), clock_time(schedule.from_time))
    end = datetime.combine(midnight.date(), clock_time(schedule.to_time))
    return start, end if end > start else end + _DAY


def in_words(schedule: Schedule) -> str:
    """One sentence for people."""
    parts = []
    if schedule.from_time:
        parts.append(f"from {schedule.from_time} to {schedule.to_time}")
    if schedule.days:
        parts.append(f"on {', '.join(DAY_NAMES[day] for day in sorted(schedule.days))}")
    if schedule.only_idle_gpu:
        parts.append(f"when others have left the GPU idle for {schedule.idle_minutes:g} minutes")
    if not parts:
        return "Renders start at any time."
    end = ""
    if schedule.from_time or schedule.days:
        pause = schedule.at_end == "pause"
        end = " At its end a running render is paused." if pause else " A running render is finished."
    return f"Renders start {' '.join(parts)}.{end}"
