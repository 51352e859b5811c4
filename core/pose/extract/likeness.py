"""How unlike the people of a frame are to those who are expected there, all pairs at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.pose.extract.engine import Found
from core.pose.skeleton import BODY, Floats

# Joints surer than this count.
SEEN: Final = 0.3
# With fewer joints seen in both, boxes decide.
_FEW_JOINTS: Final = 4
_UNSURE: Final = 0.1
_BOX_WEIGHT: Final = 0.1
_SIZE_WEIGHT: Final = 0.25
_DUPLICATE: Final = 0.05
_TINY: Final = 1e-3
_JOINTS: Final = 18


@dataclass(frozen=True)
class Looks:
    """n people in height units.

    Attributes:
        body: [n, 18, 2].
        scores: [n, 18].
        boxes: [n, 4] left, top, right, bottom.
    """

    body: Floats
    scores: Floats
    boxes: Floats

    def __len__(self) -> int:
        return len(self.body)

    @property
    def sizes(self) -> Floats:
        """[n], the longer side of the box."""
        sizes: Floats = (self.boxes[:, 2:] - self.boxes[:, :2]).max(axis=1).clip(min=_TINY)
        return sizes

    def row(self, number: int) -> Looks:
        """One of them."""
        one = slice(number, number + 1)
        return Looks(self.body[one], self.scores[one], self.boxes[one])

    def moved(self, by: Floats) -> Looks:
        """The same elsewhere; ``by`` [n, 2] in heights."""
        return Looks(self.body + by[:, None], self.scores, self.boxes + np.concatenate([by, by], axis=1))


def looks_of(people: Sequence[Found], ratio: float) -> Looks:
    """``ratio`` is width / height of the picture."""
    body = np.array([person.keypoints[BODY] for person in people]).reshape(-1, _JOINTS, 2)
    scores = np.array([person.scores[BODY] for person in people]).reshape(-1, _JOINTS)
    boxes = np.array([person.box for person in people], np.float64).reshape(-1, 4)
    return Looks(body * [ratio, 1.0], scores, boxes * [ratio, 1.0, ratio, 1.0])


def stacked(parts: Sequence[Looks]) -> Looks:
    """All of them in turn; at least one part."""
    return Looks(
        np.concatenate([part.body for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.boxes for part in parts]),
    )


def unlike(expected: Looks, found: Looks) -> Floats:
    """[n, m]: 0 for the same, about 1 for a person's size away; joints, boxes and sizes count."""
    sizes = (expected.sizes[:, None] + found.sizes[None]) / 2
    sure = np.minimum(expected.scores[:, None], found.scores[None])
    weights = np.where(sure > SEEN, sure, 0.0)
    joints = (_distances(expected, found) * weights).sum(axis=-1) / weights.sum(axis=-1).clip(min=_TINY)
    centres = np.linalg.norm(_centres(expected)[:, None] - _centres(found)[None], axis=-1)
    apart = np.where(_enough(expected, found), joints / sizes, centres / sizes + _UNSURE)
    growth = np.abs(np.log(growth_between(expected, found)))
    unlikeness: Floats = apart + _BOX_WEIGHT * (1 - _overlap(expected, found)) + _SIZE_WEIGHT * growth
    return unlikeness


def growth_between(first: Looks, second: Looks) -> Floats:
    """[n, m]: how much larger the second are, over joints seen in both: a hidden leg shrinks nobody."""
    both = _both(first, second).astype(np.float64)
    spreads = [_spread(first.body[:, None], both), _spread(second.body[None], both)]
    growth: Floats = np.where(
        _enough(first, second), spreads[1] / spreads[0], second.sizes[None] / first.sizes[:, None]
    )
    return growth


def is_duplicate(person: Looks, others: Looks) -> bool:
    """Whether one is a second find of one of the others: most joints in the same places."""
    enough = _enough(person, others)
    sizes = np.maximum(person.sizes[:, None], others.sizes[None])[enough]
    distances = np.where(_both(person, others), _distances(person, others), np.nan)[enough]
    return bool((np.nanmedian(distances, axis=-1) < _DUPLICATE * sizes).any())


def _both(first: Looks, second: Looks) -> NDArray[np.bool_]:
    """[n, m, 18] joints seen in both."""
    both: NDArray[np.bool_] = (first.scores > SEEN)[:, None] & (second.scores > SEEN)[None]
    return both


def _enough(first: Looks, second: Looks) -> NDArray[np.bool_]:
    """[n, m]: joints can be compared."""
    enough: NDArray[np.bool_] = _both(first, second).sum(axis=-1) >= _FEW_JOINTS
    return enough


def _distances(first: Looks, second: Looks) -> Floats:
    distances: Floats = np.linalg.norm(first.body[:, None] - second.body[None], axis=-1)
    return distances


def _spread(points: Floats, weights: Floats) -> Floats:
    """Root mean square distance from the middle, [n, m] of points [n, m, 18, 2]."""
    total = weights.sum(axis=-1).clip(min=1.0)
    middle = (points * weights[..., None]).sum(axis=-2) / total[..., None]
    squares = ((points - middle[..., None, :]) ** 2).sum(axis=-1)
    spread: Floats = np.sqrt((squares * weights).sum(axis=-1) / total).clip(min=_TINY)
    return spread


def _overlap(first: Looks, second: Looks) -> Floats:
    """[n, m] intersection over union."""
    one, other = first.boxes[:, None], second.boxes[None]
    shared = (np.minimum(one, other)[..., 2:] - np.maximum(one, other)[..., :2]).clip(min=0).prod(axis=-1)
    areas = [(box[..., 2:] - box[..., :2]).clip(min=0).prod(axis=-1) for box in (one, other)]
    overlap: Floats = shared / (areas[0] + areas[1] - shared).clip(min=1e-9)
    return overlap


def _centres(looks: Looks) -> Floats:
    centres: Floats = (looks.boxes[:, :2] + looks.boxes[:, 2:]) / 2
    return centres
