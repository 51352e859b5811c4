"""Samplers, schedules, guidance and noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import UniPCMultistepScheduler
from tiny_wan import failed_rows
from torch import Tensor

from core.engine.sampling import rcm, unipc
from core.engine.sampling.guidance import branches_at, combine, count_forwards, in_window
from core.engine.sampling.noise import seeded, standard_normal
from core.engine.sampling.schedule import Schedule, ignore_step
from core.errors import BadSetting
from core.types import Sampling

GUIDED = Sampling(steps=40, guidance_scale=5.0, condition_guidance_scale=1.5)
X0 = torch.linspace(-2, 2, 24).reshape(1, 2, 3, 4)


@pytest.mark.parametrize("name", ["unipc_a", "rcm_a", "tables_a"])
def test_goldens(name: str) -> None:
    assert failed_rows(name) == []


@pytest.mark.parametrize(("steps", "shift"), [(1, 5.0), (4, 1.0), (20, 3.0), (50, 12.0)])
def test_unipc_levels_equal_diffusers_own_shift_to_the_bit(steps: int, shift: float) -> None:
    theirs = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift, num_train_timesteps=1000
    )
    theirs.set_timesteps(sigmas=np.linspace(unipc.FIRST_SIGMA, 0, steps + 1)[:-1])
    ours = unipc.unipc_schedule(steps, shift)
    assert torch.equal(ours.sigmas.float(), theirs.sigmas)
    assert torch.equal(ours.timesteps, theirs.timesteps)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("steps", "shift"), [(1, 5.0), (2, 5.0), (3, 1.0), (9, 12.0)])
def test_unipc_steps_equal_diffusers_to_the_bit(steps: int, shift: float, dtype: torch.dtype) -> None:
    """With velocities that bend, in 16 bits too; every step, so that each order was taken."""
    schedule, start = unipc.unipc_schedule(steps, shift), standard_normal((1, 2, 3, 4, 5), seeded(1))
    drawn = standard_normal((steps, *start.shape), seeded(2)).to(dtype)
    theirs = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=1.0, num_train_timesteps=1000
    )
    theirs.set_timesteps(sigmas=schedule.sigmas[:-1].numpy())
    theirs.set_begin_index(0)

    def velocity(x: Tensor, _t: float, step: int) -> Tensor:
        return drawn[step] + (0.1 * x).to(dtype)

    wanted, x = [], start
    for step, timestep in enumerate(schedule.timesteps):
        x = theirs.step(velocity(x, 0.0, step), timestep, x, return_dict=False)[0]
        wanted.append(x)
    found: list[Tensor] = []
    unipc.sample(velocity, start, schedule, None, lambda _, latents: found.append(latents))
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))
    assert len(found) == steps


def test_unipc_timesteps_of_forty_steps() -> None:
    timesteps = unipc.unipc_schedule(40, 5.0).timesteps.tolist()
    assert timesteps[:6] == [999, 994, 989, 983, 978, 972]
    assert timesteps[-4:] == [356, 288, 208, 113]


def test_unipc_follows_a_straight_flow_even_where_two_timesteps_are_equal() -> None:
    schedule = unipc.unipc_schedule(200, 12.0)
    assert len(set(schedule.timesteps.tolist())) < 200
    noise = torch.randn(X0.shape, generator=torch.Generator().manual_seed(0))
    start = X0 + schedule.sigmas[0].float() * (noise - X0)
    result = unipc.sample(lambda _x, _t, _i: noise - X0, start, schedule, None, ignore_step)
    assert (result - X0).abs().max() < 1e-4


@pytest.mark.parametrize(("steps", "shift"), [(0, 5.0), (4, 0.0), (4, -1.0), (4, float("nan"))])
def test_unipc_refuses_settings_out_of_range(steps: int, shift: float) -> None:
    with pytest.raises(BadSetting):
        unipc.unipc_schedule(steps, shift)


def test_rcm_levels() -> None:
    schedule = rcm.rcm_schedule(4, 80.0)
    expected = [0.987654, 0.933781, 0.852895, 0.608979, 0.0]
    assert schedule.sigmas.tolist() == pytest.approx(expected, abs=1e-6)
    assert schedule.timesteps.tolist() == pytest.approx([1000 * t for t in expected[:-1]], abs=1e-3)
    assert rcm.rcm_schedule(1, 200.0).sigmas[0].item() == pytest.approx(0.995025, abs=1e-6)


def test_rcm_timesteps_take_the_networks_precision() -> None:
    assert rcm.rcm_schedule(4, 80.0, torch.bfloat16).timesteps.tolist() == [988, 932, 852, 608]


@pytest.mark.parametrize(("steps", "sigma_max"), [(0, 80.0), (5, 80.0), (2, 14.0), (2, float("inf"))])
def test_rcm_refuses_settings_out_of_range(steps: int, sigma_max: float) -> None:
    with pytest.raises(BadSetting):
        rcm.rcm_schedule(steps, sigma_max)


def towards_x0(schedule: Schedule) -> rcm.Velocity:
    """The velocity of a network that always predicts X0."""
    return lambda x, _t, step: (x - X0) / float(schedule.sigmas[step])


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_rcm_samplers_reach_what_the_network_predicts(steps: int) -> None:
    schedule = rcm.rcm_schedule(steps, 80.0)
    seen: list[int] = []
    for sample in (rcm.sample_ode, rcm.sample_sde):
        result = sample(
            towards_x0(schedule), torch.ones_like(X0), schedule, seeded(1), lambda i, _: seen.append(i)
        )
        assert (result - X0).abs().max() < 1e-5
    assert seen == [*range(steps), *range(steps)]


def lazy_velocity(x: Tensor, timestep: float, _step: int) -> Tensor:
    """A velocity that keeps some of the noise, so that fresh noise shows in the result."""
    return 0.5 * x - X0 * timestep / 1000


def test_sde_draws_fresh_noise_from_its_generator() -> None:
    schedule = rcm.rcm_schedule(3, 80.0)
    start = torch.ones_like(X0)
    first, again, other = (
        rcm.sample_sde(lazy_velocity, start, schedule, seeded(seed), ignore_step) for seed in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-2)
    generator = seeded(3)
    draws = [standard_normal(tuple(X0.shape), generator) for _ in range(3)]
    given = rcm.with_noise(draws)(lazy_velocity, start, schedule, None, ignore_step)
    assert torch.equal(first, given)


def test_ode_and_sde_coincide_in_one_step() -> None:
    schedule = rcm.rcm_schedule(1, 80.0)
    start = torch.ones_like(X0)
    ode = rcm.sample_ode(lazy_velocity, start, schedule, None, ignore_step)
    sde = rcm.sample_sde(lazy_velocity, start, schedule, seeded(0), ignore_step)
    assert (ode - sde).abs().max() < 1e-6


def test_guidance_window_is_strict_on_both_ends() -> None:
    on = [step for step in range(40) if in_window(step, 40, 0.1, 0.4)]
    assert on == list(range(5, 16))


def test_branches_are_left_out_where_they_cancel() -> None:
    assert branches_at(GUIDED, 10, has_negative=True) == ("A", "B", "C")
    assert branches_at(GUIDED, 10, has_negative=False) == ("A", "B")
    assert branches_at(GUIDED, 4, has_negative=True) == ("A", "B")
    plain = Sampling(steps=4, guidance_scale=1.0, condition_guidance_scale=0.0)
    assert branches_at(plain, 1, has_negative=True) == ("A",)
    pose_only = Sampling(steps=4, guidance_scale=1.0, condition_guidance_scale=1.5)
    assert branches_at(pose_only, 1, has_negative=True) == ("A", "C")


def test_forwards_are_counted_exactly() -> None:
    assert count_forwards(GUIDED, has_negative=True) == 91
    assert count_forwards(GUIDED, has_negative=False) == 80
    assert count_forwards(Sampling(steps=4), has_negative=True) == 4


def test_combination_of_the_branches() -> None:
    a, b, c = torch.tensor([1.0]), torch.tensor([3.0]), torch.tensor([10.0])
    assert combine({"A": a, "B": b, "C": c}, 5.0, 2.0).item() == 3 + 5 * (1 - 3) + 2 * (1 - 10)
    assert combine({"A": a, "C": c}, 1.0, 2.0).item() == 1 + 2 * (1 - 10)
    assert combine({"A": a}, 1.0, 2.0).item() == 1


def test_noise_is_seeded_standard_normal_on_the_cpu() -> None:
    first, again, other = (standard_normal((16, 5, 8, 8), seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.dtype == torch.float32
    assert abs(first.std().item() - 1) < 0.05
    for seed in (-1, 2**63):
        with pytest.raises(BadSetting):
            seeded(seed)
