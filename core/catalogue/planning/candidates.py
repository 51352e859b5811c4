"""The ways to run a 14B model: for each checkpoint the best use of the memory there is.

Within a budget the choices are independent of one another (each phase of a render has the memory to itself),
so each is settled by an order of its own in which more memory only ever moves up. ``ranking`` compares the
results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from core.catalogue.catalogue import PARTS, Asset, CatalogueModel, Role
from core.catalogue.planning.abilities import (
    BFLOAT16_CAPABILITY,
    FLOAT_DTYPES,
    FLOAT_FILES,
    INT8_PRODUCTS_LAYOUT,
    VAE_TILES,
)
from core.catalogue.planning.context import Context
from core.catalogue.planning.memory import stored_bytes
from core.errors import BadSetting
from core.types import Lora, Overrides, Plan

TextPlace = Literal["device", "cpu"]
_DEVICE: TextPlace = "device"
_CPU: TextPlace = "cpu"
# Text encoders that the planner falls back to by itself, when the model's default is too large.
GOOD_TEXT = ("fp32", "bf16", "fp16", "q8_0", "fp8", "int8", "q6_k", "q5_k_m")


def variants(
    base: Plan, model: CatalogueModel, context: Context, overrides: Overrides, lora: str | None
) -> Iterator[Plan]:
    """Assessed plans for one checkpoint, best use of the memory first; they may all be too large.

    Args:
        base: what the request settles: sampling, size, frames, the user's LoRAs.
        lora: name of the LoRA that the preset is made for.

    Raises:
        BadSetting: a precision or a LoRA that this model does not have.
    """
    plan = with_preset_lora(_with_checkpoint(base, model, context, overrides), lora, context)
    if not context.on_gpu:
        yield context.assessed(_with_vae(replace(plan, residency="resident"), context))
        return
    wanted = overrides.offload or "auto"
    plan = _with_text(_with_vae(replace(plan, residency="phased"), context), model, context)
    if wanted in ("auto", "none"):
        yield context.assessed(replace(plan, residency="resident"))
    if wanted in ("auto", "phased"):
        yield context.assessed(plan)
    if wanted in ("auto", "streamed"):
        yield streamed(plan, context)


def streamed(plan: Plan, context: Context) -> Plan:
    """The plan with as many blocks on the device as fit, all but one at most; none where nothing fits."""
    layers = context.sizes(plan.model).layers
    plan = replace(plan, residency="streamed")
    lowest, highest = 0, layers - 1
    while lowest < highest:  # video memory grows with the blocks, host memory falls: look for the most
        middle = (lowest + highest + 1) // 2
        if _within_vram(replace(plan, blocks_resident=middle), context):
            lowest = middle
        else:
            highest = middle - 1
    return context.assessed(replace(plan, blocks_resident=lowest))


def pick(ids: Sequence[str], context: Context) -> Asset:
    """The first asset that is installed, else the default; pickles only where nothing else is named."""
    usable = [asset for asset in ids if context.catalogue.assets[asset].layout != "pickle"] or list(ids)
    chosen = next((asset for asset in usable if context.installed(asset)), None)
    default = next((a for a in usable if context.catalogue.assets[a].source != "converted"), usable[0])
    return context.catalogue.assets[chosen or default]


def with_asset(plan: Plan, role: Role, asset: Asset, context: Context) -> Plan:
    """The plan with another file for a role."""
    return with_assets(plan, plan.assets | {role: asset.id}, context)


def with_assets(plan: Plan, assets: dict[str, str], context: Context) -> Plan:
    """The plan with these files, by role."""
    files = tuple(name for one in assets.values() for name in file_names(context.catalogue.assets[one]))
    return replace(plan, assets=assets, files=files, parts={})


def file_names(asset: Asset) -> tuple[str, ...]:
    """``owner/name/path`` of each file, or its path on this machine."""
    if asset.source in ("local", "converted") or not asset.repository:
        return tuple(file.path for file in asset.files)
    return tuple(f"{asset.repository}/{file.path}" for file in asset.files)


def with_precision(plan: Plan, asset: Asset, context: Context, precision: str) -> Plan:
    """Weights and products for a transformer file and an ``Overrides.precision``."""
    dtype = precision if precision in FLOAT_DTYPES else _natural_dtype(context)
    if asset.precision in FLOAT_FILES:
        return replace(plan, weights=dtype, matmul=dtype)
    if precision == "int8" and asset.layout == INT8_PRODUCTS_LAYOUT:
        dtype = "int8"
    return replace(plan, weights=asset.precision, matmul=dtype)


def _with_checkpoint(base: Plan, model: CatalogueModel, context: Context, overrides: Overrides) -> Plan:
    precision = overrides.precision or "auto"
    if precision in ("fp8", "int8") and model.precision != precision:
        raise BadSetting(
            f"The model {model.id} has no {precision} weights.",
            value=precision,
            limit=f"{model.precision} weights",
            action=f"Choose a model with {precision} weights, or another precision.",
        )
    assets: dict[str, str] = {role: pick(model.parts[role], context).id for role in PARTS}
    plan = with_assets(replace(base, model=model.id), assets, context)
    return with_precision(plan, context.catalogue.assets[plan.assets["transformer"]], context, precision)


def with_preset_lora(plan: Plan, name: str | None, context: Context) -> Plan:
    """The plan with the preset's LoRA in front of the user's own.

    Raises:
        BadSetting: the catalogue has no such LoRA for the model.
    """
    if name is None:
        return plan
    ids = context.catalogue.models[plan.model].loras.get(name)
    if not ids:
        raise BadSetting(
            f"There is no {name} LoRA for {plan.model} in the catalogue.",
            value=name,
            limit="presets quality and reference need none",
            action="Choose the preset quality or reference.",
        )
    asset = pick(ids, context)
    plan = with_asset(plan, "lora", asset, context)
    return replace(plan, loras=(Lora(file_names(asset)[0]), *plan.loras))


def _natural_dtype(context: Context) -> str:
    """bfloat16, which the model was trained in, where the GPU has it."""
    gpu = context.budget.gpu
    if gpu is not None and gpu.capability is not None and gpu.capability < BFLOAT16_CAPABILITY:
        return "float16"
    return "bfloat16"


def _with_vae(plan: Plan, context: Context) -> Plan:
    """The video autoencoder whole, else in the largest tiles that fit, else in the smallest."""
    for tile in (None, *VAE_TILES):
        tiled = replace(plan, vae_tile=tile, chunking="none" if tile is None else "tiles")
        if context.phases_fit(tiled, "encode", "decode"):
            break
    return tiled


def _with_text(plan: Plan, model: CatalogueModel, context: Context) -> Plan:
    """The first text encoder that fits on the device, else the smallest good one on the processors."""
    choices = _text_choices(model, context)
    for asset, place in choices:
        chosen = replace(plan, assets=plan.assets | {"text_encoder": asset.id}, text_on=place)
        if context.phases_fit(chosen, "text"):
            return with_assets(chosen, chosen.assets, context)
    smallest = next(asset for asset, place in choices if place == _CPU)
    return replace(with_asset(plan, "text_encoder", smallest, context), text_on=_CPU)


def _text_choices(model: CatalogueModel, context: Context) -> list[tuple[Asset, TextPlace]]:
    """On the device what is installed, the default, smaller ones; then on the processors what is smallest."""
    ids = model.parts["text_encoder"]
    parameters = context.sizes(model.id).text_parameters

    def size(asset: Asset) -> int:
        return stored_bytes(asset, parameters)

    default = pick(ids, context)
    others = [context.catalogue.assets[one] for one in ids if one != default.id]
    good = [one for one in others if one.precision in GOOD_TEXT and one.layout != "pickle"]
    installed = [one for one in good if context.installed(one.id)]
    smaller = sorted((one for one in good if size(one) < size(default)), key=size, reverse=True)
    on_device = [default, *installed, *(one for one in smaller if one not in installed)]
    on_cpu = sorted([default, *good], key=lambda one: (not context.installed(one.id), size(one)))
    return [*((one, _DEVICE) for one in on_device), *((one, _CPU) for one in on_cpu)]


def _within_vram(plan: Plan, context: Context) -> bool:
    """Sampling fits the device, whatever the host says, and nothing smaller has failed there."""
    return context.phases_fit(plan, "sample", host=False) and not context.learned.has_failed(plan)
