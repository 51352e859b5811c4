"""A keypoint track from the frames of a skeleton video, read back by colour."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from core.errors import BadPose
from core.pose.colour import has_skeleton, read_back
from core.pose.draw import Image
from core.pose.skeleton import BODY, JOINTS, LEFT_HAND, RIGHT_HAND, Floats, PoseFrame, PoseTrack

Check = Callable[[], None]


def track_from_frames(frames: Iterable[Image], fps: float, check: Check = lambda: None) -> PoseTrack:
    """Body and hands of each frame of a skeleton video; one frame at a time is held.

    Args:
        frames: uint8 RGB [H, W, 3], red and blue as saved by ``draw``; all of one size.
        fps: frames a second.
        check: called for each frame; may raise ``Cancelled``.

    Returns:
        one person in fractions of the picture: score 1 where a point was read, else 0. Body joints that were
        not read lie amid the others, since the negative pose turns on the neck; other points that were not
        read, and all of a frame without a skeleton, are 0, 0. A note counts skeletons that could not be read.

    Raises:
        BadPose: no frames.
    """
    points: list[Floats] = []
    scores: list[Floats] = []
    size = (0, 0)
    unread = 0
    for frame in frames:
        check()
        size = (frame.shape[1], frame.shape[0])
        pose = read_back(frame)
        unread += pose is None and has_skeleton(frame)
        places, score = _keypoints(pose)
        points.append(places)
        scores.append(score)
    if not points:
        raise BadPose(
            "The skeleton video has no frames.",
            value="0 frames",
            limit="at least 1",
            action="Check the file.",
        )
    notes = (f"{unread} of {len(points)} skeletons could not be read back by colour.",) if unread else ()
    return PoseTrack(np.stack(points)[:, None], np.stack(scores)[:, None], size[0], size[1], fps, notes)


def _keypoints(pose: PoseFrame | None) -> tuple[Floats, Floats]:
    """Places [134, 2] and scores [134] of one frame."""
    points, seen = np.zeros((JOINTS, 2)), np.zeros(JOINTS, np.bool_)
    if pose is not None:
        points[BODY], seen[BODY] = pose.body, pose.subset >= 0
        for part, hand in zip((LEFT_HAND, RIGHT_HAND), pose.hands, strict=True):
            seen[part] = (hand >= 0).all(axis=1)
            points[part][seen[part]] = hand[seen[part]]
    return points, seen.astype(np.float64)
