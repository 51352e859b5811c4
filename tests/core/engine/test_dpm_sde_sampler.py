"""DPM-Solver++ for flows against diffusers' scheduler, with given velocities and noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from core.engine.sampling import dpmpp
from core.engine.sampling.noise import given_noise, seeded
from core.engine.sampling.samplers import sampler_of, schedule_for
from core.engine.sampling.schedule import ignore_step
from core.engine.sampling.unipc import unipc_schedule
from core.types import Sampler, Sampling

SHAPE = (1, 4, 3, 5, 6)
ALGORITHMS: dict[Sampler, str] = {"dpmpp": "dpmsolver++", "dpmpp_sde": "sde-dpmsolver++"}


def drawn(seed: int, count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(SHAPE, generator=generator) for _ in range(count)]


def bent(velocities: list[Tensor]) -> Callable[[Tensor, float, int], Tensor]:
    """A field that depends on the latents, so that an error made once stays."""
    return lambda x, timestep, step: velocities[step] + 0.3 * x.sin() * (timestep / 1000)


def theirs(sampler: Sampler, steps: int, shift: float, velocities: list[Tensor], noise: list[Tensor]) -> Any:
    """Latents after each step, sigmas and timesteps of diffusers."""
    from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

    scheduler = DPMSolverMultistepScheduler(
        algorithm_type=ALGORITHMS[sampler],
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=shift,
    )
    scheduler.set_timesteps(steps)
    scheduler.set_begin_index(0)
    x, after, field = noise[-1], [], bent(velocities)
    for step, timestep in enumerate(scheduler.timesteps):
        v = field(x, float(timestep), step)
        x = scheduler.step(v, timestep, x, variance_noise=noise[step], return_dict=False)[0]
        after.append(x)
    return torch.stack(after), scheduler.sigmas, scheduler.timesteps


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # diffusers' own
@pytest.mark.parametrize("sampler", list(ALGORITHMS))
@pytest.mark.parametrize(("steps", "shift"), [(1, 5.0), (2, 3.0), (4, 5.0), (8, 5.0), (20, 3.0)])
def test_latents_are_those_of_diffusers(sampler: Sampler, steps: int, shift: float) -> None:
    settings = Sampling(steps, sampler, shift)
    velocities, noise = drawn(1, steps), drawn(2, steps + 1)
    after, sigmas, timesteps = theirs(sampler, steps, shift, velocities, noise)
    schedule = schedule_for(settings, torch.float32)
    torch.testing.assert_close(schedule.sigmas.float(), sigmas, atol=1e-6, rtol=0)
    assert torch.equal(schedule.timesteps, timesteps)
    ours: list[Tensor] = []
    sample = sampler_of(settings, noise)
    sample(bent(velocities), noise[-1], schedule, None, lambda _step, x: ours.append(x))
    torch.testing.assert_close(torch.stack(ours), after, atol=1e-5, rtol=1e-5)


def test_the_noise_matters_at_every_step_but_the_last() -> None:
    schedule, noise = unipc_schedule(4, 5.0), drawn(3, 5)
    velocities = drawn(4, 4)

    def made(changed: int | None) -> Tensor:
        given = [draw + 1 if step == changed else draw for step, draw in enumerate(noise)]
        return dpmpp.sample_sde(
            bent(velocities), noise[-1], schedule, None, ignore_step, step_noise=given_noise(given)
        )

    plain = made(None)
    assert [bool(torch.equal(made(step), plain)) for step in range(4)] == [False, False, False, True]
    assert not torch.equal(dpmpp.sample_ode(bent(velocities), noise[-1], schedule, None, ignore_step), plain)


def test_the_generator_is_what_the_noise_comes_from() -> None:
    schedule, velocities = unipc_schedule(4, 5.0), drawn(4, 4)

    def made(seed: int) -> Tensor:
        return dpmpp.sample_sde(bent(velocities), velocities[0], schedule, seeded(seed), ignore_step)

    assert torch.equal(made(1), made(1))
    assert not torch.equal(made(1), made(2))
    with pytest.raises(ValueError, match="generator"):
        dpmpp.sample_sde(bent(velocities), velocities[0], schedule, None, ignore_step)


def test_first_and_last_step_are_of_first_order() -> None:
    sigmas = unipc_schedule(4, 5.0).sigmas.tolist()
    ways = [dpmpp.weights(sigmas, step, True) for step in range(4)]
    assert [way.last_x0 < 0 for way in ways] == [False, True, True, False]
    assert ways[-1] == dpmpp.Weights(0.0, 1.0, 0.0, 0.0)
    # Prediction and noise at a level that is noise alone: nothing of x is left.
    assert dpmpp.weights([1.0, 0.5, 0.0], 0, True) == pytest.approx((0.0, 0.5, 0.0, 0.5))
