"""The planner against what was measured on one H200: torch 2.11.0+cu130, random weights, 2026-11-23.

docs/planner.md has the same rows and the commands. Memory is never less than measured, so that what is
planned fits; times may err to both sides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from machines import GIB, PLAIN, machine

from core.catalogue.catalogue import Catalogue
from core.catalogue.load import load_catalogue
from core.catalogue.planning import memory
from core.catalogue.planning.budget import budget_for
from core.catalogue.planning.duration import Speed, forward_seconds, speed_of, vae_seconds
from core.catalogue.planning.forward_memory import kept_bytes
from core.catalogue.planning.kernels import Kernels
from core.catalogue.planning.memory import Weights, vae_bytes
from core.catalogue.planning.sizes import ModelSizes, model_sizes, token_count
from core.hardware.kernels_file import BLOCK, DENSE, LINEAR, KernelsFile, Measured
from core.types import Plan, Sampling, Size

NATIVE, SMALLER = Size(1024, 576), Size(832, 480)
TIME = 0.15
CAPABILITY = (9, 0)
NO_CATALOGUE = Catalogue({}, {}, {})
# Each alone, in ms, 52,992 tokens: dense attention, products 5120 -> 5120, the addition with the norm.
ALONE = {
    (DENSE, "sdpa"): 92.8,
    (DENSE, "cudnn"): 95.4,
    (DENSE, "flash3"): 81.9,
    (LINEAR, "float"): 3.45,
    (LINEAR, "fp8"): 2.08,
    (LINEAR, "fp8_fast"): 1.80,
    (LINEAR, "int8"): 2.09,
    (BLOCK, "fused"): 0.81,
}


class Forward(NamedTuple):
    """One forward by fused blocks: what differs from turbo, its size, seconds, and GiB with the weights."""

    size: Size
    frames: int
    seconds: float
    gib: float
    changes: dict[str, Any]


FIFTEEN: dict[str, Any] = {"sla_topk": 0.15}
FLASH3: dict[str, Any] = {"attention": "flash3", "sla_topk": None}
CUDNN: dict[str, Any] = {"attention": "sdpa", "sla_topk": None}
# GiB are those of four steps of the sampler, but for cuDNN's and 16 bits, which are one forward's.
FAST = [
    Forward(NATIVE, 81, 1.558, 20.16, {}),
    Forward(SMALLER, 81, 0.978, 18.86, {}),
    Forward(SMALLER, 73, 0.879, 18.63, {}),
    Forward(NATIVE, 81, 1.688, 20.16, FIFTEEN),
    Forward(SMALLER, 81, 1.059, 18.86, FIFTEEN),
    Forward(SMALLER, 73, 0.937, 18.63, FIFTEEN),
    Forward(NATIVE, 81, 4.331, 20.12, FLASH3),
    Forward(SMALLER, 81, 2.296, 18.83, FLASH3),
    Forward(SMALLER, 73, 1.927, 18.60, FLASH3),
    Forward(NATIVE, 81, 4.799, 20.06, CUDNN),
    Forward(SMALLER, 81, 2.590, 18.79, CUDNN),
    Forward(NATIVE, 81, 5.368, 35.62, FLASH3 | {"weights": "bfloat16", "matmul": "bfloat16"}),
]
# Plain forwards of 81 frames, quantised weights dequantised for 16-bit products, before the text's keys and
# values were kept: weights, blocks on the GPU, seconds and GiB at 1024x576 and 832x480.
PLAIN_FORWARDS: list[tuple[str, int | None, float, float, float, float]] = [
    ("bfloat16", None, 6.69, 34.98, 3.83, 33.57),
    ("bfloat16", 20, 6.62, 21.44, 3.73, 20.03),
    ("bfloat16", 0, 6.59, 6.40, 3.71, 4.99),
    ("fp8", None, 6.68, 19.94, 3.80, 18.53),
    ("fp8", 20, 6.69, 13.17, 3.81, 11.76),
    ("fp8", 0, 6.68, 5.65, 3.80, 4.24),
    ("int8", None, 6.66, 19.95, 3.78, 18.54),
    ("q8_0", None, 6.71, 20.88, 3.84, 19.47),
]
# The video autoencoder, 832x480, 81 pictures: dtype, TF32, GiB beside the weights of an encode and a decode;
# seconds of an encode, a still picture and a decode, for what a GPU from 8.0 on computes with.
CODERS: list[tuple[str, bool, float, float, float | None]] = [
    ("bfloat16", True, 2.4, 3.3, 0.580 + 0.162 + 0.946),
    ("float32", True, 4.7, 6.7, 1.122 + 0.349 + 1.829),
    ("float32", False, 6.1, 8.1, None),
]
# In tiles at 1024x576, with its weights; of the implementation before, which took more, as a bound.
TILED: list[tuple[str, int, float, float]] = [
    ("float32", 512, 2.50, 3.09),
    ("float32", 256, 1.51, 1.80),
    ("bfloat16", 512, 1.27, 1.57),
    ("bfloat16", 256, 0.78, 0.92),
]
# A warm turbo render, 832x480, 81 frames, with all but the text encoder loaded: seconds of sampling, GiB.
SAMPLE_S, RENDER_GIB = 3.785, 21.47


@pytest.fixture(scope="module")
def sizes() -> ModelSizes:
    return model_sizes(load_catalogue().architectures[PLAIN])


@pytest.fixture(scope="module")
def kernels() -> Kernels:
    """As an engine would have measured them."""
    measured = [Measured(group, name, ms / 1e3, 0.004) for (group, name), ms in ALONE.items()]
    return Kernels(CAPABILITY, KernelsFile("NVIDIA H200", {}, tuple(measured)))


def speed(kernels: Kernels) -> Speed:
    """By the planner's way from the GPU's facts."""
    card = {"cores": 16_896, "clock_hz": 1_980_000_000, "host_bandwidth": 55 * 10**9}
    found = speed_of(budget_for("auto", machine(139.8, 128, CAPABILITY, **card)))
    assert found is not None
    return replace(found, kernels=kernels)


def turbo(**changes: Any) -> Plan:
    plain = Plan(PLAIN, Sampling(4), NATIVE, 81, weights="fp8", matmul="fp8", residency="phased")
    return replace(replace(plain, attention="sagesla", sla_topk=0.1, vae_dtype="bfloat16"), **changes)


def weighed(plan: Plan, sizes: ModelSizes) -> Weights:
    return memory.plan_weights(plan, sizes, NO_CATALOGUE)


def taken(plan: Plan, sizes: ModelSizes, kernels: Kernels) -> float:
    """GiB while sampling."""
    peaks = memory.estimate(plan, sizes, weighed(plan, sizes), on_gpu=True, kernels=kernels)
    return peaks.device["sample"] / GIB


@pytest.mark.parametrize("row", FAST)
def test_forwards_by_fused_blocks(sizes: ModelSizes, kernels: Kernels, row: Forward) -> None:
    plan = turbo(size=row.size, frames=row.frames, **row.changes)
    assert kernels.fused
    assert row.gib <= taken(plan, sizes, kernels) <= 1.02 * row.gib
    seconds = forward_seconds(plan, sizes, weighed(plan, sizes), speed(kernels))
    assert seconds == pytest.approx(row.seconds, rel=TIME)


@pytest.mark.parametrize("row", PLAIN_FORWARDS)
def test_forwards_by_plain_blocks(
    sizes: ModelSizes, row: tuple[str, int | None, float, float, float, float]
) -> None:
    weights, blocks, *figures = row
    plain = Kernels(CAPABILITY)
    for size, (measured_s, gib) in zip((NATIVE, SMALLER), (figures[:2], figures[2:]), strict=True):
        plan = turbo(size=size, weights=weights, matmul="bfloat16", **CUDNN)
        if blocks is not None:
            plan = replace(plan, residency="streamed", blocks_resident=blocks)
        used = taken(plan, sizes, plain) - kept_bytes(sizes, token_count(size, 81), plan) / GIB
        assert gib <= used <= 1.08 * gib
        seconds = forward_seconds(plan, sizes, weighed(plan, sizes), speed(plain))
        assert seconds == pytest.approx(measured_s, rel=TIME)


@pytest.mark.parametrize("row", CODERS)
def test_the_video_autoencoder(
    sizes: ModelSizes, kernels: Kernels, row: tuple[str, bool, float, float, float | None]
) -> None:
    dtype, tf32, encode, decode, measured_s = row
    for decoding, gib in ((False, encode), (True, decode)):
        used = vae_bytes(sizes, SMALLER.area, None, dtype, decode=decoding, tf32=tf32) / GIB
        assert gib <= used <= 1.15 * gib
    seconds = vae_seconds(turbo(size=SMALLER, vae_dtype=dtype), sizes, speed(kernels))
    assert measured_s is None or seconds == pytest.approx(measured_s, rel=TIME)


def test_the_engine_lets_float32_convolutions_round_to_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves torch's own setting: what the autoencoder's figures with TF32 count for."""
    import torch

    from core.engine.determinism import make_deterministic
    from core.engine.kernels import Kernels as Setting

    with Setting.now(torch.device("cpu")).applied():
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
        make_deterministic()
        assert torch.backends.cudnn.allow_tf32


def test_gpus_without_tf32_are_counted_with_more_memory(sizes: ModelSizes) -> None:
    plan = turbo(vae_dtype="float32", matmul="float16")

    def decoding(capability: tuple[int, int] | None) -> float:
        weights = weighed(plan, sizes)
        peaks = memory.estimate(plan, sizes, weights, on_gpu=True, kernels=Kernels(capability))
        return peaks.device["decode"] - weights.vae

    assert decoding((8, 0)) == decoding(None)
    assert decoding((7, 5)) > 1.2 * decoding((8, 0))


@pytest.mark.parametrize(("dtype", "tile", "encode", "decode"), TILED)
def test_the_video_autoencoder_in_tiles(
    sizes: ModelSizes, dtype: str, tile: int, encode: float, decode: float
) -> None:
    weights = memory.FLOAT_BYTES[dtype] * sizes.vae_parameters
    for decoding, gib in ((False, encode), (True, decode)):
        used = (vae_bytes(sizes, NATIVE.area, tile, dtype, decode=decoding) + weights) / GIB
        # Tiles are made as small as their number allows, which the model leaves out.
        assert gib <= used <= 1.9 * gib


def test_a_warm_render(sizes: ModelSizes, kernels: Kernels) -> None:
    plan = turbo(size=SMALLER, residency="resident")
    weights = weighed(plan, sizes)
    device = memory.estimate(plan, sizes, weights, on_gpu=True, kernels=kernels).device
    used = max(device[phase] for phase in ("encode", "sample", "decode")) / GIB
    assert RENDER_GIB <= used <= 1.02 * RENDER_GIB
    sampling = 4 * forward_seconds(plan, sizes, weights, speed(kernels))
    assert sampling == pytest.approx(SAMPLE_S, rel=TIME)
