"""Golden kind ``unipc``: the scheduler alone, fed with given velocities."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from core.engine.sampling.schedule import Schedule
from core.engine.sampling.unipc import sample, unipc_schedule
from core.evaluation.golden.base import GoldenFile, Row, compare, exact


def check(golden: GoldenFile) -> Iterator[Row]:
    """caseN.in.{latent, velocities} -> caseN.out.{sigmas, timesteps, latents_after_each_step}."""
    tolerance = golden.tolerance
    for name, case in zip(golden.cases(), golden.config["cases"], strict=True):
        schedule = unipc_schedule(case["steps"], case["shift"])
        theirs = {key: golden.tensors[f"{name}.out.{key}"] for key in ("sigmas", "timesteps")}
        yield compare(f"{name}.out.sigmas", schedule.sigmas, theirs["sigmas"], **tolerance["sigmas"])
        yield exact(f"{name}.out.timesteps", schedule.timesteps, theirs["timesteps"])
        inputs = golden.tensors[f"{name}.in.latent"], golden.tensors[f"{name}.in.velocities"]
        key = f"{name}.out.latents_after_each_step"
        yield compare(
            key, _latents_after_each_step(schedule, *inputs), golden.tensors[key], **tolerance["latents"]
        )


def _latents_after_each_step(schedule: Schedule, latent: Tensor, velocities: Tensor) -> Tensor:
    """[steps, ...]: the velocity of each step is given, whatever the latents are."""
    after: list[Tensor] = []

    def given(_latents: Tensor, _timestep: float, step: int) -> Tensor:
        return velocities[step]

    def keep(_step: int, latents: Tensor) -> None:
        after.append(latents)

    sample(given, latent, schedule, None, keep)
    return torch.stack(after)
