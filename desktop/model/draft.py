"""What the next render will be made from: a request in the making, where inputs may still be missing.

A ``Draft`` is a value. Everything that a person changes in the window is a change from one draft to another,
which is what undo and projects keep.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

from core.errors import BadInput
from core.types import (
    Lora,
    MediaInput,
    MotionKind,
    Output,
    Overrides,
    PoseEdit,
    PoseSettings,
    RenderRequest,
    Size,
    Trim,
)


@dataclass(frozen=True)
class Draft:
    """Settings of the next render, in the terms of ``RenderRequest``; files by path, None where not chosen.

    Attributes:
        trim: on the grid of 16 frames a second, counted from the motion's beginning.
        frames: None takes the whole selection up to the model's native length.
        seed_locked: keep the seed; else each render takes a new one.
        sound: the result carries the motion's sound.
        embed_settings: the file remembers its settings.
    """

    reference: Path | None = None
    motion: Path | None = None
    keypoints: Path | None = None
    reference_keypoints: Path | None = None
    sound_from: Path | None = None
    motion_kind: MotionKind = "auto"
    model: str = "mini"
    preset: str = "turbo"
    trim: Trim = Trim()
    size: Size | None = None
    frames: int | None = None
    seed: int = 0
    seed_locked: bool = False
    prompt: str = ""
    negative_prompt: str | None = None
    overrides: Overrides = Overrides()
    pose: PoseSettings = PoseSettings()
    pose_edits: tuple[PoseEdit, ...] = ()
    loras: tuple[Lora, ...] = ()
    device: str = "auto"
    try_anyway: bool = False
    sound: bool = True
    embed_settings: bool = True

    @property
    def complete(self) -> bool:
        """Are a reference and a motion chosen?"""
        return self.reference is not None and self.motion is not None


# Fields that a request has under the same name and in the same form.
_SAME: Final = tuple(
    field.name for field in fields(RenderRequest) if field.name in {one.name for one in fields(Draft)}
)
_FILES: Final = ("reference", "motion", "keypoints", "reference_keypoints", "sound_from")


def to_request(draft: Draft, output: Path) -> RenderRequest:
    """Everything the engine must know.

    Raises:
        BadInput: no reference or no motion is chosen.
    """
    for given, what in ((draft.reference, "reference picture"), (draft.motion, "motion")):
        if given is None:
            raise BadInput(
                f"There is no {what}.",
                value="nothing chosen",
                limit=f"one {what}",
                action="Choose one in the library, or drop a file on the window.",
            )
    values = {name: getattr(draft, name) for name in _SAME}
    for name in _FILES:
        path = getattr(draft, name)
        values[name] = None if path is None else MediaInput(str(path))
    return RenderRequest(**values, output=Output(str(output), draft.embed_settings, draft.sound))


def from_request(request: RenderRequest) -> Draft:
    """The draft that gives this request again; its seed, the one that was rendered, is locked."""
    values = {name: getattr(request, name) for name in _SAME}
    for name in _FILES:
        given: MediaInput | None = getattr(request, name)
        values[name] = None if given is None else Path(given.path)
    return Draft(
        **values, seed_locked=True, sound=request.output.sound, embed_settings=request.output.embed_settings
    )


def selection_of(draft: Draft, duration_s: float) -> tuple[float, float]:
    """Start and end of the selection in seconds of the motion, for an input of this length."""
    end_s = duration_s if draft.trim.end_s is None else min(draft.trim.end_s, duration_s)
    return min(draft.trim.start_s, end_s), end_s


def changed(draft: Draft, **values: object) -> Draft:
    """The draft with some fields replaced; a new motion takes what belonged to the old one away."""
    if "motion" in values and values["motion"] != draft.motion:
        pose = replace(draft.pose, align_frame_s=None, person=None)
        fresh = {"trim": Trim(), "keypoints": None, "sound_from": None, "motion_kind": "auto", "pose": pose}
        values = {**fresh, "pose_edits": (), "frames": None, **values}
    if "reference" in values and values["reference"] != draft.reference:
        fresh = {"reference_keypoints": None, "size": None}
        kept = values.get("pose", draft.pose)
        assert isinstance(kept, PoseSettings)
        values = {**fresh, **values, "pose": replace(kept, reference_person=None)}
    return replace(draft, **values)  # type: ignore[arg-type]
