"""A request's settings, resolved and checked: sampling, size, length. No machine is looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

from core.catalogue.entries import ModelEntry
from core.catalogue.planning.abilities import CHOICES
from core.catalogue.planning.attention import check_attention
from core.catalogue.presets import Preset
from core.errors import BadSetting, BadVideo
from core.geometry import TEMPORAL_STRIDE, fit_frames
from core.pose.edit import check_edits
from core.pose.prepare import check_settings
from core.types import FPS, Overrides, RenderRequest, Sampler, Sampling, Size

# Closed ranges of numbers in a request.
RANGES: dict[str, tuple[float, float]] = {
    "steps": (1, 100),
    "shift": (0.1, 20.0),
    "guidance_scale": (0.0, 20.0),
    "condition_guidance_scale": (0.0, 10.0),
    "condition_guidance_start": (0.0, 1.0),
    "condition_guidance_end": (0.0, 1.0),
}
RCM_STEPS = (1, 4)
SEEDS = (0, 2**63 - 1)
LORA_STRENGTHS = (-10.0, 10.0)
SAMPLERS = get_args(Sampler)
_NAMES = {
    "steps": "number of steps",
    "guidance_scale": "guidance",
    "condition_guidance_scale": "condition guidance",
    "condition_guidance_start": "start of the condition guidance window",
    "condition_guidance_end": "end of the condition guidance window",
}


def check_request(request: RenderRequest, model: ModelEntry) -> None:
    """Refuse what this version cannot do, rather than leave it out in silence.

    Raises:
        BadSetting: a choice that the engine does not have for this model.
    """
    for name, choices in CHOICES[model.family].items():
        value = getattr(request.overrides, name)
        if value is not None and value not in choices:
            refuse_choice(name, value, choices)
    check_attention(request.overrides)
    check_settings(request.pose)
    check_edits(request.pose_edits)
    if request.loras and model.family == "mini":
        raise BadSetting(
            "The embedded model takes no LoRAs.",
            value=request.loras[0].path,
            action="Leave the LoRAs out, or choose a 14B model.",
        )
    for lora in request.loras:
        check_range("strength of a LoRA", lora.strength, *LORA_STRENGTHS)
    check_range("seed", request.seed, *SEEDS)


def resolve_sampling(base: Sampling, overrides: Overrides) -> Sampling:
    """The preset's sampling with the overrides that are set, every number checked."""
    names = [*RANGES, "sampler"]
    given = {name: getattr(overrides, name) for name in names}
    sampling = replace(base, **{name: value for name, value in given.items() if value is not None})
    if sampling.sampler not in SAMPLERS:
        refuse_choice("sampler", sampling.sampler, SAMPLERS)
    for name, (lowest, highest) in RANGES.items():
        check_range(_NAMES.get(name, name), getattr(sampling, name), lowest, highest)
    if sampling.sampler.startswith("rcm"):
        check_range("number of steps of the rCM sampler", sampling.steps, *RCM_STEPS)
    if sampling.condition_guidance_start > sampling.condition_guidance_end:
        raise BadSetting(
            "The condition guidance window ends before it starts.",
            value=f"{sampling.condition_guidance_start} to {sampling.condition_guidance_end}",
            limit="start at most end",
            action="Exchange the two numbers.",
        )
    return sampling


def resolve_size(asked: Size | None, chosen: Preset, model: ModelEntry) -> Size:
    """The area budget: asked for, the preset's (never above what the model takes), or the model's own.

    Raises:
        BadSetting: out of the model's range.
    """
    size = asked or chosen.size or model.native_size
    if asked is None and not model.smallest_area <= size.area <= model.largest_area:
        size = model.native_size
    if min(size.width, size.height) < 1 or not model.smallest_area <= size.area <= model.largest_area:
        native = model.native_size
        raise BadSetting(
            f"The size {size.width}x{size.height} is out of range for {model.id}.",
            value=f"{size.width}x{size.height} = {size.area} pixels",
            limit=f"{model.smallest_area} to {model.largest_area} pixels",
            action=f"Use a size such as {native.width}x{native.height}.",
        )
    return size


def resolve_frames(asked: int | None, available: int, model: ModelEntry) -> tuple[int, str]:
    """Frames to render (4n+1) and why.

    Raises:
        BadVideo: the selection holds no frame.
        BadSetting: a length that cannot be rendered.
    """
    if available < 1:
        raise BadVideo(
            "The selected part of the motion holds no frame.",
            value=available,
            limit="at least one frame at 16 fps",
            action="Choose a longer part.",
        )
    if asked is not None:
        check_frames(asked, model.native_frames)
    frames = fit_frames(available, asked or model.native_frames)
    length = f"{frames} frames, {frames / FPS:.2f} s"
    if asked == frames:
        return frames, f"Length: {length}, as asked."
    if available < (asked or model.native_frames):
        return frames, f"Length: {length}, because the motion has {available} frames at {FPS} fps."
    return frames, f"Length: {length}, the model's native length."


def check_frames(frames: int, native: int) -> None:
    """Raises ``BadSetting`` with the nearest choices unless ``frames`` is 4n+1 and at most ``native``."""
    if 1 <= frames <= native and (frames - 1) % TEMPORAL_STRIDE == 0:
        return
    below = fit_frames(max(1, frames), native)
    choices = [below] if frames > native or frames < 1 else [below, below + TEMPORAL_STRIDE]
    raise BadSetting(
        f"{frames} frames cannot be rendered: it must be one more than a multiple of four, at most {native}.",
        value=frames,
        limit=f"4n+1, at most {native}",
        action=f"Use {' or '.join(map(str, choices))} frame{'' if choices == [1] else 's'}.",
    )


def check_range(name: str, value: Any, lowest: float, highest: float) -> None:
    """Closed range; a NaN lies in none."""
    if not lowest <= value <= highest:
        limit = f"{lowest:g} to {highest:g}" if isinstance(highest, float) else f"{lowest} to {highest}"
        raise BadSetting(
            f"The {name} is out of range: {value}.",
            value=value,
            limit=limit,
            action=f"Choose a value from {limit}.",
        )


def refuse_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raises ``BadSetting`` with the choices there are."""
    raise BadSetting(
        f"The {name} '{value}' is not available.",
        value=value,
        limit=", ".join(choices),
        action=f"Choose {' or '.join(choices)}.",
    )


def sampling_reason(request: RenderRequest, sampling: Sampling) -> str:
    """What the preset and the overrides come to."""
    words = (
        f"Preset {request.preset}: {sampling.steps} steps with {sampling.sampler}, shift {sampling.shift:g}"
    )
    guidance = (
        f"guidance {sampling.guidance_scale:g}, condition guidance {sampling.condition_guidance_scale:g}"
    )
    return f"{words}, {guidance}."


def size_reason(request: RenderRequest, chosen: Preset, size: Size) -> str:
    """Whose size it is."""
    source = (
        "as asked" if request.size else "the preset's" if size == chosen.size else "the model's native size"
    )
    return f"Area of {size.width}x{size.height}, {source}; the ratio follows the reference."
