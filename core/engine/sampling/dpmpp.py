"""DPM-Solver++ (2M) for flows, without noise and with it (SDE), on UniPC's noise levels.

Source: Lu et al. 2022, arXiv 2211.01095; the steps are those of diffusers' ``DPMSolverMultistepScheduler``
with flow sigmas (``dpmsolver++`` and ``sde-dpmsolver++``, order 2, midpoint, final sigma 0), which agree to
1e-5. SteadyDancer's ComfyUI workflows take the SDE form in four steps ("dpm++_sde"). Their nodes shift the
first level twice (0.99996 instead of 0.9998 at shift 5); in four steps their other levels lie 2e-4 higher.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from core.engine.sampling.noise import StepNoise, fresh_noise
from core.engine.sampling.schedule import OnStep, Schedule, Velocity
from core.engine.sampling.state import GENERATOR, LATENTS, Keep, SamplerState, TensorSpec, generator_spec

# Beside the latents: the newest prediction of x0.
LAST_X0 = "x0"


class Weights(NamedTuple):
    """A step is x <- sample x + x0 x0 + last_x0 (x0 of the step before) + noise (standard normal)."""

    sample: float
    x0: float
    last_x0: float
    noise: float


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
    """Standard normal ``latents`` (any shape, float32) -> clean latents. Draws no noise of its own."""
    return _sample(velocity, latents, schedule, None, None, on_step, begin, keep)


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
    """As ``sample_ode``, with fresh noise at every step but the last, where its weight is 0.

    ``step_noise(step, like)`` replaces the noise drawn from ``generator``.
    """
    draw = step_noise or partial(fresh_noise, generator)
    if begin and generator:
        generator.set_state(begin.tensors[GENERATOR])
    return _sample(velocity, latents, schedule, draw, generator, on_step, begin, keep)


def weights(sigmas: list[float], step: int, stochastic: bool) -> Weights:
    """How the step from ``sigmas[step]`` to the next weighs what it adds up.

    With a = 1 - s and l = log(a/s), h is the step in l and r = h_before / h. The first step and the one to
    level 0 know no earlier prediction, or need none: they are of first order.
    """
    here, there = sigmas[step], sigmas[step + 1]
    shrink = there * (1 - here) / ((1 - there) * here)  # exp(-h)
    power = 2 if stochastic else 1
    gain = (1 - there) * (1 - shrink**power)
    slope = 0.0
    if step and there > 0:
        h, before = _log_ratio(there) - _log_ratio(here), _log_ratio(here) - _log_ratio(sigmas[step - 1])
        slope = 0.5 * gain * h / before
    noise = there * math.sqrt(1 - shrink**2) if stochastic else 0.0
    return Weights(there / here * shrink ** (power - 1), gain + slope, -slope, noise)


def ode_specs(_step: int, shape: tuple[int, ...]) -> dict[str, TensorSpec]:
    """The tensors of a state of ``sample_ode``, for latents of this shape."""
    return dict.fromkeys((LATENTS, LAST_X0), TensorSpec(torch.float32, shape))


def sde_specs(step: int, shape: tuple[int, ...]) -> dict[str, TensorSpec]:
    """The tensors of a state of ``sample_sde`` that draws from a generator, for latents of this shape."""
    return {**ode_specs(step, shape), GENERATOR: generator_spec()}


def _sample(
    velocity: Velocity,
    latents: Tensor,
    schedule: Schedule,
    draw: StepNoise | None,
    generator: torch.Generator | None,
    on_step: OnStep,
    begin: SamplerState | None,
    keep: Keep | None,
) -> Tensor:
    sigmas, timesteps = schedule.sigmas.tolist(), schedule.timesteps.tolist()
    x, last_x0 = latents.float(), None
    if begin:
        x, last_x0 = (begin.tensors[name].to(latents.device) for name in (LATENTS, LAST_X0))
    for step in range(begin.step if begin else 0, schedule.steps):
        x0 = x - sigmas[step] * velocity(x, timesteps[step], step)
        weight = weights(sigmas, step, draw is not None)
        x = weight.sample * x + weight.x0 * x0
        if last_x0 is not None and weight.last_x0:
            x += weight.last_x0 * last_x0
        if draw and weight.noise:
            x += weight.noise * draw(step, latents)
        last_x0 = x0
        on_step(step, x)
        if keep and step + 1 < schedule.steps:
            drawn = {GENERATOR: generator.get_state()} if generator else {}
            keep(SamplerState(step + 1, {LATENTS: x, LAST_X0: x0, **drawn}))
    return x


def _log_ratio(sigma: float) -> float:
    """log(a/s), half the logarithm of the signal-to-noise ratio; -inf for noise alone."""
    return math.log((1 - sigma) / sigma) if sigma < 1 else -math.inf
