"""Golden kind ``rcm_sampler``: the rCM samplers, ODE and SDE, on a tiny transformer with given noise."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from core.engine.conditioning import Conditions
from core.engine.interfaces import Hooks
from core.engine.models.transformer import SteadyDancerTransformer
from core.engine.pipeline import denoise, schedule_for
from core.evaluation.golden.base import GoldenFile, Row, compare
from core.evaluation.golden.kind_pipeline import Recorder
from core.evaluation.golden.kind_transformer import config_of
from core.types import Sampler, Sampling

SAMPLERS: dict[str, Sampler] = {"ode": "rcm_ode", "sde": "rcm_sde"}


def check(golden: GoldenFile) -> Iterator[Row]:
    """in.{conditions, init_noise, step_noise} -> {ode,sde}N.out.{t_steps, latent} and .mid.*."""
    config = golden.config
    transformer = SteadyDancerTransformer(config_of(config["transformer"]))
    transformer.load_state_dict(golden.state_dict(), strict=True)
    transformer.eval().requires_grad_(False)
    conditions = golden_conditions(golden)
    for short, sampler in SAMPLERS.items():
        for steps in config["steps"]:
            sampling = Sampling(steps=steps, sampler=sampler, sigma_max=config["sigma_max"])
            yield from _check_run(golden, f"{short}{steps}", transformer, conditions, sampling)


def golden_conditions(golden: GoldenFile) -> Conditions:
    """The file's conditions; without guidance text_null is never read."""
    tensors = golden.tensors
    return Conditions(
        text=tensors["in.context"],
        text_null=tensors["in.context"],
        y=tensors["in.y"],
        ref_x=tensors["in.ref_x"],
        ref_c=tensors["in.ref_c"],
        condition=tensors["in.condition"],
        condition_null=None,
        clip_x=tensors["in.clip_fea_x"][0],
        clip_c=tensors["in.clip_fea_c"][0],
    )


def _check_run(
    golden: GoldenFile, name: str, transformer: nn.Module, conditions: Conditions, sampling: Sampling
) -> Iterator[Row]:
    tensors, tolerance = golden.tensors, golden.tolerance
    noise = tensors["in.init_noise"]
    step_noise = [draw[None] for draw in tensors["in.step_noise"]]
    with Recorder(transformer) as recorder:
        latent = denoise(transformer, conditions, sampling, noise, Hooks(), step_noise=step_noise)
    times = schedule_for(sampling, torch.float32).sigmas
    yield compare(f"{name}.out.t_steps", times, tensors[f"{name}.out.t_steps"], **tolerance["t_steps"])
    yield compare(f"{name}.out.latent", latent, tensors[f"{name}.out.latent"], **tolerance["latent"])
    seen = {
        "net_timesteps": recorder.timesteps,
        "net_input": recorder.inputs,
        "net_output": recorder.outputs,
    }
    for key, ours in seen.items():
        full = f"{name}.mid.{key}"
        if full in tensors:
            yield compare(full, torch.stack(ours), tensors[full], **tolerance["latent"])
