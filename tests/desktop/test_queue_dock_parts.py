"""The dock's pure parts: steps between lists, clocks, words, many jobs."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from PySide6.QtCore import QLocale, Qt, QTimer
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot
from queue_dock import Dock

from core.jobs.queue import waiting
from core.jobs.queue.queue import Queue
from core.types import Progress
from desktop.model.list_steps import Inserted, Moved, Removed, Sorted, Step, steps_between
from desktop.presenters import queue_lookout
from desktop.presenters.finish_time import CEILING, JobClock, guessed, learned
from desktop.presenters.queue_words import QueueWords, actions_of
from desktop.views.queue.queue_view import QueueView
from tests.fakes.queue_jobs import request


def applied(old: list[str], new: list[str], steps: list[Step]) -> list[str]:
    now = list(old)
    for step in steps:
        match step:
            case Removed(first, last):
                del now[first : last + 1]
            case Inserted(first, last):
                now[first:first] = new[first : last + 1]
            case Moved(source, before):
                now.insert(before, now[source])
                del now[source + (before <= source)]
            case Sorted(keys):
                now = list(keys)
    return now


@pytest.mark.parametrize("seed", range(60))
def test_steps_lead_from_any_list_to_any_other(seed: int) -> None:
    dice = random.Random(seed)
    every = [str(number) for number in range(30)]
    old = dice.sample(every, dice.randrange(30))
    new = dice.sample(every, dice.randrange(30))
    if seed % 2:  # most often little changes
        new = list(old)
        for _ in range(min(3, len(new))):
            new.insert(dice.randrange(len(new)), new.pop(dice.randrange(len(new))))
    assert applied(old, new, steps_between(old, new)) == new


def test_a_row_that_goes_to_the_end_is_one_move() -> None:
    assert steps_between(list("abcd"), list("bcda")) == [Moved(0, 4)]


def test_a_wholly_new_order_is_one_step() -> None:
    keys = [str(number) for number in range(100)]
    assert [type(step) for step in steps_between(keys, keys[::-1])] == [Sorted]


def test_sampling_is_counted_in_forwards_and_tells_the_time_left() -> None:
    clock = JobClock(guessed(None), 0.0)
    clock.hear(Progress("load"), 1.0)
    assert clock.remaining_s(2.0) is None
    clock.hear(Progress("sample", 1, 4, 3, 12), 10.0)
    clock.hear(Progress("sample", 2, 4, 6, 12), 13.0)
    left_s = clock.remaining_s(13.0)
    assert left_s is not None
    # Six forwards of a second each, and decoding and writing after them in their usual share of sampling.
    assert left_s == pytest.approx(6 + 12 * (0.12 + 0.02) / 0.50)
    assert clock.remaining_s(14.0) == pytest.approx(left_s - 1)


def test_the_bar_never_goes_back_nor_is_full() -> None:
    clock = JobClock(guessed(60.0), 0.0)
    clock.hear(Progress("sample", 4, 4, 4, 4), 10.0)
    before = clock.fraction
    clock.hear(Progress("sample", 1, 4, 1, 4), 11.0)
    assert clock.fraction == before
    clock.hear(Progress("write"), 50.0)
    clock.hear(Progress("write", 1, 1), 60.0)
    assert clock.fraction == CEILING


@dataclass
class Past:
    seconds: dict[str, float] = field(
        default_factory=lambda: {"load": 4.0, "pose": 1.0, "encode": 2.0, "sample": 16.0, "decode": 4.0}
    )
    forwards: int = 8
    frames: int = 10
    width: int = 10
    height: int = 10


def test_past_renders_tell_the_phases_scaled_by_size_and_forwards() -> None:
    times = learned([Past()], forwards=16, volume=2000, warm=True)
    assert times is not None
    assert times.known
    assert times.seconds["sample"] == pytest.approx(16.0 * 2 * 2)
    assert times.seconds["decode"] == pytest.approx(8.0)
    assert times.seconds["load"] == pytest.approx(4.0)


def test_without_past_renders_nothing_is_made_up() -> None:
    assert learned([], forwards=8, volume=1) is None
    assert guessed(None).known is False


def test_times_are_said_as_the_country_writes_them_and_tomorrow_by_name(qtbot: QtBot) -> None:
    del qtbot
    now = datetime(2026, 3, 4, 23, 30)
    british = QueueWords(QLocale("en_GB"))
    american = QueueWords(QLocale("en_US"))
    assert british.moment(datetime(2026, 3, 4, 23, 45), now) == "23:45"
    assert american.moment(datetime(2026, 3, 4, 23, 45), now).startswith("11:45")
    assert british.moment(datetime(2026, 3, 5, 0, 10), now) == "tomorrow 00:10"
    assert british.moment(datetime(2026, 3, 6, 9, 0), now) == "Fri 09:00"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (59, "59 s"), (61, "1 min"), (3600, "1 h"), (7800, "2 h 10 min")]
)
def test_durations_have_two_numbers_at_most(qtbot: QtBot, seconds: float, said: str) -> None:
    del qtbot
    assert QueueWords().duration(seconds) == said


def test_only_what_the_state_allows_is_offered() -> None:
    assert "play" in actions_of("done")
    assert not {"retry", "move_up", "cancel"} & set(actions_of("done"))
    assert "remove" not in actions_of("running")
    assert "force_stop" not in actions_of("running")
    assert "force_stop" in actions_of("running", stuck=True)


def test_the_model_keeps_the_rules_of_models(qtbot: QtBot, tmp_path: Path) -> None:
    dock = Dock(qtbot, tmp_path)
    tester = QAbstractItemModelTester(
        dock.presenter.model, QAbstractItemModelTester.FailureReportingMode.Fatal
    )
    with Queue(tmp_path / "queue") as queue:
        jobs = queue.add([request(number) for number in range(200)])
        dock.presenter.open()
        dock.wait(lambda: dock.presenter.model.rowCount() == 200)
        queue.remove([job.id for job in jobs[50:80]])
        queue.run_next(jobs[120].id)
        dock.presenter.set_visible(True)
        dock.wait(lambda: dock.names()[:1] == [jobs[120].name] and len(dock.names()) == 170)
    del tester
    dock.close()


def longest_turn_s(qtbot: QtBot, folder: Path, jobs: int) -> float:
    """Of the window's thread while so many jobs are listed, in the processor's time: others do not count."""
    folder.mkdir()
    with Queue(folder / "queue") as queue:
        queue.add([request(number) for number in range(jobs)])
    dock = Dock(qtbot, folder)
    view = QueueView(dock.presenter, dock.thumbnails)  # type: ignore[arg-type]
    qtbot.addWidget(view)
    view.resize(1100, 500)
    view.show()
    qtbot.waitExposed(view)
    turns_s: list[float] = []
    last_s = time.thread_time()

    def beat() -> None:
        nonlocal last_s
        now_s = time.thread_time()
        turns_s.append(now_s - last_s)
        last_s = now_s

    pulse = QTimer()
    pulse.setTimerType(Qt.TimerType.PreciseTimer)
    pulse.timeout.connect(beat)
    pulse.start(0)
    dock.presenter.open()
    dock.wait(lambda: dock.presenter.model.rowCount() == jobs)
    beat()
    pulse.stop()
    view.close()
    dock.close()
    return max(turns_s)


def test_ten_thousand_jobs_are_listed_without_holding_the_window_up(qtbot: QtBot, tmp_path: Path) -> None:
    longest_turn_s(qtbot, tmp_path / "first", 150)  # fonts and icons are loaded
    few_s, many_s = (longest_turn_s(qtbot, tmp_path / str(jobs), jobs) for jobs in (150, 10_000))
    # What few take on this machine is the painting of the rows in view.
    print(f"longest turn {many_s * 1000:.0f} ms, with few jobs {few_s * 1000:.0f} ms")
    assert many_s < 2 * few_s + 0.01


def test_names_of_settings_are_those_of_whoever_works_the_queue() -> None:
    assert (queue_lookout.HELD, queue_lookout.SCHEDULE) == (waiting.HELD, waiting.SCHEDULE)
