"""What a motion input is: a skeleton video, a driving clip with keypoints, or a keypoint file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from core.errors import BadVideo
from core.media.read import glance
from core.pose.colour import has_skeleton, is_black
from core.pose.files import KEYPOINT_SUFFIXES, sidecar_of
from core.types import MotionKind

# Looked at, spread over the clip, to tell drawings from filmed pictures.
_LOOKS: Final = 6


def resolve(motion: Path, keypoints: Path | None, kind: MotionKind) -> tuple[MotionKind, Path | None]:
    """The kind that a motion is, never ``auto``, and its keypoint file.

    A skeleton video has none; a driving clip has none where its people are to be found in the pictures.

    Raises:
        BadVideo: the clip is missing or unreadable.
    """
    if not motion.exists():
        raise BadVideo(f"{motion} does not exist.", value=motion, action="Check the path.")
    if kind == "auto":
        kind = _guess(motion, keypoints)
    if kind == "skeleton":
        return kind, None
    if kind == "keypoints":
        return kind, keypoints or motion
    return kind, keypoints or sidecar_of(motion)


def _guess(motion: Path, keypoints: Path | None) -> MotionKind:
    if motion.is_dir() or motion.suffix.lower() in KEYPOINT_SUFFIXES:
        return "keypoints"
    if keypoints is not None or sidecar_of(motion) is not None:
        return "driving"
    return "skeleton" if _is_drawn(motion) else "driving"


def _is_drawn(clip: Path) -> bool:
    """Whether every frame looked at is a skeleton drawing or black."""
    return all(has_skeleton(frame) or is_black(frame) for frame in glance(clip, _LOOKS))
