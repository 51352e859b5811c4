"""The stage's clock: where playing is, and what the keys do to it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QTimer
from pytestqt.qtbot import QtBot

from desktop.model.playing import Run, Span, frame_at, last_frame_before
from desktop.presenters.playback import Playback
from tests.fakes.clock import SteppedClock


@pytest.fixture
def clock() -> SteppedClock:
    """Moved by the test."""
    return SteppedClock()


@pytest.fixture
def playback(qtbot: QtBot, clock: SteppedClock) -> Iterator[Playback]:  # noqa: ARG001
    """Over five seconds and one frame."""
    made = Playback(clock.now)
    made.set_duration(81 / 16)
    yield made
    made.close()


def after(qtbot: QtBot, clock: SteppedClock, playback: Playback, seconds: float) -> float:
    """The position that is told once the clock has gone on."""
    with qtbot.waitSignal(playback.position_changed, timeout=2000):
        clock.time_s += seconds
    return playback.position_s


def ticking(playback: Playback) -> bool:
    return any(timer.isActive() for timer in playback.findChildren(QTimer))


def test_it_follows_the_clock(qtbot: QtBot, clock: SteppedClock, playback: Playback) -> None:
    playback.play()
    assert after(qtbot, clock, playback, 1.25) == pytest.approx(1.25)
    assert playback.frame == 20
    assert after(qtbot, clock, playback, 0.5) == pytest.approx(1.75)


def test_nothing_ticks_while_nothing_moves(qtbot: QtBot, clock: SteppedClock, playback: Playback) -> None:
    assert not ticking(playback)
    playback.play()
    assert ticking(playback)
    playback.pause()
    assert not ticking(playback)
    playback.set_looping(False)
    playback.play()
    after(qtbot, clock, playback, 100)
    assert not ticking(playback)
    playback.play()
    playback.seek(1.0, scrubbing=True)
    assert not ticking(playback)


def test_it_goes_round_in_the_range(qtbot: QtBot, clock: SteppedClock, playback: Playback) -> None:
    playback.set_range(1.0, 2.0)
    playback.seek(1.5)
    playback.play()
    assert after(qtbot, clock, playback, 0.75) == pytest.approx(1.25)
    assert after(qtbot, clock, playback, 3.5) == pytest.approx(1.75)
    assert playback.playing


def test_without_a_loop_it_stops_at_the_last_frame(
    qtbot: QtBot, clock: SteppedClock, playback: Playback
) -> None:
    playback.set_looping(False)
    playback.play()
    with qtbot.waitSignal(playback.playing_changed, check_params_cb=lambda on: not on):
        clock.time_s += 7.3
    assert playback.frame == 80
    assert playback.position_s == 80 / 16
    playback.play()  # again from the beginning
    assert playback.playing
    assert playback.position_s == 0.0


def test_beyond_the_range_it_plays_on_and_then_goes_round(
    qtbot: QtBot, clock: SteppedClock, playback: Playback
) -> None:
    playback.set_range(1.0, 2.0)
    playback.seek(4.5)
    playback.play()
    assert after(qtbot, clock, playback, 0.25) == pytest.approx(4.75)
    after(qtbot, clock, playback, 0.5)
    qtbot.waitUntil(lambda: playback.position_s == 1.0)
    assert playback.playing


def test_j_k_and_l(qtbot: QtBot, clock: SteppedClock, playback: Playback) -> None:
    speeds: list[float] = []
    playback.speed_changed.connect(speeds.append)
    playback.seek(2.0)
    for direction in (1, 1, 1, 1, 1, -1, -1, 0):
        playback.shuttle(direction)
    assert speeds == [2, 4, 8, -1, -2, 1]
    assert not playback.playing
    playback.shuttle(-1)
    playback.shuttle(-1)
    assert after(qtbot, clock, playback, 0.5) == pytest.approx(1.0)
    assert after(qtbot, clock, playback, 1.0) == pytest.approx(81 / 16 - 1.0, abs=1e-5)


def test_backwards_without_a_loop_it_stops_at_the_beginning(
    qtbot: QtBot, clock: SteppedClock, playback: Playback
) -> None:
    playback.set_looping(False)
    playback.seek(0.5)
    playback.shuttle(-1)
    with qtbot.waitSignal(playback.playing_changed, check_params_cb=lambda on: not on):
        clock.time_s += 0.6
    assert playback.position_s == 0.0


def test_steps_stay_on_the_grid_and_inside(playback: Playback) -> None:
    playback.seek(1.03)
    playback.step(1)
    assert playback.position_s == 17 / 16
    playback.step(-17)
    playback.step(-1)
    assert playback.position_s == 0.0
    playback.step(1000)
    assert playback.frame == 80


def test_a_step_pauses(playback: Playback) -> None:
    playback.play()
    playback.step(1)
    assert not playback.playing


def test_frames_are_counted_robustly() -> None:
    for number in range(3000):
        assert frame_at(number / 16) == number
        assert frame_at(sum([1 / 48] * 3) * number) == number
        assert frame_at(math.nextafter(number / 16, -1)) == number
        assert last_frame_before((number + 1) / 16) == number
    assert frame_at(0.0624) == 0
    assert last_frame_before(0.0) == 0


def test_a_drag_holds_what_plays(qtbot: QtBot, clock: SteppedClock, playback: Playback) -> None:
    playback.play()
    playback.seek(3.0, scrubbing=True)
    clock.time_s += 10
    assert playback.scrubbing
    assert playback.playing
    assert playback.position_s == 3.0
    with qtbot.waitSignal(playback.position_changed):  # the exact frame is asked for
        playback.seek(3.0)
    assert not playback.scrubbing
    assert after(qtbot, clock, playback, 0.5) == pytest.approx(3.5)


def test_a_range_over_the_whole_stays_over_the_whole(playback: Playback) -> None:
    playback.set_duration(3.0)
    assert playback.range_s == (0.0, 3.0)
    playback.set_range(1.0, 9.0)
    assert playback.range_s == (1.0, 3.0)
    playback.set_duration(10.0)
    assert playback.range_s == (1.0, 3.0)
    playback.seek(9.0)
    playback.set_duration(2.0)
    assert playback.range_s == (1.0, 2.0)
    assert playback.frame == 31


def test_a_range_that_moves_while_it_plays(qtbot: QtBot, clock: SteppedClock, playback: Playback) -> None:
    playback.play()
    after(qtbot, clock, playback, 1.0)
    playback.set_range(0.5, 1.5)
    assert after(qtbot, clock, playback, 0.75) == pytest.approx(0.75)


def test_nothing_to_play_does_not_play(playback: Playback) -> None:
    playback.set_duration(0.0)
    playback.toggle()
    playback.step(1)
    assert not playback.playing
    assert playback.position_s == 0.0


def test_a_range_without_length_does_not_hang(qtbot: QtBot, clock: SteppedClock, playback: Playback) -> None:
    playback.set_range(1.0, 1.0)
    playback.play()
    after(qtbot, clock, playback, 2.0)
    playback.toggle()
    assert not playback.playing


def test_volume_is_told_and_bounded(qtbot: QtBot, playback: Playback) -> None:
    with qtbot.waitSignal(playback.volume_changed, check_params_cb=lambda *now: now == (0.0, False)):
        playback.set_volume(-3)
    with qtbot.waitSignal(playback.volume_changed, check_params_cb=lambda *now: now == (0.0, True)):
        playback.set_muted(True)
    assert playback.muted


def test_what_is_heard_goes_round_without_a_gap() -> None:
    run = Run(1.5, 1.0, 1.0, 2.0, looping=True)
    assert run.spans(0.25, 1.5) == [Span(1.75, 0.25), Span(1.0, 1.0), Span(1.0, 0.25)]
    once = Run(1.5, 1.0, 1.0, 2.0, looping=False)
    assert once.spans(0.25, 1.5) == [Span(1.75, 0.25), Span(None, 1.25)]
    assert once.spans(3.0, 0.1) == [Span(None, 0.1)]
