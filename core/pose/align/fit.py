"""What has to be done to a clip's poses so that they fit the person in the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.pose.align.chain import carry
from core.pose.align.figure import HIPS, SHOULDERS, Bools, Figure, figure
from core.pose.align.scales import Scales, exact_scales, guarded_scales
from core.pose.skeleton import NECK, Floats, PoseFrame

# Which joints are laid on those of the reference: the first group that both figures show.
_ANCHORS: Final = ((NECK,), SHOULDERS, (0,), HIPS)


@dataclass(frozen=True)
class Fit:
    """Measured once, on the align frame, and used for all frames of a clip.

    Attributes:
        scales: lengths of the reference over those of the clip.
        offset: [2] heights, added after scaling: neck of the reference minus neck of the align frame.
        clip_ratio: width over height of the clip's picture.
        reference_ratio: width over height of the reference's canvas.
    """

    scales: Scales
    offset: Floats
    clip_ratio: float
    reference_ratio: float


def fit(
    reference: PoseFrame, reference_ratio: float, frame: PoseFrame, clip_ratio: float, exact: bool = False
) -> Fit:
    """Measure the reference against the clip's align frame (spec 6.3).

    Args:
        reference: fractions of the reference's canvas.
        reference_ratio: width over height of that canvas.
        frame: the align frame, fractions of the clip's picture.
        clip_ratio: width over height of that picture.
        exact: as upstream, infinite scales and unseen joints included; for goldens and comparisons.

    Returns:
        Everything finite unless ``exact``.
    """
    if exact:
        theirs, ours = _unguarded(reference, reference_ratio), _unguarded(frame, clip_ratio)
        offset = theirs.points[NECK] - ours.points[NECK]
        return Fit(exact_scales(theirs, ours), offset, clip_ratio, reference_ratio)
    theirs, ours = figure(reference, reference_ratio), figure(frame, clip_ratio)
    scales = guarded_scales(theirs, ours)
    return Fit(scales, _offset(theirs, ours, scales), clip_ratio, reference_ratio)


def _offset(reference: Figure, frame: Figure, scales: Scales) -> Floats:
    """Deliberate: where a neck is not seen, upstream would shift the person by an unknown (0, 0)."""
    body, _ = carry(frame, np.zeros((2, 21, 2)), scales)
    common: Bools = reference.seen & frame.seen
    anchors: list[Sequence[int]] = [*_ANCHORS, np.flatnonzero(common).tolist()]
    for joints in anchors:
        chosen = list(joints)
        if chosen and common[chosen].all():
            return np.asarray((reference.points[chosen] - body[chosen]).mean(axis=0), np.float64)
    if reference.seen.any() and frame.seen.any():
        middle = reference.points[reference.seen].mean(axis=0) - body[frame.seen].mean(axis=0)
        return np.asarray(middle, np.float64)
    return np.zeros(2)


def _unguarded(pose: PoseFrame, ratio: float) -> Figure:
    return Figure(pose.body * [ratio, 1.0], pose.subset >= 0)
