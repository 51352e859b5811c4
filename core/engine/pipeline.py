"""The pipeline's heart: conditions -> latents -> pictures.

Inputs and outputs of every step are float32; the transformer computes in the dtype of its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.engine.conditioning import Conditions
from core.engine.guided import GuidedVelocity
from core.engine.handing_over import handed_over, to_uint8
from core.engine.interfaces import Hooks, ModelBundle
from core.engine.sampling.caching.cache import StepCache
from core.engine.sampling.guidance import count_forwards, forwards_before
from core.engine.sampling.noise import seeded, standard_normal
from core.engine.sampling.samplers import sampler_of, schedule_for, state_specs
from core.engine.sampling.schedule import OnStep, Schedule, Velocity, ignore_step
from core.engine.sampling.state import VELOCITY, Keep, SamplerState
from core.errors import EngineError
from core.types import Progress, Sampling

# Called after the forwards of a step, counted from 0, with what predicts the clean latents [1, 16, T, H, W].
Look = Callable[[int, Callable[[], Tensor]], None]

__all__ = [
    "GuidedVelocity",
    "Look",
    "count_forwards",
    "decode",
    "denoise",
    "forwards_before",
    "generate",
    "schedule_for",
    "state_specs",
    "to_uint8",
]


def generate(
    bundle: ModelBundle,
    conditions: Conditions,
    sampling: Sampling,
    seed: int,
    hooks: Hooks,
    on_step: OnStep = ignore_step,
    begin: SamplerState | None = None,
    keep: Keep | None = None,
    look: Look | None = None,
    cache: StepCache | None = None,
) -> Tensor:
    """Sample latents [16, T, H, W], float32. The same seed gives the same bits on one machine.

    Args:
        on_step: called with (step, latents [1, 16, T, H, W]) after every step.
        begin: a state of the same render to go on from; it must fit ``state_specs``.
        keep: called with the state after every step but the last; None costs nothing.
        look: may see where each step is heading; None costs nothing.
        cache: leaves blocks out at some steps; what it keeps goes into the states.

    Raises:
        Cancelled: from ``hooks.check``, which is called before every forward.
        BadSetting: sampling settings out of range.
        EngineError: the network produced values that are not finite.
    """
    generator = seeded(seed)
    noise = standard_normal(conditions.latent_shape, generator)
    return denoise(
        bundle.transformer,
        conditions,
        sampling,
        noise,
        hooks,
        generator=generator,
        on_step=on_step,
        begin=begin,
        keep=keep,
        look=look,
        cache=cache,
    )


@torch.no_grad()
def denoise(
    transformer: nn.Module,
    conditions: Conditions,
    sampling: Sampling,
    noise: Tensor,
    hooks: Hooks,
    *,
    generator: torch.Generator | None = None,
    step_noise: Sequence[Tensor] | None = None,
    on_step: OnStep = ignore_step,
    begin: SamplerState | None = None,
    keep: Keep | None = None,
    look: Look | None = None,
    cache: StepCache | None = None,
) -> Tensor:
    """``generate`` from given noise [16, T, H, W]; ``step_noise``, [1, 16, T, H, W] each, replaces draws."""
    velocity = GuidedVelocity(transformer, conditions, sampling, hooks, begin.step if begin else 0, cache)
    if cache and begin:
        cache.restore({name: held for name, held in begin.tensors.items() if name.startswith(VELOCITY)})
    schedule = schedule_for(sampling, velocity.dtype)
    sample = sampler_of(sampling, step_noise)
    start = noise[None].float().to(velocity.device)
    field: Velocity = velocity if look is None else _Watched(velocity, schedule, look)
    latents = sample(field, start, schedule, generator, on_step, begin=begin, keep=_with_cache(keep, cache))[
        0
    ]
    if not torch.isfinite(latents).all():
        raise EngineError(
            "The model produced values that are not finite numbers.",
            action="Try another precision or another seed.",
        )
    return latents


def _with_cache(keep: Keep | None, cache: StepCache | None) -> Keep | None:
    """Adds what the cache keeps to each state."""
    if keep is None or cache is None:
        return keep
    return lambda state: keep(replace(state, tensors={**state.tensors, **cache.state()}))


def decode(bundle: ModelBundle, latents: Tensor, hooks: Hooks) -> Iterator[NDArray[np.uint8]]:
    """latents [16, T, H, W] -> chunks of RGB pictures [n, 8H, 8W, 3], the first of one picture, then of four.

    ``hooks.check`` is called between the chunks; nothing is kept of a chunk once it is handed over. A GPU is
    one chunk ahead of what is handed over.
    """
    steps = latents.shape[1]
    progress = _DecodeProgress(hooks, steps)
    chunks = bundle.vae.decode(latents[None], progress.check)
    for step, pictures in enumerate(handed_over(chunks), start=1):
        yield pictures
        progress.reach(step)


class _DecodeProgress:
    """Tells how many chunks are decoded, by what comes first: their own coming or the next one's check.

    An autoencoder that works in tiles gives no chunk before all tiles are done, but it checks all the while.
    """

    def __init__(self, hooks: Hooks, steps: int) -> None:
        self._hooks, self._steps = hooks, steps
        self._begun, self._told = 0, -1
        self.reach(0)

    def check(self) -> None:
        self._hooks.check()
        self.reach(self._begun)
        self._begun += 1

    def reach(self, step: int) -> None:
        step = min(step, self._steps)
        if step > self._told:
            self._told = step
            self._hooks.on_progress(Progress("decode", step, self._steps))


@dataclass(frozen=True)
class _Watched:
    """A velocity field that shows where it leads: x0 = x - s v, with s the flow time of the step.

    All samplers here walk on x_s = (1 - s) x0 + s eps with v = eps - x0; rCM's times are turned to flow's.
    """

    velocity: Velocity
    schedule: Schedule
    look: Look

    def __call__(self, latents: Tensor, timestep: float, step: int) -> Tensor:
        """See ``Velocity``."""
        velocity = self.velocity(latents, timestep, step)
        self.look(step, lambda: latents - float(self.schedule.sigmas[step]) * velocity)
        return velocity
