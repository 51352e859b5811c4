"""Few-step samplers of rCM (score-regularised continuous-time consistency models), ODE and SDE.

TrigFlow time T and flow time t of the same noise level: t = sin T / (cos T + sin T).
Source: TurboDiffusion ``inference/wan2.1_t2v_infer.py`` (spec/turbodiffusion section 4), arXiv 2510.08431.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from core.engine.sampling.noise import StepNoise, fresh_noise, given_noise
from core.engine.sampling.schedule import TRAIN_TIMESTEPS, OnStep, Sample, Schedule, Velocity
from core.engine.sampling.state import GENERATOR, LATENTS, Keep, SamplerState, TensorSpec, generator_spec
from core.errors import BadSetting

MIDDLE_TIMES = (1.5, 1.4, 1.0)
MAX_STEPS = len(MIDDLE_TIMES) + 1


def rcm_schedule(steps: int, sigma_max: float, network_dtype: torch.dtype = torch.float32) -> Schedule:
    """Flow times of T = atan(sigma_max), the first steps - 1 of (1.5, 1.4, 1.0), 0.

    Args:
        steps: 1 to 4.
        sigma_max: noise over signal at the start, more than tan(1.5) = 14.1.
        network_dtype: the timestep is rounded to it, as in training: bfloat16 makes 987.65 into 988.

    Raises:
        BadSetting: a value out of range.
    """
    if not 1 <= steps <= MAX_STEPS:
        raise BadSetting("The rCM sampler takes 1 to 4 steps.", value=steps, limit=f"1 to {MAX_STEPS}")
    if not (math.isfinite(sigma_max) and math.atan(sigma_max) > MIDDLE_TIMES[0]):
        limit = f"more than {math.tan(MIDDLE_TIMES[0]):.1f}"
        raise BadSetting("The rCM sampler's sigma_max is out of range.", value=sigma_max, limit=limit)
    trig = torch.tensor([math.atan(sigma_max), *MIDDLE_TIMES[: steps - 1], 0.0], dtype=torch.float64)
    times = trig.sin() / (trig.cos() + trig.sin())
    timesteps = (times[:-1] * TRAIN_TIMESTEPS).to(network_dtype).float()
    return Schedule(times, timesteps)


def sample_ode(
    velocity: Velocity,
    latents: Tensor,
    schedule: Schedule,
    _generator: torch.Generator | None,
    on_step: OnStep,
    *,
    begin: SamplerState | None = None,
    keep: Keep | None = None,
) -> Tensor:
    """x <- x - (t - t_next) v: no fresh noise. Latents are float64 between the steps."""
    times, timesteps = schedule.sigmas.tolist(), schedule.timesteps.tolist()
    first, x = _start(latents, times[0], begin)
    for step in range(first, schedule.steps):
        v = velocity(x.float(), timesteps[step], step).double()
        x = x - (times[step] - times[step + 1]) * v
        on_step(step, x.float())
        if keep and step + 1 < schedule.steps:
            keep(SamplerState(step + 1, {LATENTS: x}))
    result: Tensor = x.float()
    return result


def sample_sde(
    velocity: Velocity,
    latents: Tensor,
    schedule: Schedule,
    generator: torch.Generator | None,
    on_step: OnStep,
    step_noise: StepNoise | None = None,
    *,
    begin: SamplerState | None = None,
    keep: Keep | None = None,
) -> Tensor:
    """x <- (1 - t_next) (x - t v) + t_next * fresh float32 noise. Latents are float64 between the steps.

    ``step_noise(step, like)`` replaces the noise drawn from ``generator``. Noise is drawn at the last step
    too, where t_next is 0, as in the reference implementation.
    """
    draw = step_noise or partial(fresh_noise, generator)
    times, timesteps = schedule.sigmas.tolist(), schedule.timesteps.tolist()
    first, x = _start(latents, times[0], begin)
    if begin and generator:
        generator.set_state(begin.tensors[GENERATOR])
    for step in range(first, schedule.steps):
        v = velocity(x.float(), timesteps[step], step).double()
        x0 = x - times[step] * v
        x = (1 - times[step + 1]) * x0 + times[step + 1] * draw(step, latents).double()
        on_step(step, x.float())
        if keep and step + 1 < schedule.steps:
            drawn = {GENERATOR: generator.get_state()} if generator else {}
            keep(SamplerState(step + 1, {LATENTS: x, **drawn}))
    result: Tensor = x.float()
    return result


def ode_specs(_step: int, shape: tuple[int, ...]) -> dict[str, TensorSpec]:
    """The tensors of a state of ``sample_ode``, for latents of this shape."""
    return {LATENTS: TensorSpec(torch.float64, shape)}


def sde_specs(step: int, shape: tuple[int, ...]) -> dict[str, TensorSpec]:
    """The tensors of a state of ``sample_sde`` that draws from a generator, for latents of this shape."""
    return {**ode_specs(step, shape), GENERATOR: generator_spec()}


def with_noise(noise: Sequence[Tensor]) -> Sample:
    """The SDE sampler with given noise for every step instead of a generator."""
    return partial(sample_sde, step_noise=given_noise(noise))


def _start(latents: Tensor, first_time: float, begin: SamplerState | None) -> tuple[int, Tensor]:
    """The first step to take and x before it, float64."""
    if begin is None:
        return 0, latents.double() * first_time
    return begin.step, begin.tensors[LATENTS].to(latents.device)
