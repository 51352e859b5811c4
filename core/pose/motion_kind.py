"""What a motion input is: a skeleton video, a driving clip with keypoints, or a keypoint file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from core.errors import BadPose, BadVideo
from core.media.read import glance
from core.pose.colour import has_skeleton, is_black
from core.pose.files import KEYPOINT_SUFFIXES, sidecar_of
from core.types import MotionKind

# Looked at, spread over the clip, to tell drawings from filmed pictures.
_LOOKS: Final = 6
_ACTION: Final = (
    "Give a skeleton video, keypoint JSON (OpenPose or COCO-WholeBody 133), or lay a keypoint sidecar "
    "named {name}.pose.json beside the clip."
)


def resolve(motion: Path, keypoints: Path | None, kind: MotionKind) -> tuple[MotionKind, Path | None]:
    """The kind that a motion is, never ``auto``, and its keypoint file (None for a skeleton video).

    Raises:
        BadVideo: the clip is missing or unreadable.
        BadPose: keypoints are missing where the kind needs them, or a filmed clip has none.
    """
    if not motion.exists():
        raise BadVideo(f"{motion} does not exist.", value=motion, action="Check the path.")
    if kind == "auto":
        kind = _guess(motion, keypoints)
    if kind == "skeleton":
        return kind, None
    if kind == "keypoints":
        return kind, keypoints or motion
    found = keypoints or sidecar_of(motion)
    if found is None:
        raise _no_keypoints(motion)
    return kind, found


def _guess(motion: Path, keypoints: Path | None) -> MotionKind:
    if motion.is_dir() or motion.suffix.lower() in KEYPOINT_SUFFIXES:
        return "keypoints"
    if keypoints is not None or sidecar_of(motion) is not None:
        return "driving"
    if _is_drawn(motion):
        return "skeleton"
    raise _no_keypoints(motion)


def _is_drawn(clip: Path) -> bool:
    """Whether every frame looked at is a skeleton drawing or black."""
    return all(has_skeleton(frame) or is_black(frame) for frame in glance(clip, _LOOKS))


def _no_keypoints(clip: Path) -> BadPose:
    return BadPose(
        f"{clip.name} is a filmed clip without keypoints; finding poses in a clip is not in this version.",
        value=clip,
        limit="a skeleton video or keypoints",
        action=_ACTION.format(name=clip.stem),
    )
