"""The start-gap bridge: from the reference's pose into the motion, in place of the motion's first frames.

A render begins in the pose of the reference; where the motion begins elsewhere the person would jump. So
each of the first frames blends the reference's pose with what the motion does at that frame. The motion's
weight rises smoothly from 0 to 1, so the motion is met while it moves. ``bridge_blend`` says how poses blend.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from core.pose.bridge_blend import Blend, ease
from core.pose.skeleton import PoseFrame

# In heights, the mean over the joints (``pose_gap``). From one of 16 frames a second to the next, dances move
# by 0.01 to 0.02, and finders of joints are off by as much: less does not look like a jump. One arm raised
# above the head is 0.05.
NEAR: Final = 0.02
# From here on the longest bridge: both arms from the hips to above the head and the legs astride is this.
FAR: Final = 0.12
SHORTEST: Final = 8
LONGEST: Final = 16


def bridge_frames(gap: float) -> int:
    """How many frames the bridge takes for a gap between reference and first pose in heights; 0 for none."""
    if not gap > NEAR:
        return 0
    share = min(1.0, (gap - NEAR) / (FAR - NEAR))
    return SHORTEST + round(share * (LONGEST - SHORTEST))


def bridge(
    poses: Sequence[PoseFrame | None], reference: PoseFrame, ratio: float, frames: int
) -> list[PoseFrame | None]:
    """Replace the first ``frames`` poses; at most half of them, so that most of the range stays the motion.

    Args:
        poses: the aligned motion at the output's rate, canvas fractions; None where nobody was found. A
            missing pose within the bridge is taken from the nearest frame; with none, the reference is held.
        reference: the pose of the reference on the same canvas.
        ratio: width / height of the canvas.
        frames: as ``bridge_frames`` says.

    Returns:
        As many poses: the first is the reference's, those from ``frames`` on are the motion's own.
    """
    frames = min(frames, len(poses) // 2)
    if frames <= 0:
        return list(poses)
    ahead = list(poses[: frames + 1])
    live = [pose for pose in ahead if pose is not None]
    if not live:
        return [reference] * frames + list(poses[frames:])
    times = [number for number, pose in enumerate(ahead) if pose is not None]
    weights = ease(np.linspace(0.0, 1.0, len(ahead)))
    blended = Blend(reference, _nearest(live, times, len(ahead)), ratio, weights).frames()
    return [reference, *blended[1:frames], *poses[frames:]]


def _nearest(live: Sequence[PoseFrame], times: Sequence[int], count: int) -> list[PoseFrame]:
    distances = np.abs(np.arange(count)[:, None] - np.array(times))
    return [live[int(index)] for index in distances.argmin(axis=1)]
