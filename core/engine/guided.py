"""The velocity field that samplers walk along: a conditioned transformer with its guidances."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from core.engine.conditioning import Conditions
from core.engine.fast.guard import Guard
from core.engine.interfaces import Hooks
from core.engine.models.embeddings import PATCH
from core.engine.models.transformer import REFERENCE_FRAMES, Around, Conditioned
from core.engine.sampling.caching.cache import StepCache
from core.engine.sampling.guidance import Branch, branches_at, combine, count_forwards, forwards_before
from core.engine.sampling.schedule import TRAIN_TIMESTEPS
from core.types import Progress, Sampling

BATCHED_TOKENS: Final = 8192
"""Up to so many tokens the branches of a step go through a GPU together; a longer clip fills it alone."""


class GuidedVelocity:
    """The velocity field of a conditioned transformer with its guidances; runs and counts the forwards.

    Branches of a long clip run one after the other, so the peak memory is that of a single forward. What does
    not depend on the step is computed at a branch's first forward. ``first_step`` is where sampling begins or
    goes on; the forwards before it count as done.

    Args:
        cache: leaves blocks out at some steps; forwards are then counted all the same.
    """

    def __init__(
        self,
        transformer: Any,
        conditions: Conditions,
        sampling: Sampling,
        hooks: Hooks,
        first_step: int = 0,
        cache: StepCache | None = None,
    ) -> None:
        weight = next(p for p in transformer.parameters() if p.is_floating_point())
        self.device, self.dtype = weight.device, weight.dtype
        self.forward = forwards_before(sampling, first_step, conditions.has_negative)
        self.cache = cache
        self._transformer = transformer
        self._sampling = sampling
        self._hooks = hooks
        self._has_negative = conditions.has_negative
        self._forwards = count_forwards(sampling, conditions.has_negative)
        self._conditions = conditions
        self._prepared: dict[tuple[Branch, ...], Conditioned] = {}
        self._guard = Guard(transformer, hooks.on_note, self._prepared.clear)
        self._report(first_step)

    def __call__(self, latents: Tensor, timestep: float, step: int) -> Tensor:
        """latents [1, 16, T, H, W], timestep 0..1000 -> velocity of the same shape, float32."""
        branches = branches_at(self._sampling, step, self._has_negative)
        groups = [branches] if self._together(latents) else [(branch,) for branch in branches]
        velocities: dict[Branch, Tensor] = {}
        for group in groups:
            velocities |= self._run(group, latents, timestep, step)
        return combine(velocities, self._sampling.guidance_scale, self._sampling.condition_guidance_scale)

    def _together(self, latents: Tensor) -> bool:
        """By the size alone, so that the same render has the same bits."""
        frames, height, width = latents.shape[2:]
        tokens = (frames + REFERENCE_FRAMES) * (height // PATCH) * (width // PATCH)
        return self.device.type == "cuda" and self.cache is None and tokens <= BATCHED_TOKENS

    def _run(
        self, group: tuple[Branch, ...], latents: Tensor, timestep: float, step: int
    ) -> dict[Branch, Tensor]:
        """The velocities of branches that go through together, float32."""
        for _ in group:
            self._hooks.check()
        batch = latents.expand(len(group), *latents.shape[1:])
        t = torch.full((len(group),), timestep, dtype=torch.float32, device=self.device)
        around = self._around(group[0], step)

        def forward() -> Tensor:
            with self._mixed():
                velocity: Tensor = self._transformer.velocity(batch, t, self._given(group), around)
            return velocity.float()

        velocity = self._guard.checked(forward, batch, timestep / TRAIN_TIMESTEPS)
        for _ in group:
            self.forward += 1
            self._report(step)
        return {branch: velocity[index : index + 1] for index, branch in enumerate(group)}

    def _mixed(self) -> torch.autocast:
        """16-bit weights compute in their dtype, with float32 where the network asks for it."""
        mixed = self.dtype in (torch.bfloat16, torch.float16)
        return torch.autocast(self.device.type, dtype=self.dtype if mixed else None, enabled=mixed)

    def _around(self, branch: Branch, step: int) -> Around | None:
        cache = self.cache
        if cache is None:
            return None
        return lambda e, e0, x, run: cache.blocks(branch, step, e, e0, x, run)

    def _given(self, group: tuple[Branch, ...]) -> Conditioned:
        """What is the same at every step; A and C look at the same text."""
        if group not in self._prepared:
            inputs = _inputs(self._conditions, group, self.device)
            given: Conditioned = self._transformer.prepare(
                **inputs, keep_context=self._transformer.keeps_context
            )
            if group == ("C",) and ("A",) in self._prepared:
                given = given._replace(context=self._prepared[("A",)].context)
            self._prepared[group] = given
        return self._prepared[group]

    def _report(self, step: int) -> None:
        steps, forwards = self._sampling.steps, self._forwards
        self._hooks.on_progress(Progress("sample", step, steps, self.forward, forwards))


def _inputs(conditions: Conditions, group: tuple[Branch, ...], device: torch.device) -> dict[str, Tensor]:
    """Arguments of ``SteadyDancerTransformer.prepare`` for branches that go through together."""
    branches = [_branch(conditions, branch) for branch in group]
    longest = max(len(branch["text"]) for branch in branches)
    for branch in branches:  # as ``embed_context`` fills up to the model's own length
        missing = longest - len(branch["text"])
        branch["text"] = torch.nn.functional.pad(branch["text"], (0, 0, 0, missing))
    return {
        name: torch.stack([branch[name].float().to(device) for branch in branches]) for name in branches[0]
    }


def _branch(conditions: Conditions, branch: Branch) -> dict[str, Tensor]:
    names = ("text", "condition", "y", "ref_x", "ref_c", "clip_x", "clip_c")
    chosen: dict[str, Tensor] = {name: getattr(conditions, name) for name in names}
    if branch == "B":
        chosen["text"] = conditions.text_null
    if branch == "C":
        assert conditions.condition_null is not None
        chosen["condition"] = conditions.condition_null
    return chosen
