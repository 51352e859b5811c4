"""Small pictures of what a file holds, as lists of ``QImage``; made off the window's thread."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QImage

from core.media.read import read_frames
from core.media.thumbnails import shrink, still
from core.pose.draw import draw
from core.pose.files import load_keypoints, sidecar_of
from core.pose.motion import inspect_motion
from core.pose.skeleton import PoseTrack, threshold
from core.types import FPS

REFERENCE_SIDE = 512
MOTION_SIDE = 320
PREVIEW_FRAMES = 33
RESULT_SIDE = 1024


def reference_preview(path: Path) -> list[QImage]:
    """One picture, its longer side at most 512 pixels. Raises ``BadImage``."""
    return [to_image(still(path, REFERENCE_SIDE))]


def motion_preview(path: Path) -> list[QImage]:
    """The first two seconds at 16 fps: skeletons where there are keypoints, else the video's own frames.

    Raises:
        BadPose, BadVideo: the file cannot be read.
    """
    kind = inspect_motion(path, frames=PREVIEW_FRAMES).kind
    keypoints = path if kind == "keypoints" else sidecar_of(path)
    if kind == "skeleton" or keypoints is None:
        return _images(read_frames(path, limit=PREVIEW_FRAMES), MOTION_SIDE)
    return _skeletons(load_keypoints(keypoints))


def video_frames(path: Path) -> list[QImage]:
    """All frames of a result at 16 fps, its longer side at most 1024 pixels. Raises ``BadVideo``."""
    return _images(read_frames(path), RESULT_SIDE)


def to_image(picture: NDArray[np.uint8]) -> QImage:
    """uint8 RGB [H, W, 3] to an image that owns its pixels."""
    height, width, _ = picture.shape
    data = np.ascontiguousarray(picture)
    return QImage(data.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()


def _images(frames: Iterable[NDArray[np.uint8]], side: int) -> list[QImage]:
    return [to_image(shrink(frame, side)) for frame in frames]


def _skeletons(track: PoseTrack) -> list[QImage]:
    """The frame on screen at each sixteenth of a second."""
    scale = MOTION_SIDE / max(track.width, track.height)
    height, width = (max(1, round(side * scale)) for side in (track.height, track.width))
    count = min(PREVIEW_FRAMES, max(1, int(track.duration_s * FPS)))
    shown = [min(len(track.keypoints) - 1, int(k / FPS * track.fps)) for k in range(count)]
    poses = (threshold(track.keypoints[t], track.scores[t]) for t in shown)
    return [to_image(draw(pose, height, width, hands=False)) for pose in poses]
