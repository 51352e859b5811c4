"""Poses of a clip, laid onto the reference's canvas."""

from __future__ import annotations

import numpy as np

from core.pose.align.chain import carry, carry_exact
from core.pose.align.figure import figure
from core.pose.align.fit import Fit
from core.pose.skeleton import Floats, PoseFrame

_NOT_DRAWN = -1.0


def apply(pose: PoseFrame, fit: Fit, exact: bool = False) -> PoseFrame:
    """One pose at the reference's proportions (spec 6.3); face points move along unaligned.

    Args:
        pose: fractions of the clip's picture.
        fit: measured on the clip's align frame.
        exact: as upstream. Else unseen joints hold nothing, and points that are not drawn stay at (-1, -1)
            where upstream shifts them along and may bring them into the picture.

    Returns:
        Fractions of the reference's canvas, outside of 0..1 where a limb leaves it; finite unless the
        coordinates given are too large.
    """
    return _exact(pose, fit) if exact else _guarded(pose, fit)


def _guarded(pose: PoseFrame, fit: Fit) -> PoseFrame:
    shape = figure(pose, fit.clip_ratio)
    body, hands = carry(shape, pose.hands * [fit.clip_ratio, 1.0], fit.scales)
    faces = pose.faces * [fit.clip_ratio, 1.0]
    subset = np.where(np.isfinite(pose.body).all(axis=1), pose.subset, -1)
    return PoseFrame(
        _placed(body, fit),
        subset,
        _where_drawn(pose.hands, _placed(hands, fit)),
        _where_drawn(pose.faces, _placed(faces, fit)),
    )


def _exact(pose: PoseFrame, fit: Fit) -> PoseFrame:
    wide = [fit.clip_ratio, 1.0]
    with np.errstate(invalid="ignore", over="ignore"):
        body, hands = carry_exact(pose.body * wide, pose.hands * wide, fit.scales)
    moved = []
    for before, after in ((pose.body, body), (pose.hands, hands), (pose.faces, pose.faces * wide)):
        kept = np.where(before == _NOT_DRAWN, _NOT_DRAWN, after)
        moved.append(_placed(np.nan_to_num(kept, nan=_NOT_DRAWN), fit))
    return PoseFrame(moved[0], pose.subset, moved[1], moved[2])


def _placed(points: Floats, fit: Fit) -> Floats:
    """Heights of the clip to fractions of the reference's canvas."""
    return np.asarray((points + fit.offset) / [fit.reference_ratio, 1.0], np.float64)


def _where_drawn(before: Floats, after: Floats) -> Floats:
    drawn = (before != _NOT_DRAWN).any(axis=-1, keepdims=True) & np.isfinite(before).all(-1, keepdims=True)
    return np.where(drawn, after, _NOT_DRAWN)
