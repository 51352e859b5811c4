"""What is known of the chosen files once they were looked at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.types import MotionKind


@dataclass(frozen=True)
class PictureFacts:
    """A readable picture: width and height in pixels, upright."""

    path: Path
    width: int
    height: int


@dataclass(frozen=True)
class MotionFacts:
    """A readable motion.

    Attributes:
        kind: skeleton, driving or keypoints.
        duration_s: seconds of the whole input; fps: its own frames a second.
        width, height: in pixels, upright; of a keypoint file those of its canvas.
        clip: what can be played: the motion itself, or the clip that a keypoint file belongs to; None where
            there are keypoints alone.
        notes: assumptions made while reading.
    """

    path: Path
    kind: MotionKind
    duration_s: float
    fps: float
    width: int
    height: int
    has_sound: bool
    clip: Path | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trouble:
    """Why a file cannot be used: what is wrong, and the way out."""

    path: Path
    message: str
    action: str = ""


@dataclass(frozen=True)
class Facts:
    """Of both inputs; None while they are looked at or not chosen."""

    reference: PictureFacts | Trouble | None = None
    motion: MotionFacts | Trouble | None = None

    @property
    def picture(self) -> PictureFacts | None:
        """The reference, if it is readable."""
        return self.reference if isinstance(self.reference, PictureFacts) else None

    @property
    def clip(self) -> MotionFacts | None:
        """The motion, if it is readable."""
        return self.motion if isinstance(self.motion, MotionFacts) else None
