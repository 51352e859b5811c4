"""How unlike a person of one frame is to the place where somebody is expected."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.pose.extract.engine import Found
from core.pose.skeleton import BODY, Floats

# Joints surer than this count.
SEEN: Final = 0.3
# Neck, shoulders, hips: they move with the person, limbs also on their own.
TRUNK: Final = (1, 2, 5, 8, 11)
# With fewer joints seen in both, boxes decide.
_FEW_JOINTS: Final = 4
_UNSURE: Final = 0.1
_BOX_WEIGHT: Final = 0.1
_SIZE_WEIGHT: Final = 0.25
_DUPLICATE: Final = 0.05


@dataclass(frozen=True)
class Look:
    """One person in height units: body [18, 2], scores [18], box, and the longer side of the box."""

    body: Floats
    scores: Floats
    box: Floats
    size: float

    def moved(self, by: Floats) -> Look:
        """The same elsewhere; ``by`` [2] in heights."""
        return Look(self.body + by, self.scores, self.box + np.tile(by, 2), self.size)


def look_of(person: Found, ratio: float) -> Look:
    """``ratio`` is width / height of the picture."""
    box = np.array(person.box) * [ratio, 1.0, ratio, 1.0]
    size = max(float(box[2] - box[0]), float(box[3] - box[1]), 1e-3)
    return Look(person.keypoints[BODY] * [ratio, 1.0], person.scores[BODY], box, size)


def unlike(expected: Look, found: Look) -> float:
    """0 for the same, about 1 for a person's size away; joints, box and size count."""
    both = (expected.scores > SEEN) & (found.scores > SEEN)
    size = (expected.size + found.size) / 2
    growth = abs(math.log(growth_between(expected, found)))
    boxes = _BOX_WEIGHT * (1 - _overlap(expected.box, found.box))
    if both.sum() < _FEW_JOINTS:
        apart = float(np.hypot(*(_centre(expected.box) - _centre(found.box)))) / size + _UNSURE
    else:
        distances = np.linalg.norm(expected.body[both] - found.body[both], axis=1)
        apart = float(np.average(distances, weights=np.minimum(expected.scores, found.scores)[both])) / size
    return apart + boxes + _SIZE_WEIGHT * growth


def growth_between(first: Look, second: Look) -> float:
    """How much larger the second is, over joints seen in both: a hidden leg makes nobody smaller."""
    both = (first.scores > SEEN) & (second.scores > SEEN)
    if both.sum() < _FEW_JOINTS:
        return second.size / first.size
    spreads = [float(np.linalg.norm(each.body[both].std(axis=0))) for each in (first, second)]
    return max(spreads[1], 1e-3) / max(spreads[0], 1e-3)


def is_duplicate(person: Look, others: Iterable[Look]) -> bool:
    """Whether this is a second find of one of the others: most joints in the same places."""
    return any(_apart(person, other) < _DUPLICATE for other in others)


def _apart(first: Look, second: Look) -> float:
    """Median distance of the joints seen in both, in sizes; infinite with too few of them."""
    both = (first.scores > SEEN) & (second.scores > SEEN)
    if both.sum() < _FEW_JOINTS:
        return math.inf
    distances = np.linalg.norm(first.body[both] - second.body[both], axis=1)
    return float(np.median(distances)) / max(first.size, second.size)


def _overlap(first: Floats, second: Floats) -> float:
    """Intersection over union."""
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    shared = float(np.prod(sides.clip(min=0.0)))
    areas = [float(np.prod((box[2:] - box[:2]).clip(min=0.0))) for box in (first, second)]
    return shared / max(sum(areas) - shared, 1e-9)


def _centre(box: Floats) -> Floats:
    centre: Floats = (box[:2] + box[2:]) / 2
    return centre
