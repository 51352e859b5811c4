"""The ways to run a 14B model: for each checkpoint the best use of the memory there is.

Within a budget the choices are independent of one another (each phase of a render has the memory to itself),
so each is settled by an order of its own in which more memory only ever moves up. ``ranking`` compares the
results.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from core.catalogue.catalogue import PARTS, Asset, CatalogueModel
from core.catalogue.planning.abilities import AUTO, VAE_TILES
from core.catalogue.planning.assets import file_names, pick, with_asset, with_assets
from core.catalogue.planning.attention import with_attention, without_untrained
from core.catalogue.planning.context import Context
from core.catalogue.planning.decoding import with_decoder
from core.catalogue.planning.memory import stored_bytes
from core.catalogue.planning.precision import check_precision, has_bfloat16, with_precision
from core.catalogue.presets import Preset
from core.errors import BadSetting
from core.types import Lora, Overrides, Plan

TextPlace = Literal["device", "cpu"]
_DEVICE: TextPlace = "device"
_CPU: TextPlace = "cpu"
# Text encoders that the planner falls back to by itself, when the model's default is too large.
GOOD_TEXT = ("fp32", "bf16", "fp16", "q8_0", "fp8", "int8", "q6_k", "q5_k_m")


def variants(
    base: Plan, model: CatalogueModel, context: Context, overrides: Overrides, chosen: Preset
) -> Iterator[Plan]:
    """Assessed plans for one checkpoint, best use of the memory first; they may all be too large.

    Args:
        base: what the request settles: sampling, size, frames, the user's LoRAs.
        chosen: the preset.

    Raises:
        BadSetting: a precision, an attention or a LoRA that this model does not have.
    """
    plan = _with_checkpoint(base, model, context, overrides, chosen)
    plan = with_preset_lora(plan, chosen.lora, context)
    plan = _with_coder(plan, context, overrides, chosen)
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


def _with_checkpoint(
    base: Plan, model: CatalogueModel, context: Context, overrides: Overrides, chosen: Preset
) -> Plan:
    """The plan with the model's files, its precision and its attention."""
    suited = without_untrained(overrides.attention, model, context.catalogue)
    assets: dict[str, str] = {role: pick(suited.parts[role], context).id for role in PARTS}
    plan = with_assets(replace(base, model=model.id), assets, context)
    asset = context.catalogue.assets[assets["transformer"]]
    precision = overrides.precision or AUTO
    check_precision(precision, model, asset)
    plan = with_precision(plan, asset, context.budget, precision, chosen.products)
    return with_attention(plan, overrides, chosen.attention, context.budget)


def _with_coder(plan: Plan, context: Context, overrides: Overrides, chosen: Preset) -> Plan:
    """The plan with the autoencoder's dtype and the decoder."""
    asked = None if overrides.vae_dtype == AUTO else overrides.vae_dtype
    able = context.on_gpu and has_bfloat16(context.budget)
    dtype = asked or (chosen.vae_dtype if able else "float32")
    decoder = None if overrides.decoder == AUTO else overrides.decoder
    return with_decoder(replace(plan, vae_dtype=dtype), context, decoder, chosen.decoder)


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
