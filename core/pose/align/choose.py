"""Which frame of a clip the proportions are measured on."""

from __future__ import annotations

from collections.abc import Sequence

from core.pose.align.figure import figure
from core.pose.align.gap import shape_gap, shared
from core.pose.skeleton import PoseFrame


def choose_frame(
    poses: Sequence[PoseFrame | None], clip_ratio: float, reference: PoseFrame, reference_ratio: float
) -> int | None:
    """The frame whose pose is closest to the reference's, of those that show most of its joints.

    A limb is foreshortened alike in like poses, so their proportions compare best. Place and size in the
    picture do not count; among equals the earliest frame wins.

    Args:
        poses: fractions of the clip's picture, None where nobody was found.
        clip_ratio: width over height of the clip's picture.
        reference: fractions of the reference's canvas.
        reference_ratio: width over height of that canvas.

    Returns:
        Index into ``poses``; None where no frame shows anybody.
    """
    target = figure(reference, reference_ratio)
    best: tuple[int, float, int] | None = None
    for index, pose in enumerate(poses):
        if pose is None:
            continue
        person = figure(pose, clip_ratio)
        rank = (-len(shared(person, target)), shape_gap(person, target), index)
        if best is None or rank < best:
            best = rank
    return None if best is None else best[2]
