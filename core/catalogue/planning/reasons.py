"""Why a plan is as it is, in words. The first reason is the plan in one sentence."""

from __future__ import annotations

from core.catalogue.planning import coefficients as c
from core.catalogue.planning.abilities import EIGHT_BIT, FLOAT_DTYPES, FP8_CAPABILITY
from core.catalogue.planning.budget import Budget
from core.catalogue.planning.context import Context, over
from core.catalogue.planning.duration import computed_forwards
from core.catalogue.planning.learning import way_of
from core.catalogue.planning.precision import made_eight_bit
from core.catalogue.planning.speed_reasons import NUMBERS, why_fast
from core.types import Plan, Size

_HOUR_S, _MINUTE_S = 3600.0, 60.0
_ADVICE = "It fits at "


def gib(size_bytes: float) -> str:
    """``24 GiB``, ``3.1 GiB``."""
    if 0 < size_bytes < c.GIB / 10:
        return "less than 0.1 GiB"
    return f"{size_bytes / c.GIB:.1f}".removesuffix(".0") + " GiB"


def seconds(time_s: float) -> str:
    """``40 s``, ``3.5 min``, ``9 h``."""
    if time_s >= 1.5 * _HOUR_S:
        return f"{time_s / _HOUR_S:.0f} h"
    return f"{time_s / _MINUTE_S:.1f} min" if time_s >= 1.5 * _MINUTE_S else f"{time_s:.0f} s"


def reasons(plan: Plan, context: Context, settled: tuple[str, ...]) -> tuple[str, ...]:
    """All reasons of an assessed plan of a 14B model.

    Args:
        settled: what the request decides, in words (sampling, size, length).
    """
    found = [
        summary(plan, context.budget, context.sizes(plan.model).layers),
        *settled,
        *_why_weights(plan, context),
        *why_fast(plan, context.budget),
        *_why_residency(plan, context),
        _why_text(plan, context),
        *_why_tiles(plan),
        *_why_time(plan, context),
        _files(plan, context),
        *shortfall(plan, context.budget),
    ]
    return tuple(reason for reason in found if reason)


def summary(plan: Plan, budget: Budget, layers: int) -> str:
    """``24 GiB, capability 8.9: fp8, 4 steps, all blocks on the GPU, fits with 3.1 GiB to spare.``"""
    steps = f"{plan.sampling.steps} step{'' if plan.sampling.steps == 1 else 's'}"
    parts = [plan.weights, steps, *_where_blocks(plan, budget, layers)]
    return f"{_machine(budget)}: {', '.join(parts)}, {_verdict(plan, budget)}."


def shortfall(plan: Plan, budget: Budget) -> tuple[str, ...]:
    """What is missing, one sentence each."""
    found = []
    for what, needed, limit in (
        ("memory on the GPU", plan.vram_peak_bytes, budget.vram_bytes),
        ("host memory", plan.ram_peak_bytes, budget.ram_bytes),
    ):
        if needed is not None and limit is not None and needed > limit:
            found.append(f"It needs {gib(needed)} of {what}, {gib(needed - limit)} more than there is free.")
    if budget.refusal is not None and not plan.fits:
        found.append(budget.refusal)
    if budget.kind == "cpu" and (plan.time_s or 0.0) > c.SANE_CPU_TIME_S:
        found.append(
            f"On processors alone it would take about {seconds(plan.time_s or 0.0)}; "
            "the embedded model, mini, renders there in seconds."
        )
    return tuple(found)


def would_fit(size: Size, frames: int) -> str:
    """Advice where a plan does not fit."""
    return f"{_ADVICE}{size.width}x{size.height} with {frames} frames."


def advice(plan: Plan) -> str:
    """The advice among a plan's reasons, or nothing."""
    return next((reason for reason in plan.reasons if reason.startswith(_ADVICE)), "")


def obstacles(plan: Plan) -> tuple[str, ...]:
    """The sentences of ``shortfall`` among a plan's reasons: they follow what is to be read or downloaded."""
    last = max((i for i, reason in enumerate(plan.reasons) if "Reading the weights" in reason), default=0)
    return tuple(reason for reason in plan.reasons[last + 1 :] if reason != advice(plan))


def _machine(budget: Budget) -> str:
    if budget.kind == "gpu" and budget.gpu is not None:
        capability = budget.gpu.capability
        words = "unknown capability" if capability is None else f"capability {capability[0]}.{capability[1]}"
        return f"{gib(budget.gpu.memory_bytes)}, {words}"
    return f"{budget.cpu_count} processors" if budget.cpu_count else "Unknown machine"


def _where_blocks(plan: Plan, budget: Budget, layers: int) -> list[str]:
    if budget.kind == "cpu":
        return ["everything on the processors"]
    if plan.residency == "streamed":
        return [f"{plan.blocks_resident} of {layers} blocks on the GPU, the others from host memory"]
    return ["all blocks on the GPU"]


def _verdict(plan: Plan, budget: Budget) -> str:
    needed, limit = plan.vram_peak_bytes, budget.vram_bytes
    if needed is None:
        needed, limit = plan.ram_peak_bytes, budget.ram_bytes
    if plan.fits:
        return "fits" if needed is None or limit is None else f"fits with {gib(limit - needed)} to spare"
    short = over(plan.vram_peak_bytes, budget.vram_bytes) + over(plan.ram_peak_bytes, budget.ram_bytes)
    return f"lacks {gib(short)}" if short else "not supported here"


def _why_weights(plan: Plan, context: Context) -> list[str]:
    if plan.weights in FLOAT_DTYPES:
        return [f"Weights and products in {plan.weights}, nothing quantised."]
    gpu = context.budget.gpu
    words = NUMBERS.get(plan.weights, plan.weights.upper())
    asset = context.catalogue.assets[plan.assets["transformer"]]
    if made_eight_bit(plan, asset):
        return [f"Weights are made {words} while they are read from their {asset.precision} file."]
    if plan.matmul in EIGHT_BIT:
        return [f"Weights stay {words} in memory."]
    found = [f"Weights stay {words} in memory; products in {plan.matmul}."]
    if plan.weights == "fp8" and gpu is not None and (gpu.capability or (0, 0)) < FP8_CAPABILITY:
        found.append("This GPU has no 8-bit floats of its own, so they are converted in software.")
    return found


def _why_residency(plan: Plan, context: Context) -> list[str]:
    if context.budget.kind == "cpu":
        return []
    if plan.residency == "streamed":
        return ["Blocks that do not fit are copied from host memory while the one before computes."]
    if plan.residency == "phased":
        return ["Only the part in use is on the GPU: encoders, then the transformer, then the decoder."]
    return ["All parts stay on the GPU at once."]


def _why_text(plan: Plan, context: Context) -> str:
    asset = context.catalogue.assets.get(plan.assets.get("text_encoder", ""))
    place = "on the processors" if plan.text_on == "cpu" or context.budget.kind == "cpu" else "on the GPU"
    return f"Text encoder in {asset.precision}, {place}." if asset else ""


def _why_tiles(plan: Plan) -> list[str]:
    if plan.vae_tile is None:
        return []
    return [f"Pictures are encoded and decoded in tiles of {plan.vae_tile} pixels, which takes longer."]


def _why_time(plan: Plan, context: Context) -> list[str]:
    if plan.time_s is None or context.speed is None:
        return []
    count = round(computed_forwards(plan))
    each = seconds(context.forward_s(plan)) if context.forward_s(plan) >= 1 else "under 1 s"
    learned = way_of(plan) in context.learned.times or context.learned.time != 1.0
    source = "measured on this machine" if learned else context.speed.source
    words = f"About {seconds(plan.time_s)}: {count} forwards of {each}; the GPU's speed is {source}."
    return [words if context.on_gpu else words.replace("the GPU's speed", "the speed")]


def _files(plan: Plan, context: Context) -> str:
    assets = [context.catalogue.assets[asset] for asset in plan.assets.values()]
    total = sum(asset.bytes_for_planning for asset in assets)
    missing = context.missing(plan)
    reading = f"Reading the weights takes about {seconds(total / c.READ_BYTES_PER_S)} on top the first time"
    if not missing:
        return f"All files are already downloaded. {reading}."
    size = sum(asset.bytes_for_planning for asset in missing)
    already = " (the rest is already downloaded)" if len(missing) < len(assets) else ""
    return f"To download: {size / 1e9:.1f} GB in {len(missing)} parts{already}. {reading}."
