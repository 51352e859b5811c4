"""UniPC for flows (order 2, bh2, x0 prediction) through diffusers, on SteadyDancer's own noise levels.

Source: SteadyDancer ``wan/utils/fm_solvers_unipc.py`` (spec 4.2); Zhao et al. 2023, arXiv 2302.04867.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.engine.sampling.schedule import OnStep, Schedule, Velocity
from core.errors import BadSetting

# 1 - 1/1000 as float32 arithmetic leaves it: the first noise level before the shift.
FIRST_SIGMA = 0.9990000128746033
TRAIN_TIMESTEPS = 1000


def unipc_schedule(steps: int, shift: float) -> Schedule:
    """Shifted linear noise levels: shift s / (1 + (shift - 1) s), s = linspace(FIRST_SIGMA, 0, steps + 1).

    Timesteps are 1000 sigma cut down to int64.

    Raises:
        BadSetting: fewer than one step, or a shift that is not positive.
    """
    if steps < 1:
        raise BadSetting("At least one sampling step is needed.", value=steps, limit="1 or more")
    if not shift > 0:
        raise BadSetting("The schedule's shift must be positive.", value=shift, limit="more than 0")
    linear = np.linspace(FIRST_SIGMA, 0, steps + 1)
    sigmas = shift * linear / (1 + (shift - 1) * linear)
    timesteps = (sigmas[:-1] * TRAIN_TIMESTEPS).astype(np.int64)
    return Schedule(torch.from_numpy(sigmas), torch.from_numpy(timesteps))


def sample(
    velocity: Velocity,
    latents: Tensor,
    schedule: Schedule,
    _generator: torch.Generator | None,
    on_step: OnStep,
) -> Tensor:
    """Standard normal ``latents`` (any shape, float32) -> clean latents. Draws no noise of its own."""
    scheduler = _scheduler(schedule)
    for step, timestep in enumerate(schedule.timesteps):
        v = velocity(latents, float(timestep), step)
        latents = scheduler.step(v, timestep, latents, return_dict=False)[0]
        on_step(step, latents)
    return latents


def _scheduler(schedule: Schedule) -> Any:
    """A fresh scheduler on exactly these levels: they are shifted already, hence ``flow_shift`` 1.

    ``set_timesteps(N)`` alone would place them on another grid (off by up to 0.006).
    """
    # Imported here: diffusers takes seconds to import, and the other samplers do without it.
    from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

    scheduler = UniPCMultistepScheduler(
        num_train_timesteps=TRAIN_TIMESTEPS,
        solver_order=2,
        solver_type="bh2",
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=1.0,
    )
    scheduler.set_timesteps(sigmas=schedule.sigmas[:-1].numpy())
    # Steps are taken in order; looking them up by timestep would go wrong where two timesteps are equal.
    scheduler.set_begin_index(0)
    return scheduler
