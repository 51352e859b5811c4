"""Conditions to latents to pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_wan import Watcher, failed_rows, tiny_bundle, tiny_conditions

from core.engine.conditioning import Conditions
from core.engine.interfaces import Hooks, ModelBundle
from core.engine.memory.tiles import TiledVAE
from core.engine.pipeline import count_forwards, decode, denoise, generate, to_uint8
from core.errors import Cancelled, EngineError
from core.evaluation.golden.kind_pipeline import Recorder
from core.types import Sampler, Sampling

GUIDED = Sampling(
    steps=5,
    guidance_scale=3.0,
    condition_guidance_scale=1.5,
    condition_guidance_start=0.1,
    condition_guidance_end=0.5,
)


@pytest.fixture(scope="module")
def bundle() -> ModelBundle:
    return tiny_bundle()


@pytest.fixture(scope="module")
def conditions(bundle: ModelBundle) -> Conditions:
    return tiny_conditions(bundle, 5)


def test_golden() -> None:
    assert failed_rows("pipeline_a") == []


@pytest.mark.parametrize("sampler", ["unipc", "rcm_ode", "rcm_sde"])
def test_the_same_seed_gives_the_same_bits(
    bundle: ModelBundle, conditions: Conditions, sampler: Sampler
) -> None:
    sampling = Sampling(steps=3, sampler=sampler)
    first, again, other = (generate(bundle, conditions, sampling, seed, Hooks()) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-2)
    assert first.dtype == torch.float32


@pytest.mark.parametrize("frames", [1, 33])
def test_odd_lengths_go_all_the_way(bundle: ModelBundle, frames: int) -> None:
    conditions = tiny_conditions(bundle, frames)
    latents = generate(bundle, conditions, Sampling(steps=1), 0, Hooks())
    pictures = np.concatenate(list(decode(bundle, latents, Hooks())))
    assert pictures.shape == (frames, 32, 16, 3)
    assert pictures.dtype == np.uint8


def test_forwards_made_are_the_forwards_counted(bundle: ModelBundle, conditions: Conditions) -> None:
    watcher = Watcher()
    with Recorder(bundle.transformer) as recorder:
        generate(bundle, conditions, GUIDED, 0, watcher.hooks)
    expected = count_forwards(GUIDED, has_negative=True)
    assert expected == 5 * 2 + 2
    assert len(recorder.outputs) == watcher.checks == expected
    assert [p.forward for p in watcher.progress] == list(range(expected + 1))
    assert {(p.phase, p.steps, p.forwards) for p in watcher.progress} == {("sample", 5, expected)}


def test_a_guided_reference_render_takes_91_forwards(bundle: ModelBundle) -> None:
    conditions = tiny_conditions(bundle, 1)
    sampling = Sampling(steps=40, guidance_scale=5.0, condition_guidance_scale=1.5)
    with Recorder(bundle.transformer) as recorder:
        generate(bundle, conditions, sampling, 0, Hooks())
    assert len(recorder.outputs) == 91


def test_each_branch_sees_its_own_text_and_pose(bundle: ModelBundle, conditions: Conditions) -> None:
    one_step = replace(GUIDED, steps=1, condition_guidance_start=-1.0)
    noise = torch.randn(conditions.latent_shape, generator=torch.Generator().manual_seed(0))
    with Recorder(bundle.transformer) as recorder:
        denoise(bundle.transformer, conditions, one_step, noise, Hooks())
        swapped = replace(conditions, text=conditions.text_null)
        denoise(bundle.transformer, swapped, Sampling(steps=1), noise, Hooks())
        assert conditions.condition_null is not None
        posed = replace(conditions, condition=conditions.condition_null)
        denoise(bundle.transformer, posed, Sampling(steps=1), noise, Hooks())
    a, b, c, as_b, as_c = recorder.outputs
    assert torch.equal(b, as_b)
    assert torch.equal(c, as_c)
    assert not torch.allclose(a, b, atol=1e-3)
    assert not torch.allclose(a, c, atol=1e-3)


def test_cancelling_works_between_forwards(bundle: ModelBundle, conditions: Conditions) -> None:
    watcher = Watcher(cancel_at=8)
    with Recorder(bundle.transformer) as recorder, pytest.raises(Cancelled):
        generate(bundle, conditions, GUIDED, 0, watcher.hooks)
    assert len(recorder.outputs) == 7


def test_steps_are_told_in_order_with_their_latents(bundle: ModelBundle, conditions: Conditions) -> None:
    seen: list[tuple[int, torch.Tensor]] = []
    latents = generate(
        bundle, conditions, Sampling(steps=3), 0, Hooks(), on_step=lambda step, x: seen.append((step, x))
    )
    assert [step for step, _ in seen] == [0, 1, 2]
    assert torch.equal(seen[-1][1][0], latents)


def test_sixteen_bit_weights_run_in_mixed_precision(conditions: Conditions) -> None:
    bundle = tiny_bundle()
    full = generate(bundle, conditions, Sampling(steps=2), 0, Hooks())
    half = generate(
        replace(bundle, transformer=bundle.transformer.to(torch.bfloat16)),
        conditions,
        Sampling(steps=2),
        0,
        Hooks(),
    )
    assert half.dtype == torch.float32
    assert 0 < (half - full).abs().mean() < 0.05 * full.abs().mean()


def test_values_that_are_not_finite_are_an_error(bundle: ModelBundle, conditions: Conditions) -> None:
    broken = replace(conditions, condition=conditions.condition * float("nan"))
    with pytest.raises(EngineError, match="not finite"):
        generate(bundle, broken, Sampling(steps=1), 0, Hooks())


def test_decoding_hands_over_chunks_and_can_be_cancelled(bundle: ModelBundle) -> None:
    latents = torch.randn(16, 3, 4, 2, generator=torch.Generator().manual_seed(0))
    watcher = Watcher()
    assert [len(chunk) for chunk in decode(bundle, latents, watcher.hooks)] == [1, 4, 4]
    assert watcher.checks == 3
    assert [p.step for p in watcher.progress] == [0, 1, 2, 3]
    cancelled = Watcher(cancel_at=3)
    chunks = decode(bundle, latents, cancelled.hooks)
    assert [len(next(chunks)), len(next(chunks))] == [1, 4]
    with pytest.raises(Cancelled):
        next(chunks)


def test_values_become_bytes_by_clamping_and_cutting_down() -> None:
    values = torch.tensor([-1.5, -1.0, 0.0, 0.999, 1.0, 2.0])
    video = values.view(1, 1, 1, -1).expand(3, 1, 1, -1)
    assert to_uint8(video)[0, 0, :, 0].tolist() == [0, 0, 127, 254, 255, 255]


def test_decoding_in_tiles_tells_its_progress_before_the_first_picture() -> None:
    bundle = tiny_bundle()
    tiled = replace(bundle, vae=TiledVAE(bundle.vae, 16, overlap=0))
    latents = torch.randn(16, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    watcher = Watcher()
    chunks = decode(tiled, latents, watcher.hooks)
    next(chunks)
    assert [event.step for event in watcher.progress] == [0, 1, 2]
    assert [len(chunk) for chunk in chunks] == [4, 4]
    assert [event.step for event in watcher.progress] == [0, 1, 2, 3]
    assert watcher.checks == 3
