"""The plan of the embedded model: it runs anywhere, so there is nothing to choose but the device."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from core.catalogue.catalogue import Architecture
from core.catalogue.entries import mini_folder
from core.catalogue.planning import coefficients as c
from core.catalogue.planning.abilities import AUTO, SDPA
from core.catalogue.planning.attention import with_attention
from core.catalogue.planning.budget import Budget, cpu_budget
from core.catalogue.planning.caching import cached_bytes
from core.catalogue.planning.context import over
from core.catalogue.planning.duration import Speed, computed_forwards, modelled_seconds, speed_of
from core.catalogue.planning.gpu_only import check_device
from core.catalogue.planning.sizes import ModelSizes, model_sizes, token_count
from core.catalogue.presets import Preset
from core.hardware import Machine
from core.types import Overrides, Plan

# Live tensors of the autoencoder, and its operations per pixel and frame, measured at 192x192, 33 frames.
_VAE_BYTES_PER_PIXEL = 4_000
_VAE_CPU_SECONDS_PER_PIXEL = 1.1e-6
_OTHER_BYTES = 60_000_000  # weights of all parts, float32
_CPU_PARALLEL = 8  # a network this small gains nothing from more processors


def plan_embedded(
    plan: Plan, budget: Budget, machine: Machine | None, overrides: Overrides, chosen: Preset
) -> Plan:
    """The plan with peaks, time and device; a GPU that is no use for it is left alone.

    Raises:
        BadSetting: something is asked for that the device does not have.
    """
    sizes = _sizes()
    if budget.kind == "gpu" and (budget.refusal or over(_vram(plan, sizes), budget.vram_bytes)):
        assert machine is not None
        budget = cpu_budget(machine)
    check_device(overrides, budget, "mini")
    plan = with_attention(_with_precision(plan, overrides), overrides, chosen.attention, budget)
    on_gpu = budget.kind == "gpu"
    ram = (c.PROCESS_WITH_CUDA_BYTES if on_gpu else c.MINI_PROCESS_BYTES) + (
        _skeleton_bytes(plan) if on_gpu else _skeleton_bytes(plan) + _working_bytes(plan, sizes)
    )
    speed = speed_of(budget)
    return replace(
        plan,
        device=budget.device,
        vram_peak_bytes=_vram(plan, sizes) if on_gpu else None,
        ram_peak_bytes=ram,
        time_s=_seconds(plan, sizes, speed, budget) if speed and sizes else None,
        fits=over(ram, budget.ram_bytes) == 0,
    )


def _with_precision(plan: Plan, overrides: Overrides) -> Plan:
    """float32, unless something else is asked for, or an attention without kernels for it."""
    asked = overrides.precision
    if asked in (None, AUTO):
        asked = "float32" if overrides.attention in (None, AUTO, SDPA) else "bfloat16"
    return replace(plan, weights=asked, matmul=asked)


def _sizes() -> ModelSizes | None:
    """The transformer's sizes out of its configuration; None where that does not tell them."""
    try:
        data: Any = json.loads((mini_folder() / "config.json").read_text(encoding="utf-8"))
        transformer = dict(data["transformer"])
        return model_sizes(Architecture("mini", transformer, {}, {}, {}, 0, 0, 0))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # entry() has refused what the app cannot use


def _vram(plan: Plan, sizes: ModelSizes | None) -> int:
    return c.CUDA_CONTEXT_BYTES + int((1 + c.FRAGMENTATION) * _working_bytes(plan, sizes))


def _working_bytes(plan: Plan, sizes: ModelSizes | None) -> int:
    """Weights and the larger of a forward and of the autoencoder."""
    vae = plan.size.area * _VAE_BYTES_PER_PIXEL
    if sizes is None:
        return _OTHER_BYTES + vae
    tokens = token_count(plan.size, plan.frames)
    values = tokens * sizes.dim
    return _OTHER_BYTES + max(vae, int(c.WIDTHS_32_BIT * values * 4)) + cached_bytes(plan, values)


def _skeleton_bytes(plan: Plan) -> int:
    return plan.frames * plan.size.area * (c.SKELETON_BYTES_PER_PIXEL + c.VIDEO_BYTES_PER_PIXEL)


def _seconds(plan: Plan, sizes: ModelSizes, speed: Speed, budget: Budget) -> float:
    tokens = token_count(plan.size, plan.frames)
    useful = 1.0 if speed.on_gpu else min(1.0, _CPU_PARALLEL / max(1, budget.cpu_count or 1))
    forward_s = modelled_seconds(plan, sizes, tokens, speed) / useful
    vae_s = _VAE_CPU_SECONDS_PER_PIXEL * plan.size.area * plan.frames
    start_s = c.START_S + (c.GPU_START_S if speed.on_gpu else 0.0)
    return start_s + computed_forwards(plan) * forward_s + vae_s
