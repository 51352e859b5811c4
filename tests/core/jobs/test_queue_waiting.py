"""Why the queue waits: each reason with words, and when to look again."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadInput
from core.jobs.preflight import MIN_FREE_BYTES
from core.jobs.queue.schedule import Schedule
from core.jobs.queue.waiting import (
    RUNNING_FREE_BYTES,
    SCHEDULE,
    Gate,
    gate_of,
    is_held,
    load_schedule,
    low_disk,
    moment,
    save_schedule,
)
from tests.fakes.clock import SteppedClock

NOON = datetime(2026, 11, 23, 12)


class Kept:
    """Settings of a queue in memory, through JSON-like values."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def setting(self, name: str, default: Any) -> Any:
        return self.values.get(name, default)

    def set_setting(self, name: str, value: Any) -> None:
        self.values[name] = value


class World:
    """A gate whose surroundings a test moves."""

    def __init__(self, schedule: Schedule = Schedule()) -> None:  # noqa: B008
        self.held = False
        self.schedule = schedule
        self.busy: bool | None = False
        self.free = 10 * MIN_FREE_BYTES
        self.now = NOON
        self.clock = SteppedClock()
        self.notes: list[str] = []
        self.gate = Gate(
            held=lambda: self.held,
            schedule=self._schedule,
            busy=lambda: self.busy,
            free=lambda _: self.free,
            now=lambda: self.now,
            clock=self.clock.now,
            on_note=self.notes.append,
        )

    def _schedule(self) -> Schedule:
        return self.schedule

    def words(self) -> str:
        hold = self.gate.reason([Path("/tmp/x.mp4")])
        return hold.words if hold else ""


def test_nothing_holds_an_ordinary_queue() -> None:
    assert World().gate.reason([Path("/tmp/x.mp4")]) is None


def test_held_by_the_user() -> None:
    world = World()
    world.held = True
    assert world.words() == "Held; it goes on when you release it."
    assert world.gate.stop_reason() is None


def test_outside_the_window_it_says_until_when_and_looks_again_in_time() -> None:
    world = World(Schedule("22:00", "07:00"))
    hold = world.gate.reason()
    assert hold is not None
    assert (hold.kind, hold.words) == ("schedule", "Waits until 22:00.")
    assert hold.until == datetime(2026, 11, 23, 22)
    assert hold.look_again_s == 30
    world.now = datetime(2026, 11, 23, 21, 59, 50)
    hold = world.gate.reason()
    assert hold is not None
    assert hold.look_again_s == 10
    world.now = datetime(2026, 11, 23, 22)
    assert world.gate.reason() is None


def test_another_day_is_named() -> None:
    assert moment(datetime(2026, 11, 24, 7, 5), NOON) == "Tue 07:05"


def test_a_running_render_is_paused_at_the_end_only_where_that_is_asked() -> None:
    assert World(Schedule("22:00", "07:00")).gate.stop_reason() is None
    hold = World(Schedule("22:00", "07:00", at_end="pause")).gate.stop_reason()
    assert hold is not None
    assert hold.kind == "schedule"


def test_a_full_disk_has_a_smaller_floor_for_a_running_render(tmp_path: Path) -> None:
    world = World()
    world.free = MIN_FREE_BYTES - 1
    hold = world.gate.reason([tmp_path / "not" / "yet" / "x.mp4"])
    assert hold is not None
    assert hold.kind == "disk"
    assert str(tmp_path) in hold.words
    assert "199 MB free, 200 MB needed" in hold.words
    assert world.gate.stop_reason([tmp_path / "x.mp4"]) is None
    world.free = RUNNING_FREE_BYTES - 1
    assert world.gate.stop_reason([tmp_path / "x.mp4"]) is not None


def test_a_drive_that_does_not_answer_is_waited_for(tmp_path: Path) -> None:
    def gone(_: Path) -> int:
        raise OSError(5, "Input/output error")

    hold = low_disk([tmp_path / "x.mp4"], free=gone)
    assert hold is not None
    assert "Input/output error" in hold.words


def idle_world() -> World:
    return World(Schedule(only_idle_gpu=True, idle_minutes=2))


def test_the_gpu_must_have_been_idle_for_the_whole_time() -> None:
    world = idle_world()
    assert world.words() == "Waits until the GPU has been idle for 2 minutes (2 min to go)."
    world.clock.sleep(119)
    assert "1 s to go" in world.words()
    world.clock.sleep(1)
    assert world.words() == ""


def test_use_by_others_begins_the_time_anew() -> None:
    world = idle_world()
    world.words()
    world.clock.sleep(119)
    world.busy = True
    for _ in range(2):
        assert world.words() == "Waits: another program uses the GPU."
        world.clock.sleep(5)
    world.busy = False
    world.clock.sleep(114)
    assert "to go" in world.words()
    world.clock.sleep(2)
    assert world.words() == ""


def test_the_echo_of_our_own_render_does_not_begin_it_anew() -> None:
    world = idle_world()
    world.words()
    world.clock.sleep(1000)
    world.busy = True
    assert world.words() != ""
    world.busy = False
    world.clock.sleep(5)
    assert world.words() == ""


def test_idle_time_counts_while_the_window_is_still_closed() -> None:
    world = World(Schedule("12:02", "13:00", only_idle_gpu=True, idle_minutes=2))
    assert world.words() == "Waits until 12:02."
    world.clock.sleep(120)
    world.now = NOON.replace(minute=2)
    assert world.words() == ""


def test_idle_time_of_another_setting_is_forgotten() -> None:
    world = idle_world()
    world.words()
    world.schedule = Schedule()
    world.clock.sleep(1000)
    assert world.words() == ""
    world.schedule = Schedule(only_idle_gpu=True, idle_minutes=2)
    assert "2 min to go" in world.words()


def test_a_gpu_that_tells_nothing_is_not_waited_for_and_that_is_said_once() -> None:
    world = idle_world()
    world.busy = None
    assert world.words() == ""
    assert world.words() == ""
    assert len(world.notes) == 1


def test_settings_of_a_queue_come_back() -> None:
    queue = Kept()
    assert load_schedule(queue) == Schedule()
    save_schedule(queue, Schedule("22:00", "07:00", (0,), at_end="pause"))
    assert load_schedule(queue) == Schedule("22:00", "07:00", (0,), at_end="pause")
    assert not is_held(queue)
    queue.set_setting("held", True)
    hold = gate_of(queue).reason()
    assert hold is not None
    assert hold.kind == "held"


@pytest.mark.parametrize("stored", [{"from_time": "22:00"}, "always", None, {"days": [9]}])
def test_a_damaged_schedule_holds_the_queue_and_says_so(stored: Any) -> None:
    queue = Kept(**{SCHEDULE: stored})
    with pytest.raises(BadInput, match="cannot be read"):
        load_schedule(queue)
    gate = gate_of(queue)
    hold = gate.reason()
    assert hold is not None
    assert "queue schedule --off" in hold.words
    assert gate.stop_reason() is None
