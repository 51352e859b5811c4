"""What every sampler takes: a velocity model, latents, a schedule, a generator and a step hook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from core.engine.sampling.state import Keep, SamplerState
from core.errors import BadSetting

TRAIN_TIMESTEPS = 1000
"""The network is told flow times as 0 to this."""

OnStep = Callable[[int, Tensor], None]


class Velocity(Protocol):
    """Velocity field of a flow x_t = (1 - s) x0 + s eps, v = eps - x0."""

    def __call__(self, latents: Tensor, timestep: float, step: int, /) -> Tensor:
        """latents of any shape, timestep 0..1000, step counted from 0 -> velocity, same shape, float32."""
        ...


class Sample(Protocol):
    """A sampler: a pure function from standard normal noise to clean latents.

    ``on_step(step, latents)`` is called after every step with the latents reached so far. ``keep(state)`` is
    called after every step but the last; a sampler that is given such a state as ``begin``, and the rest as
    before, goes on behind it to the same bits.
    """

    def __call__(
        self,
        velocity: Velocity,
        latents: Tensor,
        schedule: Schedule,
        generator: torch.Generator | None,
        on_step: OnStep,
        /,
        *,
        begin: SamplerState | None = None,
        keep: Keep | None = None,
    ) -> Tensor:
        """latents float32 of any shape -> latents, same shape, float32; with ``begin`` its latents count."""
        ...


@dataclass(frozen=True)
class Schedule:
    """Noise levels and the timesteps that the network is told.

    Attributes:
        sigmas: flow times, float64 [N + 1], falling, the last one 0.
        timesteps: [N], 0..1000; integers for UniPC and DPM-Solver++, floats for Euler and rCM.
    """

    sigmas: Tensor
    timesteps: Tensor

    @property
    def steps(self) -> int:
        """N, the number of steps."""
        return len(self.timesteps)


def ignore_step(_step: int, _latents: Tensor) -> None:
    """The step hook of somebody who wants the result only."""


def checked(steps: int, shift: float) -> None:
    """Raises ``BadSetting`` for fewer than one step, or a shift that is not positive."""
    if steps < 1:
        raise BadSetting("At least one sampling step is needed.", value=steps, limit="1 or more")
    if not shift > 0:
        raise BadSetting("The schedule's shift must be positive.", value=shift, limit="more than 0")
