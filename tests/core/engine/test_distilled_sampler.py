"""Euler steps on the few-step distillations' schedule."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.engine.sampling.euler import euler_schedule, sample
from core.engine.sampling.guidance import branches_at, count_forwards
from core.engine.sampling.samplers import sampler_of, schedule_for
from core.engine.sampling.schedule import ignore_step
from core.errors import BadSetting
from core.types import Sampling

NOISE = torch.randn(1, 2, 3, 4, generator=torch.Generator().manual_seed(1))


def test_four_steps_are_those_the_student_was_asked_at() -> None:
    schedule = euler_schedule(4, 5.0)
    assert schedule.sigmas.tolist() == pytest.approx([1.0, 0.9375, 0.8333333, 0.625, 0.0])
    assert schedule.timesteps.tolist() == pytest.approx([1000.0, 937.5, 833.33333, 625.0])
    assert euler_schedule(2, 1.0).sigmas.tolist() == [1.0, 0.5, 0.0]


def test_the_steps_are_those_of_the_formula() -> None:
    schedule = euler_schedule(4, 5.0)
    asked: list[float] = []

    def velocity(x: Tensor, timestep: float, step: int) -> Tensor:
        asked.append(timestep)
        return x.sin() + step

    made = sample(velocity, NOISE, schedule, None, ignore_step)
    x, sigmas = NOISE.double(), schedule.sigmas
    for step in range(4):
        v = x.sin() + step
        x0 = x - sigmas[step] * v
        x = x0 + sigmas[step + 1] * v
    torch.testing.assert_close(made.double(), x, atol=1e-6, rtol=0)
    assert asked == schedule.timesteps.tolist()


def test_a_straight_flow_ends_where_it_leads_to() -> None:
    """With v = eps - x0 the same everywhere each number of steps gives x0."""
    clean = torch.randn(NOISE.shape, generator=torch.Generator().manual_seed(2))

    def velocity(*_: object) -> Tensor:
        return NOISE - clean

    for steps in (1, 3, 4):
        made = sample(velocity, NOISE, euler_schedule(steps, 5.0), None, ignore_step)
        torch.testing.assert_close(made, clean, atol=1e-6, rtol=0)


def test_condition_guidance_reaches_one_of_four_steps() -> None:
    """The window (0.1, 0.4) is strict and i/N counts: of 0, .25, .5, .75 only the second lies inside."""
    guided = Sampling(4, "euler", 5.0, 1.0, 1.5)
    assert [branches_at(guided, step, True) for step in range(4)] == [("A",), ("A", "C"), ("A",), ("A",)]
    assert count_forwards(guided, True) == 5
    assert count_forwards(guided, False) == 4


@pytest.mark.parametrize(("steps", "shift"), [(0, 5.0), (4, 0.0), (4, float("nan"))])
def test_what_no_schedule_can_be_made_of(steps: int, shift: float) -> None:
    with pytest.raises(BadSetting):
        euler_schedule(steps, shift)


def test_the_settings_choose_it() -> None:
    settings = Sampling(4, "euler", 5.0)
    assert sampler_of(settings) is sample
    assert torch.equal(schedule_for(settings, torch.bfloat16).timesteps, euler_schedule(4, 5.0).timesteps)
