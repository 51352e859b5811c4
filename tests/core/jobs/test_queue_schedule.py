"""Time windows of the queue, by what the wall clock reads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from core.codec import from_data, to_data
from core.errors import BadInput, BadSetting
from core.jobs.queue.schedule import Schedule, clock_time, closed_until, in_words, parse_days

NIGHT = Schedule("22:00", "07:00")
# 23 November 2026 is a Monday.
MONDAY = datetime(2026, 11, 23)


def at(text: str, day: int = 0) -> datetime:
    hours, minutes = map(int, text.split(":"))
    return MONDAY + timedelta(days=day, hours=hours, minutes=minutes)


def test_without_times_and_days_it_is_always_open() -> None:
    assert closed_until(Schedule(), at("12:00")) is None
    assert in_words(Schedule()) == "Renders start at any time."


@pytest.mark.parametrize(
    ("schedule", "now", "opening"),
    [
        (Schedule("09:00", "17:00"), at("08:59"), at("09:00")),
        (Schedule("09:00", "17:00"), at("09:00"), None),
        (Schedule("09:00", "17:00"), at("16:59"), None),
        (Schedule("09:00", "17:00"), at("17:00"), at("09:00", 1)),
        (NIGHT, at("21:59"), at("22:00")),
        (NIGHT, at("23:30"), None),
        (NIGHT, at("00:00"), None),
        (NIGHT, at("06:59"), None),
        (NIGHT, at("07:00"), at("22:00")),
        (Schedule(days=(5, 6)), at("12:00"), at("00:00", 5)),
        (Schedule(days=(5, 6)), at("23:59", 6), None),
        (Schedule(days=(0,)), at("00:00", 1), at("00:00", 7)),
    ],
)
def test_windows(schedule: Schedule, now: datetime, opening: datetime | None) -> None:
    assert closed_until(schedule, now) == opening


def test_a_window_over_midnight_belongs_to_the_day_it_begins_on() -> None:
    fridays = Schedule("22:00", "07:00", days=(4,))
    assert closed_until(fridays, at("23:00", 4)) is None
    assert closed_until(fridays, at("06:00", 5)) is None
    assert closed_until(fridays, at("06:00", 4)) == at("22:00", 4)
    assert closed_until(fridays, at("23:00", 5)) == at("22:00", 11)


def minutes_of_a_day(change_h: int, before_h: int, after_h: int) -> Iterator[datetime]:
    """What the clock on the wall reads in each minute around a change of the clocks."""
    for minute in range(24 * 60):
        offset_h = before_h if minute < change_h * 60 else after_h
        yield MONDAY + timedelta(minutes=minute, hours=offset_h)


def open_minutes(schedule: Schedule, clock: Iterator[datetime]) -> int:
    return sum(closed_until(schedule, now) is None for now in clock)


def test_clocks_put_forward_take_the_missing_hour_out_of_the_window() -> None:
    # 02:00 becomes 03:00.
    assert open_minutes(Schedule("01:00", "05:00"), minutes_of_a_day(2, 0, 1)) == 3 * 60
    assert open_minutes(Schedule("02:10", "02:50"), minutes_of_a_day(2, 0, 1)) == 0


def test_clocks_put_back_give_the_hour_twice() -> None:
    # 03:00 becomes 02:00.
    assert open_minutes(Schedule("01:00", "05:00"), minutes_of_a_day(3, 0, -1)) == 5 * 60
    assert open_minutes(Schedule("02:10", "02:50"), minutes_of_a_day(3, 0, -1)) == 2 * 40


@pytest.mark.parametrize(
    "values",
    [
        {"from_time": "22:00"},
        {"to_time": "07:00"},
        {"from_time": "25:00", "to_time": "07:00"},
        {"from_time": "9", "to_time": "10:00"},
        {"from_time": "٠٩:00", "to_time": "10:00"},
        {"from_time": "9:00", "to_time": "09:00"},
        {"days": (7,)},
        {"days": (-1,)},
        {"idle_minutes": 0},
        {"idle_minutes": float("nan")},
        {"idle_minutes": 1441},
        {"at_end": "crash"},
    ],
)
def test_mistakes_name_value_limit_and_way_out(values: dict[str, Any]) -> None:
    with pytest.raises(BadSetting) as caught:
        Schedule(**values)
    assert caught.value.limit
    assert caught.value.action.endswith(".")


def test_it_survives_json_and_a_damaged_one_is_told() -> None:
    schedule = Schedule("22:00", "7:00", (0, 4), True, 10, "pause")
    assert from_data(to_data(schedule), Schedule) == schedule
    for damaged in ({"from_time": "22:00"}, {"days": ["x"]}, {"at_end": "crash"}):
        with pytest.raises(BadInput):
            from_data(damaged, Schedule)


def test_days_are_read_as_people_write_them() -> None:
    assert parse_days("mon-fri") == (0, 1, 2, 3, 4)
    assert parse_days("Fri-Mon") == (0, 4, 5, 6)
    assert parse_days("sat, Sunday") == (5, 6)
    assert parse_days("thurs") == (3,)
    assert parse_days("all") == ()
    for text in ("xx-mon", "m", "fun", "mon-fri-sun", ","):
        with pytest.raises(BadSetting):
            parse_days(text)


def test_words() -> None:
    assert clock_time("7:05").minute == 5
    assert in_words(Schedule("22:00", "07:00", (4, 0), True, 10, "pause")) == (
        "Renders start from 22:00 to 07:00 on mon, fri when others have left the GPU idle for 10 minutes. "
        "At its end a running render is paused."
    )
