"""Fitted poses as a track of keypoints, ready to be written and drawn again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.pose.limbs import Bools, seen_points
from core.pose.people import MAX_FRACTION
from core.pose.prepare import Prepared
from core.pose.skeleton import BODY, FACE, JOINTS, LEFT_HAND, RIGHT_HAND, Floats, PoseFrame, PoseTrack


def fitted_track(ready: Prepared, canvas_hw: tuple[int, int], fps: float) -> PoseTrack:
    """The poses on the reference's canvas, marked as aligned where they were fitted.

    What is drawn scores 1, all else 0; feet are not fitted and left out.

    Args:
        ready: prepared at ``fps``.
        canvas_hw: height and width of the reference's canvas.
        fps: frames a second.
    """
    points = np.zeros((len(ready.poses), 1, JOINTS, 2))
    scores = np.zeros((len(ready.poses), 1, JOINTS))
    for frame, (pose, before) in enumerate(zip(ready.poses, ready.found, strict=True)):
        if pose is not None:
            # Upstream shifts points that are not drawn: what was found tells them, except in the transition.
            seen = _seen(pose if frame < ready.bridged or before is None else before)
            points[frame, 0], scores[frame, 0] = _placed(pose, seen)
    height, width = canvas_hw
    return PoseTrack(points, scores, width, height, fps, ready.notes, ready.fit is not None)


def _seen(pose: PoseFrame) -> Bools:
    """[134] what of a pose is drawn."""
    seen = np.zeros(JOINTS, np.bool_)
    seen[BODY] = pose.subset >= 0
    for part, points in _parts(pose):
        seen[part] = seen_points(points)
    return seen


def _placed(pose: PoseFrame, seen: Bools) -> tuple[Floats, Floats]:
    """[134, 2] points and [134] scores; body joints that are not drawn keep their places."""
    points = np.zeros((JOINTS, 2))
    points[BODY] = pose.body
    for part, places in _parts(pose):
        points[part] = np.where(seen[part][:, None], places, 0.0)
    # Upstream's scales may be infinite; no file holds that.
    near = np.asarray((np.abs(points) <= MAX_FRACTION).all(axis=-1))
    return np.where(near[:, None], points, 0.0), (seen & near).astype(np.float64)


def _parts(pose: PoseFrame) -> Sequence[tuple[slice, Floats]]:
    return (LEFT_HAND, pose.hands[0]), (RIGHT_HAND, pose.hands[1]), (FACE, pose.faces)
