"""Euler steps on the schedule of the few-step distillations (lightx2v and its LoRAs).

Source: LightX2V ``lightx2v/models/schedulers/wan/step_distill/scheduler.py`` (spec 4.1): the student is
asked at equal parts of the time before the shift, 1000, 750, 500, 250 for four steps, and is told the shifted
time, not cut down to an integer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.engine.sampling.schedule import TRAIN_TIMESTEPS, OnStep, Schedule, Velocity, checked
from core.engine.sampling.state import LATENTS, Keep, SamplerState, TensorSpec


def euler_schedule(steps: int, shift: float) -> Schedule:
    """sigma = shift s / (1 + (shift - 1) s) for s = 1, 1 - 1/N, .. 1/N, then 0; timesteps are 1000 sigma.

    Raises:
        BadSetting: fewer than one step, or a shift that is not positive.
    """
    checked(steps, shift)
    linear = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    sigmas = shift * linear / (1 + (shift - 1) * linear)
    return Schedule(sigmas, sigmas[:-1] * TRAIN_TIMESTEPS)


def sample(
    velocity: Velocity,
    latents: Tensor,
    schedule: Schedule,
    _generator: torch.Generator | None,
    on_step: OnStep,
    *,
    begin: SamplerState | None = None,
    keep: Keep | None = None,
) -> Tensor:
    """x0 = x - s v, x <- x0 + s_next v. Draws no noise of its own; latents are float32 between the steps."""
    sigmas, timesteps = schedule.sigmas.tolist(), schedule.timesteps.tolist()
    x = begin.tensors[LATENTS].to(latents.device) if begin else latents.float()
    for step in range(begin.step if begin else 0, schedule.steps):
        v = velocity(x, timesteps[step], step)
        x = x - sigmas[step] * v + sigmas[step + 1] * v
        on_step(step, x)
        if keep and step + 1 < schedule.steps:
            keep(SamplerState(step + 1, {LATENTS: x}))
    return x


def state_specs(_step: int, shape: tuple[int, ...]) -> dict[str, TensorSpec]:
    """The tensors of a state, for latents of this shape."""
    return {LATENTS: TensorSpec(torch.float32, shape)}
