"""The pipeline's heart: conditions -> latents -> pictures.

Inputs and outputs of every step are float32; the transformer computes in the dtype of its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.engine.conditioning import Conditions
from core.engine.interfaces import Hooks, ModelBundle
from core.engine.models.transformer import Conditioned
from core.engine.sampling.guidance import Branch, branches_at, combine, count_forwards, forwards_before
from core.engine.sampling.noise import seeded, standard_normal
from core.engine.sampling.samplers import sampler_of, schedule_for, state_specs
from core.engine.sampling.schedule import OnStep, Schedule, Velocity, ignore_step
from core.engine.sampling.state import Keep, SamplerState
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
) -> Tensor:
    """Sample latents [16, T, H, W], float32. The same seed gives the same bits on one machine.

    Args:
        on_step: called with (step, latents [1, 16, T, H, W]) after every step.
        begin: a state of the same render to go on from; it must fit ``state_specs``.
        keep: called with the state after every step but the last; None costs nothing.
        look: may see where each step is heading; None costs nothing.

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
) -> Tensor:
    """``generate`` from given noise [16, T, H, W]; ``step_noise``, [1, 16, T, H, W] each, replaces draws."""
    velocity = GuidedVelocity(transformer, conditions, sampling, hooks, begin.step if begin else 0)
    schedule = schedule_for(sampling, velocity.dtype)
    sample = sampler_of(sampling, step_noise)
    start = noise[None].float().to(velocity.device)
    field: Velocity = velocity if look is None else _Watched(velocity, schedule, look)
    latents = sample(field, start, schedule, generator, on_step, begin=begin, keep=keep)[0]
    if not torch.isfinite(latents).all():
        raise EngineError(
            "The model produced values that are not finite numbers.",
            action="Try another precision or another seed.",
        )
    return latents


def decode(bundle: ModelBundle, latents: Tensor, hooks: Hooks) -> Iterator[NDArray[np.uint8]]:
    """latents [16, T, H, W] -> chunks of RGB pictures [n, 8H, 8W, 3], the first of one picture, then of four.

    ``hooks.check`` is called between the chunks; nothing is kept of a chunk once it is handed over.
    """
    steps = latents.shape[1]
    progress = _DecodeProgress(hooks, steps)
    for step, chunk in enumerate(bundle.vae.decode(latents[None], progress.check), start=1):
        yield to_uint8(chunk[0])
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


def to_uint8(video: Tensor) -> NDArray[np.uint8]:
    """[3, n, H, W] in [-1, 1] -> uint8 [n, H, W, 3]: clamped, floor(255 (v + 1) / 2)."""
    pictures = video.clamp(-1, 1).add(1).div(2).mul(255).floor().to(torch.uint8)
    return pictures.permute(1, 2, 3, 0).contiguous().cpu().numpy()


class GuidedVelocity:
    """The velocity field of a conditioned transformer with its guidances; runs and counts the forwards.

    Branches run one after the other, so the peak memory is that of a single forward. ``first_step`` is where
    sampling begins or goes on; the forwards before it count as done.
    """

    def __init__(
        self,
        transformer: Any,
        conditions: Conditions,
        sampling: Sampling,
        hooks: Hooks,
        first_step: int = 0,
    ) -> None:
        weight = next(p for p in transformer.parameters() if p.is_floating_point())
        self.device, self.dtype = weight.device, weight.dtype
        self.forward = forwards_before(sampling, first_step, conditions.has_negative)
        self._transformer = transformer
        self._sampling = sampling
        self._hooks = hooks
        self._has_negative = conditions.has_negative
        self._forwards = count_forwards(sampling, conditions.has_negative)
        self._conditions = conditions
        self._prepared: dict[Branch, Conditioned] = {}
        self._report(first_step)

    def __call__(self, latents: Tensor, timestep: float, step: int) -> Tensor:
        """latents [1, 16, T, H, W], timestep 0..1000 -> velocity of the same shape, float32."""
        velocities = {
            branch: self._run(branch, latents, timestep, step)
            for branch in branches_at(self._sampling, step, self._has_negative)
        }
        return combine(velocities, self._sampling.guidance_scale, self._sampling.condition_guidance_scale)

    def _run(self, branch: Branch, latents: Tensor, timestep: float, step: int) -> Tensor:
        self._hooks.check()
        t = torch.full((len(latents),), timestep, dtype=torch.float32, device=self.device)
        mixed = self.dtype in (torch.bfloat16, torch.float16)
        with torch.autocast(self.device.type, dtype=self.dtype if mixed else None, enabled=mixed):
            given = self._given(branch)
            velocity: Tensor = self._transformer.velocity(latents, t, given)
        self.forward += 1
        self._report(step)
        return velocity.float()

    def _given(self, branch: Branch) -> Conditioned:
        """What is the same at every step of a branch, computed at its first; A and C share the context."""
        if branch not in self._prepared:
            inputs = _branch_inputs(self._conditions, branch, self.device)
            given: Conditioned = self._transformer.prepare(**inputs, keep_context=True)
            if branch == "C":
                given = given._replace(context=self._prepared["A"].context)
            self._prepared[branch] = given
        return self._prepared[branch]

    def _report(self, step: int) -> None:
        steps, forwards = self._sampling.steps, self._forwards
        self._hooks.on_progress(Progress("sample", step, steps, self.forward, forwards))


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


def _branch_inputs(conditions: Conditions, branch: Branch, device: torch.device) -> dict[str, Tensor]:
    """Arguments of ``SteadyDancerTransformer.prepare`` for a branch, with a batch axis."""
    names = ("text", "condition", "y", "ref_x", "ref_c", "clip_x", "clip_c")
    chosen = {name: getattr(conditions, name) for name in names}
    if branch == "B":
        chosen["text"] = conditions.text_null
    if branch == "C":
        chosen["condition"] = conditions.condition_null
    return {name: tensor[None].float().to(device) for name, tensor in chosen.items()}
