"""Looks at the files of a draft; called on threads, so imports what reads video only then."""

from __future__ import annotations

from pathlib import Path

from core.types import MotionKind, Trim
from desktop.model.facts import MotionFacts, PictureFacts


def picture_facts(path: Path) -> PictureFacts:
    """Size of a picture. Raises ``BadImage``."""
    from core.media.images import image_size

    width, height = image_size(path)
    return PictureFacts(path, width, height)


def motion_facts(path: Path, keypoints: Path | None, kind: MotionKind) -> MotionFacts:
    """Kind, length and size of a motion. Raises ``BadVideo`` or ``BadPose``."""
    from core.media.probe import probe_video
    from core.pose.motion_input import open_motion

    opened = open_motion(path, keypoints, kind, Trim())
    info = opened.info
    clip = None if info.kind == "keypoints" else path
    if clip is not None:
        video = probe_video(clip)
        width, height = video.width, video.height
    else:
        assert opened.track is not None, "keypoints have a track"
        width, height = round(opened.track.width), round(opened.track.height)
    return MotionFacts(
        path, info.kind, info.duration_s, info.fps, width, height, info.has_sound, clip, info.notes
    )
