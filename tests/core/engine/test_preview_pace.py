"""When previews may be made: by a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from core.engine.preview_pace import INTERVAL_S, SHARE, Kind, Pace


@dataclass
class Sampling:
    """Steps and previews that take set times."""

    steps: int
    step_s: float
    costs_s: dict[Kind, float]
    now_s: float = 100.0
    told: list[tuple[int, Kind, float]] = field(default_factory=list)
    spent_s: float = 0.0

    def run(self) -> Sampling:
        """Sample, with whatever previews the pace allows."""
        pace = Pace(self.steps, lambda: self.now_s)
        for step in range(1, self.steps + 1):
            self.now_s += self.step_s
            pace.step()
            if pace.is_due:
                self._preview(pace, step)
        return self

    def _preview(self, pace: Pace, step: int) -> None:
        fine, quick = pace.allows_fine(), pace.allows_quick()
        if fine and not pace.knows_fine:
            self._spend(self.costs_s["fine"] / 10)
            pace.expect_fine(self.costs_s["fine"])
            fine = pace.allows_fine()
            if not fine:
                pace.given_up("fine", self.costs_s["fine"] / 10)
        kind: Kind = "fine" if fine else "quick"
        if fine or quick:
            self._spend(self.costs_s[kind])
            pace.told(kind, self.costs_s[kind])
            self.told.append((step, kind, self.now_s))

    def _spend(self, seconds: float) -> None:
        self.now_s += seconds
        self.spent_s += seconds

    def of(self, kind: Kind) -> list[int]:
        return [step for step, made, _ in self.told if made == kind]


@pytest.mark.parametrize("step_s", [0.001, 0.04, 0.1, 0.3])
def test_there_are_at_most_four_a_second_even_where_they_cost_nothing(step_s: float) -> None:
    sampling = Sampling(2000, step_s, {"quick": 0.0, "fine": 0.0}).run()
    times = [time_s for _, _, time_s in sampling.told]
    gaps = [after - before for before, after in pairwise(times)]
    assert min(gaps) >= INTERVAL_S
    assert max(gaps) < INTERVAL_S + 2 * step_s, "and not much fewer"


def test_the_first_comes_after_the_first_step() -> None:
    assert Sampling(4, 0.01, {"quick": 5.0, "fine": 50.0}).run().told[0][:2] == (1, "quick")


@pytest.mark.parametrize("steps", [8, 20, 50])
@pytest.mark.parametrize("step_s", [0.6, 2.0, 30.0])
def test_previews_take_less_than_a_tenth_of_the_time(steps: int, step_s: float) -> None:
    sampling = Sampling(steps, step_s, {"quick": 0.05, "fine": 1.0}).run()
    assert sampling.spent_s <= (SHARE + 0.01) * steps * step_s
    assert sampling.told


def test_a_decoder_that_costs_too_much_is_tried_once() -> None:
    sampling = Sampling(8, 0.6, {"quick": 0.02, "fine": 1.0}).run()
    assert sampling.of("fine") == []
    assert sampling.spent_s == pytest.approx(0.1 + 0.02 * len(sampling.told))
    assert len(sampling.told) == 8


def test_few_fine_ones_are_spread_over_the_steps_with_quick_ones_between() -> None:
    sampling = Sampling(20, 1.0, {"quick": 0.01, "fine": 0.4}).run()
    assert sampling.of("fine") == [5, 10, 15]
    assert set(sampling.of("quick")) == set(range(1, 21)) - {5, 10, 15}


def test_slow_steps_have_a_fine_one_each_and_nothing_blurred_after_it() -> None:
    sampling = Sampling(10, 20.0, {"quick": 0.05, "fine": 0.5}).run()
    assert sampling.of("quick") == [1]
    assert sampling.of("fine") == list(range(2, 11))
