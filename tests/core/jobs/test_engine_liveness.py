"""Busy or hung, by a simulated clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from core.jobs.engine.liveness import IDLE_CPU_SHARE, Limits, Liveness, Stage, stage_of
from core.types import PHASES, Progress

LIMITS = Limits()
TICK_S = LIMITS.tick_s
TEN_MINUTES_S = 600.0


def until_hung(
    liveness: Liveness, begin_s: float, end_s: float, cpu: Callable[[float], float]
) -> float | None:
    """The time at which the verdict is hung; None where it is busy to the end."""
    for tick in itertools.count(1):
        now_s = begin_s + tick * TICK_S
        if now_s > end_s:
            return None
        if liveness.look(now_s, cpu(now_s)) == "hung":
            return now_s
    raise AssertionError


def sampling(now_s: float = 0.0) -> Liveness:
    liveness = Liveness(LIMITS, now_s)
    liveness.heard(now_s, "sample")
    return liveness


def test_silence_is_a_hang_within_15_seconds() -> None:
    seen_s = until_hung(sampling(), 0, TEN_MINUTES_S, lambda _: 0.0)
    assert seen_s == LIMITS.silent_s
    assert seen_s < 15


def test_threads_that_wait_for_the_interpreter_are_no_work() -> None:
    """They wake up every few milliseconds while another holds the GIL."""
    idle = 0.8 * IDLE_CPU_SHARE
    assert until_hung(sampling(), 0, TEN_MINUTES_S, lambda now_s: idle * now_s) == LIMITS.silent_s


@pytest.mark.parametrize("share", [0.1, 1.0, 16.0])
def test_a_forward_of_ten_minutes_on_the_processor_is_busy(share: float) -> None:
    assert until_hung(sampling(), 0, TEN_MINUTES_S, lambda now_s: share * now_s) is None


def test_a_forward_of_ten_minutes_with_heartbeats_alone_is_busy() -> None:
    liveness = sampling()
    for second in range(1, int(TEN_MINUTES_S)):
        assert liveness.look(second - 0.5, 0.0) == "busy"
        liveness.heard(float(second))
        assert liveness.look(float(second), 0.0) == "busy"


def test_a_forward_of_ten_minutes_on_the_gpu_alone_is_busy() -> None:
    liveness = sampling()
    ticks = int(TEN_MINUTES_S / TICK_S)
    assert {liveness.look(tick * TICK_S, 0.0, tick % 20 == 0) for tick in range(1, ticks)} == {"busy"}


def test_pages_that_come_from_a_slow_drive_are_a_sign_of_life() -> None:
    """With memory short even the interpreter's own pages are fetched, which takes no processor time."""
    liveness = sampling()
    verdicts = [
        liveness.look(tick * TICK_S, 0.0, False, read_bytes=min(tick, 100) // 20 * 4096)
        for tick in range(1, 129)
    ]
    assert verdicts == ["busy"] * 127 + ["hung"]  # 14 s after the last page, at 50 s


def test_what_cannot_be_known_is_no_sign_of_life() -> None:
    liveness = sampling()
    verdicts = [liveness.look(tick * TICK_S, None, None) for tick in range(1, 29)]
    assert verdicts == ["busy"] * 27 + ["hung"]


def test_the_count_begins_when_the_work_stops() -> None:
    assert until_hung(sampling(), 0, TEN_MINUTES_S, lambda now_s: min(now_s, 100.0)) == 100 + LIMITS.silent_s


def test_a_child_that_ends_is_a_sign_of_life() -> None:
    seen_s = until_hung(sampling(), 0, TEN_MINUTES_S, lambda now_s: 50.0 if now_s < 10 else 3.0)
    assert seen_s == 10 + LIMITS.silent_s


def test_a_watcher_that_was_stopped_itself_begins_anew() -> None:
    liveness = sampling()
    assert liveness.look(0.5, 1.0) == "busy"
    assert liveness.look(3600.0, 1.0) == "busy"
    assert until_hung(liveness, 3600.0, 4000.0, lambda _: 1.0) == 3600 + LIMITS.silent_s


@pytest.mark.parametrize(
    ("stage", "limit_s"),
    [("start", LIMITS.start_s), ("load", LIMITS.load_s), ("compile", LIMITS.compile_s), ("decode", 14.0)],
)
def test_getting_ready_has_limits_of_its_own(stage: Stage, limit_s: float) -> None:
    liveness = Liveness(LIMITS, 0.0)
    liveness.heard(0.0, stage)
    assert until_hung(liveness, 0, TEN_MINUTES_S, lambda _: 0.0) == limit_s


def test_a_hello_must_come_whatever_the_processor_does() -> None:
    liveness = Liveness(LIMITS, 0.0)
    assert not liveness.doubtful(30.0)
    for tick in range(1, 120):
        assert liveness.look(tick * TICK_S) == "busy"
    assert liveness.look(60.0) == "hung"


def test_the_system_is_asked_only_when_heartbeats_stay_out() -> None:
    liveness = sampling()
    assert not liveness.doubtful(1.5)
    assert liveness.doubtful(2.5)
    liveness.heard(2.6)
    assert not liveness.doubtful(3.0)


def test_kernels_are_made_before_the_first_forward_is_done() -> None:
    assert stage_of(Progress("sample", 1, 4, 0, 8)) == "compile"
    assert stage_of(Progress("sample", 1, 4, 1, 8)) == "sample"
    assert [stage_of(Progress(phase)) for phase in PHASES if phase != "sample"] == [
        phase for phase in PHASES if phase != "sample"
    ]
