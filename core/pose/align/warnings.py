"""Sentences about a motion that may not work: what is wrong, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.pose.align.figure import HIPS, LEGS, figure
from core.pose.align.fit import Fit
from core.pose.align.gap import facing
from core.pose.skeleton import PoseFrame

# From these on a warning is given.
_MOST: Final = 0.5
_AWAY_SHARE: Final = 0.25
_OUT_SHARE: Final = 0.2
_SIZE_RATIO: Final = 2.0
_SPREAD_RATIO: Final = 2.0
_START_HEIGHTS: Final = 0.15
_UPPER: Final = tuple(joint for joint in range(14) if joint not in LEGS)
_WORDS: Final = {
    "neck": "neck",
    "shoulder": "shoulders",
    "arm_upper": "upper arms",
    "arm_lower": "forearms",
    "body_len": "trunk",
    "leg_upper": "thighs",
    "leg_lower": "shins",
}


@dataclass(frozen=True)
class Evidence:
    """A motion as found and as fitted, see ``report``."""

    found: Sequence[PoseFrame | None]
    fitted: Sequence[PoseFrame | None]
    reference: PoseFrame | None
    ratio: float
    fit: Fit | None

    def people(self) -> list[PoseFrame]:
        """The frames that show somebody, as found."""
        return [pose for pose in self.found if pose is not None]

    def drawn(self) -> list[PoseFrame]:
        """The frames that show somebody, as fitted."""
        return [pose for pose in self.fitted if pose is not None]

    def away(self) -> float:
        """Share of the frames with somebody in which they face the other way than the reference."""
        target = (facing(self.reference, self.ratio) if self.reference else 0) or 1
        ratio = self.fit.clip_ratio if self.fit else self.ratio
        ways = [facing(pose, ratio) for pose in self.people()]
        return ways.count(-target) / len(ways) if ways else 0.0


def spread(fit: Fit | None) -> float:
    """Largest of the body's scales over the smallest, 1 where all proportions are alike."""
    return _extremes(fit)[1] / _extremes(fit)[0] if fit else 1.0


def leaves(pose: PoseFrame, joints: Iterable[int]) -> bool:
    """Whether a joint that is drawn, of those named, lies outside the canvas."""
    person = figure(pose, 1.0)
    points = person.points[[joint for joint in joints if person.seen[joint]]]
    return bool(((points < 0) | (points > 1)).any())


def warnings(evidence: Evidence, scale_ratio: float, start_gap: float) -> tuple[str, ...]:
    """All that apply, the gravest first."""
    if not evidence.people():
        frames = len(evidence.found)
        return (
            f"Nobody was found in the {frames} frames of the motion. Choose a range that shows one person "
            "from head to foot, or another clip.",
        )
    return (
        *_missing(evidence),
        *_partly_seen(evidence),
        *_turned(evidence),
        *_sizes(evidence.fit, scale_ratio),
        *_outside(evidence),
        *_start(start_gap),
    )


def _missing(evidence: Evidence) -> Iterator[str]:
    total, seen = len(evidence.found), len(evidence.people())
    if seen < total:
        yield (
            f"Nobody was found in {total - seen} of {total} frames, which will be without a pose. "
            "Choose a range in which the person stays in the picture."
        )


def _partly_seen(evidence: Evidence) -> Iterator[str]:
    reference_legs = evidence.reference is None or _sees(evidence.reference, LEGS)
    people = evidence.people()
    legless = [pose for pose in people if not _sees(pose, LEGS)]
    if reference_legs and len(legless) >= _MOST * len(people):
        part = "half the body" if not any(_sees(pose, HIPS) for pose in legless) else "no legs"
        yield (
            f"The motion shows {part} in {len(legless)} of {len(people)} frames, so legs will be made up. "
            "Choose a clip that shows the whole person, or a reference cut at the same height."
        )
    if not reference_legs and len(legless) < _MOST * len(people):
        yield (
            "The reference shows no legs, so their length is guessed from the rest of the body. "
            "Choose a picture of the whole person if legs shall be seen."
        )


def _turned(evidence: Evidence) -> Iterator[str]:
    share = evidence.away()
    if share < _AWAY_SHARE:
        return
    back = evidence.reference is not None and facing(evidence.reference, evidence.ratio) < 0
    than = "the person in the reference is seen from behind" if back else "the reference shows the face"
    way = "faces the camera" if back else "is seen from behind"
    yield (
        f"The dancer {way} in {share:.0%} of the frames while {than}; left and right may be mixed up there. "
        "Choose a range in which both face the same way."
    )


def _sizes(fit: Fit | None, scale_ratio: float) -> Iterator[str]:
    if fit is None:
        return
    if not 1 / _SIZE_RATIO <= scale_ratio <= _SIZE_RATIO:
        times = max(scale_ratio, 1 / scale_ratio)
        size, effect = (
            ("larger", "errors of the motion are magnified")
            if scale_ratio > 1
            else ("smaller", "steps will be wide for their size")
        )
        yield (
            f"The person in the reference is {times:.1f} times {size} than the dancer, so {effect}. "
            "Choose a clip or a picture in which both are about as large."
        )
    low, high = _extremes(fit)
    if high / low > _SPREAD_RATIO:
        shortest, longest = (_WORDS[name] for name in _named_extremes(fit))
        yield (
            f"The proportions differ a lot (reference over dancer: {longest} {high:.1f}, "
            f"{shortest} {low:.1f}). Choose another align frame, in which the dancer stands as the person in "
            "the reference does."
        )


def _outside(evidence: Evidence) -> Iterator[str]:
    poses = evidence.drawn()
    legs = sum(leaves(pose, LEGS) for pose in poses)
    upper = sum(leaves(pose, _UPPER) for pose in poses)
    if legs >= _MOST * len(poses) > 0:
        yield (
            f"Legs lie outside the picture in {legs} of {len(poses)} frames. Choose a reference with room "
            "below the person, or move or shrink the skeleton."
        )
    if upper >= _OUT_SHARE * len(poses) > 0:
        yield (
            f"Head, arms or trunk leave the picture in {upper} of {len(poses)} frames. Choose a reference "
            "with more room around the person, or move or shrink the skeleton."
        )


def _start(start_gap: float) -> Iterator[str]:
    if start_gap > _START_HEIGHTS:
        yield (
            f"The motion starts {start_gap:.0%} of the picture height away from the reference's pose. Start "
            "at a frame with a like pose, or keep the eased start on."
        )


def _sees(pose: PoseFrame, joints: Sequence[int]) -> bool:
    return bool((pose.subset[list(joints)] >= 0).any())


def _named_extremes(fit: Fit) -> tuple[str, str]:
    scales = {name: value for name, value in fit.scales.values().items() if name in _WORDS}
    return min(scales, key=scales.__getitem__), max(scales, key=scales.__getitem__)


def _extremes(fit: Fit | None) -> tuple[float, float]:
    if fit is None:
        return 1.0, 1.0
    values = fit.scales.values()
    low, high = (float(np.clip(values[name], 1e-6, 1e6)) for name in _named_extremes(fit))
    return low, high
