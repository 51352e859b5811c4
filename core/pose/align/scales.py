"""How much longer the reference's limbs are than those of the clip's align frame.

Source: SteadyDancer, preprocess/pose_align.py; golden ``pose_align_*``. What is not upstream's is marked as
deliberate; reasons in docs/decisions/0008-pose-alignment.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from core.pose.align.figure import HIPS, Figure
from core.pose.skeleton import NECK, Floats

Segment = tuple[int, int]
Path = tuple[Segment, ...]

# Of a ratio to the median of all measured ones; beyond it a limb points at the camera or a joint is wrong.
TRUSTED: Final = (0.2, 5.0)
_MID_HIPS: Final = 18
# Lengths along a path are added up before the ratio is taken; ratios of several paths (sides) are averaged.
_PATHS: Final[Mapping[str, tuple[Path, ...]]] = {
    "neck": (((0, NECK),),),
    "face_left": (((16, 14), (14, 0)),),
    "face_right": (((17, 15), (15, 0)),),
    "shoulder": (((2, 5),),),
    "arm_upper": (((2, 3),), ((5, 6),)),
    "arm_lower": (((3, 4),), ((6, 7),)),
    "body_len": (((NECK, _MID_HIPS),),),
    "leg_upper": (((8, 9),), ((11, 12),)),
    "leg_lower": (((9, 10),), ((12, 13),)),
}
# Measured instead where nothing of a scale's own paths is seen.
_SPARE: Final[Mapping[str, tuple[Path, ...]]] = {"body_len": (((NECK, 8),), ((NECK, 11),))}
# Whose ratios say most about a scale that cannot be measured.
_RELATED: Final[Mapping[str, tuple[str, ...]]] = {
    "neck": ("face_left", "face_right", "shoulder", "body_len"),
    "face_left": ("face_right",),
    "face_right": ("face_left",),
    "shoulder": ("body_len", "neck"),
    "arm_upper": ("arm_lower",),
    "arm_lower": ("arm_upper",),
    "body_len": ("shoulder", "leg_upper", "leg_lower"),
    "leg_upper": ("leg_lower",),
    "leg_lower": ("leg_upper",),
}


@dataclass(frozen=True)
class Scales:
    """Lengths of the reference over those of the align frame, both in their picture's height."""

    neck: float
    face_left: float
    face_right: float
    shoulder: float
    arm_upper: float
    arm_lower: float
    hand: float
    body_len: float
    leg_upper: float
    leg_lower: float

    def values(self) -> dict[str, float]:
        """By name, in the goldens' order."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}


def exact_scales(reference: Figure, frame: Figure) -> Scales:
    """Upstream's, unseen joints and all: 0 / 0 counts as 1, a length over 0 stays infinite."""
    theirs, ours = _with_hips(reference), _with_hips(frame)
    found: dict[str, float] = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for name, paths in _PATHS.items():
            ratios = [np.divide(_length(theirs, path), _length(ours, path)) for path in paths]
            found[name] = float(np.mean(ratios))
        # Before a NaN becomes 1: upstream's hand is then 1 as well, not the mean with the other part.
        found["hand"] = (found["arm_upper"] + found["arm_lower"]) / 2
    return Scales(**{name: 1.0 if np.isnan(value) else value for name, value in found.items()})


def guarded_scales(reference: Figure, frame: Figure) -> Scales:
    """Upstream's where all can be measured, else what the limbs that can be measured suggest.

    Deliberate: only segments seen in both figures count, a limb seen on one side stands for both, and ratios
    that are not finite or far from the others are left out. A scale without any ratio takes the median of
    related ones, then of all, then 1. Always finite and above 0.
    """
    measured = {name: _ratios(reference, frame, paths) for name, paths in _PATHS.items()}
    for name, paths in _SPARE.items():
        measured[name] = measured[name] or _ratios(reference, frame, paths)
    every = [ratio for ratios in measured.values() for ratio in ratios]
    middle = float(np.median(every)) if every else 1.0
    low, high = TRUSTED[0] * middle, TRUSTED[1] * middle
    trusted = {name: [r for r in ratios if low <= r <= high] for name, ratios in measured.items()}
    known = {name: float(np.mean(ratios)) for name, ratios in trusted.items() if ratios}
    full = {name: known[name] if name in known else _guess(name, known) for name in _PATHS}
    return Scales(hand=(full["arm_upper"] + full["arm_lower"]) / 2, **full)


def _guess(name: str, known: Mapping[str, float]) -> float:
    related = [known[other] for other in _RELATED[name] if other in known]
    values = related or list(known.values())
    return float(np.median(values)) if values else 1.0


def _ratios(reference: Figure, frame: Figure, paths: tuple[Path, ...]) -> list[float]:
    """Finite ratios above 0 of the paths, each over its segments that both figures show."""
    seen = reference.seen & frame.seen
    seen = np.append(seen, seen[list(HIPS)].all())
    theirs, ours = _with_hips(reference), _with_hips(frame)
    found = []
    for path in paths:
        shown = tuple(segment for segment in path if seen[list(segment)].all())
        above, below = _length(theirs, shown), _length(ours, shown)
        ratio = above / below if below > 0 else 0.0
        if 0 < ratio < np.inf:
            found.append(ratio)
    return found


def _length(points: Floats, path: Path) -> float:
    return float(sum(np.linalg.norm(points[a] - points[b]) for a, b in path))


def _with_hips(figure: Figure) -> Floats:
    """[19, 2], the middle of the hips last."""
    return np.vstack([figure.points, figure.points[list(HIPS)].mean(axis=0)])
