"""UniPC for flows (order 2, bh2, x0 prediction) through diffusers, on SteadyDancer's own noise levels.

Source: SteadyDancer ``wan/utils/fm_solvers_unipc.py`` (spec 4.2); Zhao et al. 2023, arXiv 2302.04867.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.engine.sampling.schedule import TRAIN_TIMESTEPS, OnStep, Schedule, Velocity, checked
from core.engine.sampling.state import LATENTS, Keep, SamplerState, TensorSpec

# 1 - 1/1000 as float32 arithmetic leaves it: the first noise level before the shift.
FIRST_SIGMA = 0.9990000128746033
ORDER = 2
# Beside the latents: the corrected sample that the last prediction started from, and the newest predictions
# of x0, ``x0.1`` of the last step and ``x0.0`` of the one before.
LAST_SAMPLE = "last_sample"
PREDICTIONS = ("x0.0", "x0.1")


def unipc_schedule(steps: int, shift: float) -> Schedule:
    """Shifted linear noise levels: shift s / (1 + (shift - 1) s), s = linspace(FIRST_SIGMA, 0, steps + 1).

    Timesteps are 1000 sigma cut down to int64.

    Raises:
        BadSetting: fewer than one step, or a shift that is not positive.
    """
    checked(steps, shift)
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
    *,
    begin: SamplerState | None = None,
    keep: Keep | None = None,
) -> Tensor:
    """Standard normal ``latents`` (any shape, float32) -> clean latents. Draws no noise of its own."""
    scheduler = _scheduler(schedule)
    if begin:
        latents = _restore(scheduler, schedule, begin, latents.device)
    for step in range(begin.step if begin else 0, schedule.steps):
        timestep = schedule.timesteps[step]
        v = velocity(latents, float(timestep), step)
        latents = scheduler.step(v, timestep, latents, return_dict=False)[0]
        on_step(step, latents)
        if keep and step + 1 < schedule.steps:
            keep(_state(scheduler, step + 1, latents))
    return latents


def state_specs(step: int, shape: tuple[int, ...]) -> dict[str, TensorSpec]:
    """The tensors of a state after ``step`` steps, for latents of this shape."""
    names = (LATENTS, LAST_SAMPLE, *PREDICTIONS[-min(step, ORDER) :])
    return dict.fromkeys(names, TensorSpec(torch.float32, shape))


def _state(scheduler: Any, step: int, latents: Tensor) -> SamplerState:
    predictions = zip(PREDICTIONS, scheduler.model_outputs, strict=True)
    known = {name: x0 for name, x0 in predictions if x0 is not None}
    return SamplerState(step, {LATENTS: latents, LAST_SAMPLE: scheduler.last_sample, **known})


def _restore(scheduler: Any, schedule: Schedule, state: SamplerState, device: torch.device) -> Tensor:
    """Put the history back as ``scheduler.step`` left it, and return the latents.

    The orders follow from the number of steps, so a file cannot make them contradict the history.
    """
    own = (LATENTS, LAST_SAMPLE, *PREDICTIONS)
    tensors = {name: state.tensors[name].to(device) for name in own if name in state.tensors}
    scheduler.model_outputs = [tensors.get(name) for name in PREDICTIONS]
    steps = range(state.step - ORDER, state.step)
    scheduler.timestep_list = [schedule.timesteps[step] if step >= 0 else None for step in steps]
    scheduler.last_sample = tensors[LAST_SAMPLE]
    scheduler.lower_order_nums = min(state.step, ORDER)
    scheduler.this_order = min(ORDER, state.step, schedule.steps - state.step + 1)
    scheduler.set_begin_index(state.step)
    return tensors[LATENTS]


def _scheduler(schedule: Schedule) -> Any:
    """A fresh scheduler on exactly these levels: they are shifted already, hence ``flow_shift`` 1.

    ``set_timesteps(N)`` alone would place them on another grid (off by up to 0.006).
    """
    # Imported here: diffusers takes seconds to import, and the other samplers do without it.
    from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

    scheduler = UniPCMultistepScheduler(
        num_train_timesteps=TRAIN_TIMESTEPS,
        solver_order=ORDER,
        solver_type="bh2",
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=1.0,
    )
    scheduler.set_timesteps(sigmas=schedule.sigmas[:-1].numpy())
    # Steps are taken in order; looking them up by timestep would go wrong where two timesteps are equal.
    scheduler.set_begin_index(0)
    return scheduler
