"""The memory and time models against what was counted, measured, and what our own network keeps alive."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from machines import GIB, NATIVE_FRAMES, PLAIN, machine, request

from core.catalogue.catalogue import Architecture, Catalogue
from core.catalogue.load import load_catalogue
from core.catalogue.measurements import Measurement, Measurements, gpu_key
from core.catalogue.planner import plan, plans
from core.catalogue.planning import memory
from core.catalogue.planning.duration import forwards
from core.catalogue.planning.forward_memory import activation_bytes
from core.catalogue.planning.memory import vae_bytes
from core.catalogue.planning.sizes import ModelSizes, model_sizes, token_count
from core.types import Plan, Sampling, Size

NATIVE = Size(1024, 576)
PARAMETERS = 16_396_718_736


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="module")
def sizes(catalogue: Catalogue) -> ModelSizes:
    return model_sizes(catalogue.architectures[PLAIN])


def bare(**changes: Any) -> Plan:
    plain = Plan(PLAIN, Sampling(4), NATIVE, 81, weights="bfloat16", matmul="bfloat16", residency="phased")
    return replace(plain, **changes)


def test_parameters_are_those_of_the_specification(sizes: ModelSizes) -> None:
    assert 40 * sizes.block_parameters == 16_153_538_560
    assert sizes.transformer_parameters == pytest.approx(PARAMETERS, rel=1e-4)
    assert sizes.text_parameters == pytest.approx(5.68e9, rel=0.01)


def test_operations_and_tokens_are_those_of_the_baselines(sizes: ModelSizes) -> None:
    for size, tokens, linear, attention in (
        (NATIVE, 52_992, 1.267e15, 2.337e15),
        (Size(832, 480), 35_880, 0.858e15, 1.081e15),
    ):
        assert token_count(size, 81) == tokens
        assert sizes.linear_operations(tokens) == pytest.approx(linear, rel=0.01)
        assert sizes.attention_operations(tokens) == pytest.approx(attention, rel=0.01)


def test_forwards_of_the_presets() -> None:
    assert forwards(Sampling(40, "unipc", 5.0, 5.0, 1.5, 0.1, 0.4)) == 91
    assert forwards(Sampling(4)) == 4
    assert forwards(Sampling(4, condition_guidance_scale=1.5)) == 5


def test_a_16_bit_forward_takes_less_than_the_official_code(sizes: ModelSizes) -> None:
    """The official code took 36.6 to 41.0 GiB for 30.6 GiB of weights, at both sizes."""
    weights = memory.plan_weights(bare(), sizes, Catalogue({}, {}, {}))
    assert (weights.blocks + weights.others) / GIB == pytest.approx(30.6, abs=0.1)
    for size in (NATIVE, Size(832, 480)):
        used = memory.estimate(bare(size=size), sizes, weights, on_gpu=True).device["sample"]
        assert 33 * GIB < used < 36.6 * GIB


def test_tiles_and_16_bits_shrink_the_autoencoder(sizes: ModelSizes) -> None:
    def used(tile: int | None, dtype: str = "float32") -> float:
        return vae_bytes(sizes, NATIVE.area, tile, dtype, decode=True)

    assert used(256) < used(512) < used(None)
    assert used(None, "bfloat16") < used(None)
    assert used(1024) == used(None)


def test_a_block_keeps_no_more_alive_than_the_model_says() -> None:
    """Our own transformer at a small width under the profiler, in float32: 16-bit products of a CPU keep
    copies that a GPU's do not."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    from core.engine.models.config import TransformerConfig
    from core.engine.models.transformer import SteadyDancerTransformer

    config = TransformerConfig(dim=512, num_heads=4, num_layers=1, ffn_dim=1382, text_dim=64, clip_dim=64)
    architecture = Architecture("small", config.to_dict(), {}, {}, {}, 256, 256, 33)
    frames, side = 5, 64
    shapes = [(1, 16, frames, side, side), (1,), (1, 20, 64), (1, 16, frames, side, side)]
    shapes += [(1, 20, frames, side, side), (1, 36, 1, side, side), (1, 36, 1, side, side)]
    shapes += [(1, 257, 64), (1, 257, 64)]
    torch.manual_seed(0)
    arguments = [torch.randn(*shape) for shape in shapes]
    network = SteadyDancerTransformer(config).eval()
    with torch.no_grad():
        network(*arguments)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            network(*arguments)
    live = peak = 0
    results: Any = profiler.profiler
    for event in sorted(results.kineto_results.events(), key=lambda one: one.start_ns()):
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    frames_in_pixels = 4 * (frames - 1) + 1
    made = bare(size=Size(side * 8, side * 8), frames=frames_in_pixels, weights="float32", matmul="float32")
    modelled = activation_bytes(model_sizes(architecture), token_count(made.size, made.frames), made)
    assert modelled * 0.7 <= peak <= modelled * 1.1


def test_streaming_trades_video_memory_for_host_memory(sizes: ModelSizes) -> None:
    weights = memory.plan_weights(bare(), sizes, Catalogue({}, {}, {}))
    device, host = [], []
    for blocks in (0, 10, 20, 30, 39):
        made = bare(residency="streamed", blocks_resident=blocks)
        peaks = memory.estimate(made, sizes, weights, on_gpu=True)
        device.append(peaks.device["sample"])
        host.append(peaks.host["sample"])
    assert device == sorted(device)
    assert host == sorted(host, reverse=True)
    assert device[-1] <= memory.estimate(bare(), sizes, weights, on_gpu=True).device["sample"]
    assert (host[0] - host[-1]) / weights.block == pytest.approx(39)


def test_fixed_memory_segments_cost_more(sizes: ModelSizes, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = memory.plan_weights(bare(), sizes, Catalogue({}, {}, {}))
    peaks = memory.estimate(bare(), sizes, weights, on_gpu=True)
    needed = {}
    for platform in ("linux", "win32"):
        monkeypatch.setattr("sys.platform", platform)
        needed[platform] = peaks.vram_bytes
    assert needed["linux"] is not None
    assert needed["win32"] is not None
    assert needed["win32"] > 1.1 * needed["linux"]


def test_on_processors_everything_is_host_memory(sizes: ModelSizes) -> None:
    weights = memory.plan_weights(bare(), sizes, Catalogue({}, {}, {}))
    peaks = memory.estimate(bare(residency="resident"), sizes, weights, on_gpu=False)
    assert peaks.vram_bytes is None
    assert peaks.ram_bytes > 2 * PARAMETERS


def measured(there: Any, best: Plan, **changes: Any) -> Measurement:
    """A render of a plan on a machine."""
    plain = Measurement(
        gpu_key=gpu_key(there.gpus[0]),
        model=best.model,
        weights=best.weights,
        matmul=best.matmul,
        attention=best.attention,
        residency=best.residency,
        blocks_resident=best.blocks_resident,
        tokens=token_count(best.size, best.frames),
        frames=best.frames,
        steps=best.sampling.steps,
        forwards=4,
        guided=False,
        seconds={"sample": 40.0},
        width=best.size.width,
        height=best.size.height,
        text_on=best.text_on,
        vae_tile=best.vae_tile,
    )
    return replace(plain, **changes)


def test_times_are_learned_from_renders(catalogue: Catalogue, tmp_path: Path) -> None:
    there = machine(80, 128, (9, 0))
    memories = Measurements(tmp_path / "measurements.sqlite")
    first = plan(request(), NATIVE_FRAMES, there, catalogue, measurements=memories)
    assert any("guessed" in reason for reason in first.reasons)
    memories.record(measured(there, first))
    second = plan(request(), NATIVE_FRAMES, there, catalogue, measurements=memories)
    assert second.model == first.model
    assert any("4 forwards of 10 s" in reason and "measured" in reason for reason in second.reasons)
    smaller = plan(request(size=Size(832, 480)), NATIVE_FRAMES, there, catalogue, measurements=memories)
    assert smaller.time_s is not None
    assert second.time_s is not None
    assert smaller.time_s < second.time_s
    other = plan(request(), NATIVE_FRAMES, machine(79, 128, (9, 0)), catalogue, measurements=memories)
    assert other.time_s == first.time_s


def test_a_measured_peak_above_the_model_counts(catalogue: Catalogue, tmp_path: Path) -> None:
    there = machine(44, 64)
    memories = Measurements(tmp_path / "measurements.sqlite")
    wanted = request(preset="reference")
    first = plan(wanted, NATIVE_FRAMES, there, catalogue, measurements=memories)
    assert first.weights == "bfloat16"
    memories.record(measured(there, first, vram_peak_bytes=47 * GIB, guided=True))
    second = plan(wanted, NATIVE_FRAMES, there, catalogue, measurements=memories)
    assert second.fits
    assert second.weights == "fp8"


def test_what_has_failed_is_not_planned_again(catalogue: Catalogue, tmp_path: Path) -> None:
    there = machine(16, 64)
    memories = Measurements(tmp_path / "measurements.sqlite")
    first = plan(request(), NATIVE_FRAMES, there, catalogue, measurements=memories)
    memories.record(measured(there, first, ok=False, lacked="vram", seconds={}))
    second = plan(request(), NATIVE_FRAMES, there, catalogue, measurements=memories)
    assert second.fits
    assert second.blocks_resident is not None
    assert first.blocks_resident is not None
    assert second.blocks_resident < first.blocks_resident


def test_a_failure_beside_other_programs_is_forgotten_once_they_are_gone(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    there = machine(24, 64)
    memories = Measurements(tmp_path / "measurements.sqlite")
    first = plan(request(), NATIVE_FRAMES, there, catalogue, measurements=memories)
    lacked = measured(there, first, ok=False, lacked="vram", seconds={})
    memories.record(replace(lacked, vram_free_bytes=12 * GIB))
    assert plan(request(), NATIVE_FRAMES, there, catalogue, measurements=memories) == first
    memories.record(replace(lacked, vram_free_bytes=24 * GIB))
    assert plan(request(), NATIVE_FRAMES, there, catalogue, measurements=memories) != first


def test_host_memory_that_was_not_there_is_not_planned_with_again(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    there = machine(16, 48)
    memories = Measurements(tmp_path / "measurements.sqlite")
    first = plan(request(), NATIVE_FRAMES, there, catalogue, measurements=memories)
    needed = first.ram_peak_bytes
    assert needed is not None
    short = measured(there, first, ok=False, lacked="ram", seconds={}, ram_peak_bytes=needed)
    memories.record(replace(short, ram_free_bytes=needed // 2))
    assert plan(request(), NATIVE_FRAMES, there, catalogue, measurements=memories) == first
    memories.record(replace(short, ram_free_bytes=there.ram_available_bytes))
    second = plan(request(), NATIVE_FRAMES, there, catalogue, measurements=memories)
    assert second.fits
    assert second.ram_peak_bytes is not None
    assert second.ram_peak_bytes < needed
    memories.record(measured(there, first, seconds={}, ram_peak_bytes=needed))
    third = plan(request(), NATIVE_FRAMES, there, catalogue, measurements=memories)
    assert (third.assets, third.residency, third.blocks_resident, third.text_on) == (
        first.assets,
        first.residency,
        first.blocks_resident,
        first.text_on,
    )


def test_installed_files_win_where_nothing_else_tells_plans_apart(catalogue: Catalogue) -> None:
    there = machine(80, 128, (8, 0))
    for asset, model in (("transformer-fp32", "fp32"), ("transformer-mbf16", "fp16")):
        found = plan(request(), NATIVE_FRAMES, there, catalogue, installed={asset}.__contains__)
        assert (found.model, found.assets["transformer"]) == (f"{PLAIN}-{model}", asset)
    everything = plan(request(), NATIVE_FRAMES, there, catalogue, installed=lambda _: True)
    assert any("already downloaded" in reason for reason in everything.reasons)
    assert not any("To download" in reason for reason in everything.reasons)


def test_the_preset_brings_its_lora_and_the_users_follow(catalogue: Catalogue) -> None:
    from core.types import Lora

    there = machine(24, 64)
    own = Lora("style.safetensors", 0.5)
    for preset, count in (("turbo", 2), ("draft", 2), ("quality", 1), ("reference", 1)):
        found = plan(request(preset=preset, loras=(own,)), NATIVE_FRAMES, there, catalogue)
        assert (len(found.loras), found.loras[-1]) == (count, own)
        assert ("lora" in found.assets) == (count == 2)
    plain = plan(request(preset="turbo"), NATIVE_FRAMES, there, catalogue)
    assert plain.loras[0].path.endswith("rank64_bf16.safetensors")


def test_other_makes_of_gpu_are_told_apart_honestly(catalogue: Catalogue) -> None:
    there = machine(24, 64, None, vendor="amd")
    found = plans(request(), NATIVE_FRAMES, there, catalogue)
    assert not any(one.fits for one in found)
    assert any("AMD" in reason for reason in found[0].reasons)
