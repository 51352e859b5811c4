"""A sampler that is stopped after any step and begun anew from the stored state gives the same bits."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from tiny_wan import tiny_bundle, tiny_conditions
from torch import Tensor

from core.engine import checkpoint_file
from core.engine.checkpoint_file import Stored
from core.engine.conditioning import Conditions
from core.engine.interfaces import Hooks, ModelBundle
from core.engine.kernels import Kernels
from core.engine.pipeline import generate, state_specs
from core.engine.sampling.guidance import forwards_before
from core.engine.sampling.state import SamplerState
from core.types import Progress, Sampler, Sampling

KERNELS = Kernels.now(torch.device("cpu"))
STEPS: dict[Sampler, range] = {
    "unipc": range(1, 9),
    "euler": range(1, 5),
    "dpmpp": range(1, 5),
    "dpmpp_sde": range(1, 5),
    "rcm_ode": range(1, 5),
    "rcm_sde": range(1, 5),
}
QUICK = {
    torch.float32: (
        *(("unipc", 1), ("unipc", 2), ("unipc", 4), ("rcm_ode", 3), ("rcm_sde", 3)),
        *(("euler", 3), ("dpmpp", 3), ("dpmpp_sde", 3)),
    ),
    torch.bfloat16: (("unipc", 3), ("rcm_ode", 2), ("rcm_sde", 2)),
}
RUNS = [
    pytest.param(
        sampler,
        steps,
        dtype,
        marks=() if (sampler, steps) in QUICK[dtype] else pytest.mark.faults,
        id=f"{sampler}-{steps}-{dtype}",
    )
    for sampler, counts in STEPS.items()
    for steps in counts
    for dtype in QUICK
]


@cache
def parts(dtype: torch.dtype) -> tuple[ModelBundle, Conditions]:
    bundle = tiny_bundle()
    bundle.transformer.to(dtype)
    return bundle, tiny_conditions(bundle, 5)


def sampling(sampler: Sampler, steps: int) -> Sampling:
    """Both guidances are on in the steps of the window."""
    return Sampling(steps, sampler, 5.0, 2.0, 1.5, 0.1, 0.7)


def run(
    dtype: torch.dtype, settings: Sampling, begin: SamplerState | None = None
) -> tuple[Tensor, dict[int, SamplerState], list[Progress]]:
    """Latents, the states by step, and what was told."""
    bundle, conditions = parts(dtype)
    states: dict[int, SamplerState] = {}
    told: list[Progress] = []

    def keep(state: SamplerState) -> None:
        states[state.step] = state

    latents = generate(
        bundle, conditions, settings, 3, Hooks(on_progress=told.append), begin=begin, keep=keep
    )
    return latents, states, told


def on_disk(state: SamplerState, steps: int, folder: Path) -> SamplerState:
    checkpoint_file.write(folder, Stored(state, steps, {}, KERNELS))
    found = checkpoint_file.read(folder, 1 << 22)
    assert found is not None
    return found.state


@pytest.mark.parametrize(("sampler", "steps", "dtype"), RUNS)
def test_a_sampler_goes_on_after_any_step_to_the_same_bits(
    sampler: Sampler, steps: int, dtype: torch.dtype, tmp_path: Path
) -> None:
    settings = sampling(sampler, steps)
    whole, states, _ = run(dtype, settings)
    assert list(states) == list(range(1, steps))
    for step, state in states.items():
        stored = on_disk(state, steps, tmp_path)
        assert checkpoint_file.conforms(stored, state_specs(settings, step, tuple(whole.shape)))
        resumed, later, told = run(dtype, settings, stored)
        assert torch.equal(resumed, whole), f"after step {step} of {steps}"
        assert list(later) == list(range(step + 1, steps))
        assert (told[0].step, told[0].forward) == (step, forwards_before(settings, step, has_negative=True))
        assert told[-1].forward == told[-1].forwards


@pytest.mark.parametrize("sampler", list(STEPS))
def test_a_state_holds_the_samplers_own_tensors_and_none_is_changed_later(sampler: Sampler) -> None:
    settings = sampling(sampler, 4)
    taken: dict[int, dict[str, Tensor]] = {}
    states: list[SamplerState] = []

    def keep(state: SamplerState) -> None:
        taken[state.step] = {name: tensor.clone() for name, tensor in state.tensors.items()}
        states.append(state)

    bundle, conditions = parts(torch.float32)
    seen: list[Tensor] = []
    generate(bundle, conditions, settings, 3, Hooks(), lambda _step, x: seen.append(x), keep=keep)
    for state in states:
        assert all(torch.equal(tensor, taken[state.step][name]) for name, tensor in state.tensors.items())
    if sampler == "unipc":  # no copy was made for the state
        assert states[0].tensors["latents"] is seen[0]


def test_nothing_is_kept_where_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("A state was made that nobody wants.")

    monkeypatch.setattr("core.engine.sampling.unipc.SamplerState", refuse)
    for module in ("euler", "dpmpp", "rcm"):
        monkeypatch.setattr(f"core.engine.sampling.{module}.SamplerState", refuse)
    bundle, conditions = parts(torch.float32)
    for sampler in STEPS:
        generate(bundle, conditions, sampling(sampler, 2), 3, Hooks())
