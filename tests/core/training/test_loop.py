"""Clock, schedule over pieces, and the record of losses."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from core.errors import EngineError
from core.training.clock import PIECE_WARMUP_STEPS, Clock, trapezoid
from core.training.loop import LossRecord, Updater


class Watch:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def test_a_run_ends_after_its_steps() -> None:
    clock = Clock(4, 1e9, 1e9, step=1, now=Watch())
    assert list(clock.steps()) == [1, 2, 3]
    assert clock.step == 4
    assert clock.finished
    assert clock.progress == 1.0
    assert list(clock.steps()) == []


def test_a_run_ends_after_its_seconds_counted_over_all_pieces() -> None:
    watch = Watch()
    clock = Clock(1000, 50.0, 1e9, step=7, seconds_before=40.0, now=watch)
    assert clock.progress == pytest.approx(0.8)
    taken = []
    for step in clock.steps():
        taken.append(step)
        watch.time += 4
    assert taken == [7, 8, 9]
    assert clock.seconds == pytest.approx(52.0)
    assert clock.finished


def test_a_piece_ends_before_the_run() -> None:
    watch = Watch()
    clock = Clock(1000, 50.0, 5.0, now=watch)
    for _ in clock.steps():
        watch.time += 2
    assert clock.step == 3
    assert not clock.finished
    assert clock.progress == pytest.approx(6 / 50)


def test_learning_rates_rise_with_each_piece_and_fall_at_the_end() -> None:
    clock = Clock(1000, 1e9, 1e9, step=300, now=Watch())
    factors = {}
    for step in clock.steps():
        factors[step] = clock.factor(0.5)
    assert factors[300] == pytest.approx(1 / PIECE_WARMUP_STEPS)
    assert factors[300 + PIECE_WARMUP_STEPS] == 1
    assert factors[500] == 1
    assert factors[750] == pytest.approx(0.5)
    assert factors[999] == pytest.approx(0.002)


def test_an_update_goes_down_and_forgets_its_gradient() -> None:
    torch.manual_seed(1)
    model = nn.Linear(16, 16)
    clock = Clock(100, 1e9, 1e9, now=Watch())
    updater = Updater(model, (0.3, 0.1), 0.99, 0.5, clock)
    x = torch.randn(8, 16)
    losses = []
    for _ in itertools.islice(clock.steps(), 30):
        loss = model(x).square().mean()
        updater.update(loss)
        losses.append(loss.item())
        assert all(p.grad is None for p in model.parameters())
    assert losses[-1] < 0.7 * losses[0]


def test_losses_are_averaged_between_entries() -> None:
    means: list[float] = [9.0]
    record = LossRecord(means, every=3)
    done = [record.add(step, torch.tensor(float(step))) for step in range(4, 10)]
    assert done == [False, True, False, False, True, False]
    assert means == [9.0, 4.5, 7.0]


def test_an_open_piece_keeps_its_learning_rate_and_leaves_the_run_open() -> None:
    watch = Watch()
    clock = Clock(10, 5.0, 200.0, step=300, seconds_before=90.0, now=watch, ending="open")
    factors = []
    for _ in clock.steps():
        factors.append(clock.factor(0.5))
        watch.time += 1
    assert len(factors) == 200
    assert factors[0] == pytest.approx(1 / PIECE_WARMUP_STEPS)
    assert set(factors[PIECE_WARMUP_STEPS:]) == {1.0}
    assert not clock.finished


def test_a_last_piece_goes_down_to_nothing() -> None:
    watch = Watch()
    clock = Clock(10, 5.0, 1000.0, step=300, seconds_before=90.0, now=watch, ending="piece")
    factors = []
    for _ in clock.steps():
        factors.append(clock.factor(0.5))
        watch.time += 1
    assert len(factors) == 1000
    assert factors[100:250] == [1.0] * 150
    assert factors[-1] < 0.002
    assert clock.finished


def test_the_schedule_rises_stays_and_falls_to_nothing() -> None:
    factors = [trapezoid(at / 100, 0.1, 0.4) for at in range(101)]
    assert 0 < factors[0] < 0.02
    assert factors[5] == pytest.approx(0.51)
    assert set(factors[10:61]) == {1.0}
    assert factors[80] == pytest.approx(0.5)
    assert factors[100] == 0


def test_a_loss_that_is_no_number_stops_the_run() -> None:
    record = LossRecord([], every=2)
    record.add(0, torch.tensor(1.0))
    with pytest.raises(EngineError, match="loss is nan before step 2"):
        record.add(1, torch.tensor(float("nan")))
    assert record.means == []
