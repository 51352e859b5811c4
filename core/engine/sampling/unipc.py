"""UniPC for flows (order 2, B2(h), x0 prediction) on SteadyDancer's own noise levels.

Source: SteadyDancer ``wan/utils/fm_solvers_unipc.py`` (spec 4.2); Zhao et al. 2023, arXiv 2302.04867. The
bits are those of diffusers' ``UniPCMultistepScheduler``, whose import alone takes four seconds.
"""

from __future__ import annotations

from typing import NamedTuple

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
    sigmas = schedule.sigmas.float()
    solver = _Solver(sigmas.to(latents.device))
    if begin:
        latents = _restore(solver, begin, latents.device)
    for step in range(begin.step if begin else 0, schedule.steps):
        v = velocity(latents, float(schedule.timesteps[step]), step)
        # A level on the processor does not round a product in 16 bits.
        latents = solver.step(step, latents - sigmas[step] * v, latents)
        on_step(step, latents)
        if keep and step + 1 < schedule.steps:
            keep(_state(solver, step + 1, latents))
    return latents


def state_specs(step: int, shape: tuple[int, ...]) -> dict[str, TensorSpec]:
    """The tensors of a state after ``step`` steps, for latents of this shape."""
    names = (LATENTS, LAST_SAMPLE, *PREDICTIONS[-min(step, ORDER) :])
    return dict.fromkeys(names, TensorSpec(torch.float32, shape))


class _Stretch(NamedTuple):
    """From one level to a lower one, in lambda = log(alpha / sigma); scalars on the latents' device.

    Attributes:
        kept: share of the sample that stays.
        pull: alpha (e^-h - 1), on the prediction that the stretch starts with, and on corrections of it.
        minus_h: lambda at the start minus lambda at the end; minus infinity at the last step.
    """

    kept: Tensor
    pull: Tensor
    minus_h: Tensor


class _Solver:
    """The predictor, and the corrector that each new prediction is first used for.

    Attributes:
        last_sample: the corrected sample that the last prediction started from.
        predictions: the newest of x0, at most ``ORDER``, the last one last.
    """

    def __init__(self, sigmas: Tensor) -> None:
        self._sigmas, self._lambdas = sigmas, torch.log(1 - sigmas) - torch.log(sigmas)
        self.last_sample: Tensor | None = None
        self.predictions: list[Tensor] = []

    def step(self, step: int, x0: Tensor, x: Tensor) -> Tensor:
        """``x`` at level ``step`` and what was predicted there -> the sample at the next level."""
        if self.last_sample is not None:
            x = self._corrected(step, x0, self.last_sample)
        self.predictions = [*self.predictions, x0][-ORDER:]
        self.last_sample = x
        return self._predicted(step, x)

    def _order(self, step: int) -> int:
        """The first and the last step are of order 1."""
        return min(ORDER, step + 1, len(self._sigmas) - 1 - step)

    def _stretch(self, step: int) -> _Stretch:
        minus_h = -(self._lambdas[step + 1] - self._lambdas[step])
        alpha = 1 - self._sigmas[step + 1]
        return _Stretch(self._sigmas[step + 1] / self._sigmas[step], alpha * torch.expm1(minus_h), minus_h)

    def _slope(self, step: int, minus_h: Tensor) -> tuple[Tensor, Tensor]:
        """How far the prediction before lies back in units of h, and the difference quotient to it."""
        back = (self._lambdas[step - 1] - self._lambdas[step]) / -minus_h
        return back, (self.predictions[-2] - self.predictions[-1]) / back

    def _predicted(self, step: int, x: Tensor) -> Tensor:
        kept, pull, minus_h = self._stretch(step)
        moved = kept * x - pull * self.predictions[-1]
        if self._order(step) == 1:
            return moved
        return moved - pull * (0.5 * self._slope(step, minus_h)[1])

    def _corrected(self, step: int, x0: Tensor, before: Tensor) -> Tensor:
        """The step to ``step`` once more from ``before``, now that x0 at its end is known."""
        kept, pull, minus_h = self._stretch(step - 1)
        moved = kept * before - pull * self.predictions[-1]
        change = x0 - self.predictions[-1]
        if self._order(step - 1) == 1:
            return moved - pull * (0.5 * change)
        back, slope = self._slope(step - 1, minus_h)
        weights = _weights(back, minus_h)
        return moved - pull * (weights[0] * slope + weights[1] * change)


def _weights(back: Tensor, minus_h: Tensor) -> Tensor:
    """Of the slope behind and of the change ahead: [2], the paper's equation (10) for order 2 with B2(h)."""
    bh = torch.expm1(minus_h)
    first = bh / minus_h - 1
    second = first / minus_h - 1 / 2
    one = torch.ones_like(back)
    powers = torch.stack([torch.stack([one, one]), torch.stack([back, one])])
    weights: Tensor = torch.linalg.solve(powers, torch.stack([first / bh, second * 2 / bh]))
    return weights


def _state(solver: _Solver, step: int, latents: Tensor) -> SamplerState:
    assert solver.last_sample is not None
    newest = PREDICTIONS[-len(solver.predictions) :]
    known = dict(zip(newest, solver.predictions, strict=True))
    return SamplerState(step, {LATENTS: latents, LAST_SAMPLE: solver.last_sample, **known})


def _restore(solver: _Solver, state: SamplerState, device: torch.device) -> Tensor:
    """Put the history back, and return the latents.

    The orders follow from the number of steps, so a file cannot make them contradict the history.
    """
    own = (LATENTS, LAST_SAMPLE, *PREDICTIONS)
    tensors = {name: state.tensors[name].to(device) for name in own if name in state.tensors}
    solver.predictions = [tensors[name] for name in PREDICTIONS if name in tensors]
    solver.last_sample = tensors[LAST_SAMPLE]
    return tensors[LATENTS]
