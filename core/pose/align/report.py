"""What can be told about a fitted motion before it is rendered: figures, a score and plain warnings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from core.pose.align.figure import MAIN, Bools, figure
from core.pose.align.fit import Fit
from core.pose.align.gap import pose_gap
from core.pose.align.warnings import Evidence, leaves, spread, warnings
from core.pose.skeleton import PoseFrame

# Points that can be lost, and from where to where: nothing up to the first value, all from the second on.
_UNSEEN: Final = (40.0, 0.0, 0.5)
_OUT: Final = (20.0, 0.05, 1.0)
_DOUBLINGS: Final = (15.0, 0.5, 2.0)
_SPREAD: Final = (10.0, 1.5, 3.0)
_START: Final = (10.0, 0.08, 0.35)
_AWAY: Final = (20.0, 0.1, 1.0)


@dataclass(frozen=True)
class PoseReport:
    """Whether a motion will work for a reference.

    Attributes:
        keypoints_seen: 0..1, share of nose, neck, arms, hips and legs that was seen, over all frames (a frame
            that shows nobody counts as 0); of these joints only those that the reference shows.
        scale_ratio: size of the person in the reference over that of the dancer, both in their picture's
            height: the median of the scales; 1 where nothing was fitted.
        out_of_frame: 0..1, share of the frames with somebody in which a body joint that is drawn lies outside
            the canvas.
        start_gap: heights of the canvas between the reference's pose and the first one of the motion.
        score: 0..100. Of 100 points up to 40 are lost for unseen joints, 20 for frames out of the picture,
            20 for facing another way than the reference, 15 for unlike sizes, 10 for unlike proportions and
            10 for a far start. 0 where nobody was found. From about 75 on little speaks against a render.
        warnings: sentences that say what is wrong and what to do.
    """

    keypoints_seen: float
    scale_ratio: float
    out_of_frame: float
    start_gap: float
    score: int
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The object of ``pirouette pose check --json``."""
        return {**asdict(self), "warnings": list(self.warnings)}


def report(
    found: Sequence[PoseFrame | None],
    fitted: Sequence[PoseFrame | None],
    reference: PoseFrame | None,
    reference_ratio: float,
    fit: Fit | None,
) -> PoseReport:
    """Look over a motion.

    Args:
        found: poses of the range, fractions of the clip's picture, None where nobody was found.
        fitted: the same frames as they will be drawn, fractions of the reference's canvas, before any
            transition from the reference's pose is put in front.
        reference: the reference's pose, fractions of its canvas; None where it is not known.
        reference_ratio: width over height of that canvas.
        fit: how ``fitted`` was made; None where poses are used as they are.
    """
    evidence = Evidence(found, fitted, reference, reference_ratio, fit)
    seen = _seen(found, reference, reference_ratio)
    ratio = _scale_ratio(fit)
    out = _share([leaves(pose, range(18)) for pose in fitted if pose is not None])
    first = next((pose for pose in fitted if pose is not None), None)
    gap = pose_gap(reference, first, reference_ratio) if reference and first else 0.0
    lost = [
        _lost(1 - seen, _UNSEEN),
        _lost(out, _OUT),
        _lost(abs(math.log2(ratio)), _DOUBLINGS),
        _lost(spread(fit), _SPREAD),
        _lost(gap, _START),
        _lost(evidence.away(), _AWAY),
    ]
    score = max(0, round(100 - sum(lost))) if first else 0
    return PoseReport(seen, ratio, out, gap, score, warnings(evidence, ratio, gap))


def _scale_ratio(fit: Fit | None) -> float:
    """The median of the scales; an exact fit may have some that are 0 or infinite."""
    scales = [value for value in fit.scales.values().values() if 0 < value < math.inf] if fit else []
    return float(np.median(scales)) if scales else 1.0


def _seen(found: Sequence[PoseFrame | None], reference: PoseFrame | None, ratio: float) -> float:
    wanted: Bools = np.ones(14, np.bool_)
    if reference is not None:
        shown = figure(reference, ratio).seen[MAIN]
        wanted = shown if shown.any() else wanted
    return _share([_seen_share(pose, wanted) for pose in found])


def _seen_share(pose: PoseFrame | None, wanted: Bools) -> float:
    return 0.0 if pose is None else float(figure(pose, 1.0).seen[MAIN][wanted].mean())


def _share(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _lost(value: float, rule: tuple[float, float, float]) -> float:
    points, start, end = rule
    return points * min(1.0, max(0.0, (value - start) / (end - start)))
