"""Options that make a ``RenderRequest``, for every command that takes them: ``render`` and the queue's."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final, get_args

from core.catalogue.presets import parse_size
from core.cli import pose_options, speed_options
from core.errors import BadSetting
from core.types import (
    MODEL_IDS,
    PRESET_NAMES,
    Lora,
    MediaInput,
    MotionKind,
    Output,
    Overrides,
    RenderRequest,
    Sampler,
)

# Where each option ends up in a request: what `queue edit` changes and leaves alone.
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "reference": ("reference",),
    "motion": ("motion",),
    "output": ("output", "path"),
    "no_sound": ("output", "sound"),
    "keypoints": ("keypoints",),
    "motion_kind": ("motion_kind",),
    "model": ("model",),
    "preset": ("preset",),
    "steps": ("overrides", "steps"),
    "seed": ("seed",),
    "frames": ("frames",),
    "size": ("size",),
    "device": ("device",),
    "start": ("trim", "start_s"),
    "end": ("trim", "end_s"),
    "align": ("pose", "align"),
    "align_frame": ("pose", "align_frame_s"),
    "no_bridge": ("pose", "bridge"),
    "pose_edit": ("pose_edits",),
    "reference_person": ("pose", "reference_person"),
    "reference_keypoints": ("reference_keypoints",),
    "pose_engine": ("pose", "engine"),
    "person": ("pose", "person"),
    "smoothing": ("pose", "smoothing"),
    "prompt": ("prompt",),
    "negative_prompt": ("negative_prompt",),
    "guidance": ("overrides", "guidance_scale"),
    "condition_guidance": ("overrides", "condition_guidance_scale"),
    "sampler": ("overrides", "sampler"),
    "shift": ("overrides", "shift"),
    "sound": ("sound_from",),
    "lora": ("loras",),
    **{name: ("overrides", name) for name in speed_options.FIELDS},
    "try_anyway": ("try_anyway",),
}


def add_files(parser: argparse.ArgumentParser, several: bool = False, required: bool = True) -> None:
    """``--reference`` and ``--motion``.

    Args:
        several: any number of each, as lists.
    """
    many: dict[str, Any] = {"action": "extend", "nargs": "+"} if several else {}
    parser.add_argument(
        "--reference", required=required, metavar="IMG", help="PNG, JPEG or WebP of the person", **many
    )
    parser.add_argument(
        "--motion",
        required=required,
        metavar="FILE",
        help="skeleton video, driving video or keypoints (JSON, NPZ or a folder)",
        **many,
    )


def add_request(parser: argparse.ArgumentParser) -> None:
    """Everything of a render but its reference, motion and output."""
    parser.add_argument(
        "--keypoints",
        metavar="FILE",
        help="keypoints of the driving video (default: its sidecar, else found)",
    )
    kinds = get_args(MotionKind)
    parser.add_argument("--motion-kind", default="auto", choices=kinds, help="what the motion file is")
    add_model(parser, default_model="mini")
    pose_options.add_range(parser)
    pose_options.add_align(parser)
    pose_options.add_fitting(parser)
    pose_options.add_finding(parser, "--pose-engine")
    parser.add_argument("--prompt", default="", help="text, for models that read it")
    parser.add_argument("--negative-prompt", help="what to avoid (default: the model's own)")
    parser.add_argument("--guidance", type=float, metavar="G", help="strength of the prompt")
    parser.add_argument(
        "--condition-guidance", type=float, metavar="K", help="strength of the pose; 0 is off"
    )
    parser.add_argument(
        "--sampler",
        choices=get_args(Sampler),
        help="unipc suits all weights, euler distilled LoRAs, rcm their own",
    )
    parser.add_argument("--shift", type=float, help="flow shift")
    parser.add_argument("--sound", metavar="CLIP", help="take the sound from this clip (default: the motion)")
    parser.add_argument("--no-sound", action="store_true", help="leave the driving clip's sound out")
    parser.add_argument(
        "--lora",
        action="append",
        default=[],
        metavar="FILE[:STRENGTH]",
        help="a LoRA, strength 1 unless given",
    )
    speed_options.add_speed(parser)
    parser.add_argument(
        "--try-anyway", action="store_true", help="render although the plan does not fit this machine"
    )


def add_model(parser: argparse.ArgumentParser, default_model: str) -> None:
    """Options of everything that renders."""
    parser.add_argument("--model", default=default_model, metavar="ID", help=", ".join(MODEL_IDS))
    parser.add_argument("--preset", default="turbo", metavar="P", help=", ".join(PRESET_NAMES))
    parser.add_argument("--steps", type=int, metavar="N", help="sampling steps")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--frames", type=int, metavar="N", help="length, 4n+1 frames at 16 fps")
    parser.add_argument("--size", metavar="WxH", help="area budget; the ratio follows the reference")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda:UUID")


def request_of(options: argparse.Namespace, reference: str, motion: str, output: str) -> RenderRequest:
    """The request that the options of ``add_request`` describe.

    Raises:
        BadSetting: a value that cannot be read.
    """
    return RenderRequest(
        reference=MediaInput(reference),
        motion=MediaInput(motion),
        output=Output(output, sound=not options.no_sound),
        keypoints=_media(options.keypoints),
        motion_kind=options.motion_kind,
        model=options.model,
        preset=options.preset,
        trim=pose_options.trim(options),
        size=parse_size(options.size) if options.size else None,
        frames=options.frames,
        seed=options.seed,
        prompt=options.prompt,
        negative_prompt=options.negative_prompt,
        overrides=Overrides(
            steps=options.steps,
            sampler=options.sampler,
            shift=options.shift,
            guidance_scale=options.guidance,
            condition_guidance_scale=options.condition_guidance,
            **speed_options.speed_overrides(options),
        ),
        loras=tuple(parse_lora(text) for text in options.lora),
        device=options.device,
        sound_from=_media(options.sound),
        try_anyway=options.try_anyway,
        pose=pose_options.pose_settings(options),
        pose_edits=pose_options.pose_edits(options),
        reference_keypoints=_media(options.reference_keypoints),
    )


def add_changes(parser: argparse.ArgumentParser) -> None:
    """The options of a render, none of them needed: ``changed`` takes those that are given."""
    add_files(parser, required=False)
    parser.add_argument("-o", "--output", metavar="OUT.mp4", help="the video to write")
    add_request(parser)
    parser.add_argument(
        "--reset",
        action="append",
        default=[],
        metavar="OPTION",
        help="go back to the default of an option, such as --reset frames; may be given again",
    )
    # What is not given is None, so that it can be told from a default that is given. The defaults wait.
    parser.set_defaults(defaults={name: parser.get_default(name) for name in FIELDS}, **dict.fromkeys(FIELDS))


def changed(request: RenderRequest, options: argparse.Namespace) -> RenderRequest:
    """The request with what the options of ``add_changes`` say; everything else stays.

    Keypoints belong to their clip or picture: another one drops them unless new ones are given. So does that
    a clip is a driving one, which may only have been seen by its keypoints.

    Raises:
        BadSetting: a value that cannot be read, or ``--reset`` of something that has no default.
    """
    resets = {_option(name) for name in options.reset}
    given = {name for name in FIELDS if getattr(options, name) is not None}
    for files, keypoints in (("motion", "keypoints"), ("reference", "reference_keypoints")):
        if files in given and keypoints not in given:
            resets.add(keypoints)
    if "motion" in given and "motion_kind" not in given and request.motion_kind == "driving":
        resets.add("motion_kind")
    values = {name: getattr(options, name) if name in given else options.defaults[name] for name in FIELDS}
    fresh = request_of(
        argparse.Namespace(**values),
        values["reference"] or request.reference.path,
        values["motion"] or request.motion.path,
        values["output"] or request.output.path,
    )
    return _taken_over(request, fresh, given | resets)


def changes_anything(options: argparse.Namespace) -> bool:
    """Whether ``changed`` has something to do."""
    return bool(options.reset) or any(getattr(options, name) is not None for name in FIELDS)


def parse_lora(text: str) -> Lora:
    """``FILE`` or ``FILE:STRENGTH``; what follows the last colon is a strength only where it is a number."""
    path, _, strength = text.rpartition(":")
    try:
        return Lora(path, float(strength)) if path else Lora(text)
    except ValueError:
        return Lora(text)


def _taken_over(old: RenderRequest, fresh: RenderRequest, names: Collection[str]) -> RenderRequest:
    for name in FIELDS:
        if name not in names:
            continue
        first, *rest = FIELDS[name]
        value = getattr(fresh, first)
        if rest:
            value = replace(getattr(old, first), **{rest[0]: getattr(value, rest[0])})
        old = replace(old, **{first: value})
    return old


def _option(text: str) -> str:
    name = text.lstrip("-").replace("-", "_")
    if name not in FIELDS or name in ("reference", "motion", "output"):
        raise BadSetting(
            f"'{text}' is no option that has a default.",
            value=text,
            limit=", ".join(option.replace("_", "-") for option in FIELDS),
            action="Name an option without its dashes, such as --reset frames.",
        )
    return name


def _media(path: str | None) -> MediaInput | None:
    return MediaInput(path) if path else None
