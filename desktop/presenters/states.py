"""What the window can be showing about a render, one frozen dataclass each, and what a person chose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.types import Phase


@dataclass(frozen=True)
class Choices:
    """The settings that a person made in the window.

    Attributes:
        reference: picture file.
        motion: skeleton video, driving video or keypoint file.
        preset: one of ``core.types.PRESET_NAMES``.
        seed: 0 to 2^31 - 1.
        frames: 4n+1, or None for the whole motion up to the model's own length.
        prompt: text for models that read it.
    """

    reference: Path
    motion: Path
    preset: str = "turbo"
    seed: int = 0
    frames: int | None = None
    prompt: str = ""


@dataclass(frozen=True)
class Idle:
    """Nothing runs. ``cancelled`` tells that the last render was stopped by the user."""

    cancelled: bool = False


@dataclass(frozen=True)
class Rendering:
    """A render is under way.

    Attributes:
        phase: where it stands.
        fraction: 0 up to 0.99; 1 is reserved for a file that is on disk.
        remaining_s: estimate, None while there is too little to go by.
        stopping: the user asked to cancel and the engine has not confirmed yet.
    """

    phase: Phase = "start"
    fraction: float = 0.0
    remaining_s: float | None = None
    stopping: bool = False


@dataclass(frozen=True)
class Done:
    """The video is on disk.

    Attributes:
        path: the file.
        frames: length in frames.
        fps: frames a second.
        elapsed_s: from the click to the file.
        notes: sentences that the user should know.
    """

    path: Path
    frames: int
    fps: float
    elapsed_s: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failed:
    """The render ended in an error: what went wrong and what to do about it."""

    message: str
    action: str = ""


RenderState = Idle | Rendering | Done | Failed
