"""Sampling settings -> schedule, sampler and what a state of it consists of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from core.engine.sampling import dpmpp, euler, rcm, unipc
from core.engine.sampling.noise import given_noise
from core.engine.sampling.schedule import Sample, Schedule
from core.engine.sampling.state import LATENTS, TensorSpec
from core.types import Sampler, Sampling

Specs = Callable[[int, tuple[int, ...]], dict[str, TensorSpec]]


class _Way(NamedTuple):
    schedule: Callable[[Sampling, torch.dtype], Schedule]
    sample: Sample
    specs: Specs
    draws: bool = False


def _unipc(sampling: Sampling, _network_dtype: torch.dtype) -> Schedule:
    return unipc.unipc_schedule(sampling.steps, sampling.shift)


def _euler(sampling: Sampling, _network_dtype: torch.dtype) -> Schedule:
    return euler.euler_schedule(sampling.steps, sampling.shift)


def _rcm(sampling: Sampling, network_dtype: torch.dtype) -> Schedule:
    return rcm.rcm_schedule(sampling.steps, sampling.sigma_max, network_dtype)


_WAYS: dict[Sampler, _Way] = {
    "unipc": _Way(_unipc, unipc.sample, unipc.state_specs),
    "euler": _Way(_euler, euler.sample, euler.state_specs),
    "dpmpp": _Way(_unipc, dpmpp.sample_ode, dpmpp.ode_specs),
    "dpmpp_sde": _Way(_unipc, dpmpp.sample_sde, dpmpp.sde_specs, draws=True),
    "rcm_ode": _Way(_rcm, rcm.sample_ode, rcm.ode_specs),
    "rcm_sde": _Way(_rcm, rcm.sample_sde, rcm.sde_specs, draws=True),
}


def schedule_for(sampling: Sampling, network_dtype: torch.dtype) -> Schedule:
    """The noise levels of these settings; the network's dtype rounds rCM's timesteps, as in its training."""
    return _WAYS[sampling.sampler].schedule(sampling, network_dtype)


def sampler_of(sampling: Sampling, step_noise: Sequence[Tensor] | None = None) -> Sample:
    """The sampler; ``step_noise``, [1, 16, T, H, W] for each step, replaces its own draws."""
    way = _WAYS[sampling.sampler]
    if step_noise is None or not way.draws:
        return way.sample
    stochastic: Callable[..., Tensor] = way.sample
    return partial(stochastic, step_noise=given_noise(step_noise))


def state_specs(sampling: Sampling, step: int, shape: tuple[int, ...]) -> dict[str, TensorSpec]:
    """What a sampler's state after ``step`` steps consists of, for latents of ``shape`` [16, T, H, W].

    After the last step that is the result alone.
    """
    if step == sampling.steps:
        return {LATENTS: TensorSpec(torch.float32, shape)}
    return _WAYS[sampling.sampler].specs(step, (1, *shape))
