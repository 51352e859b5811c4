"""Chooses a place for each joint of a drawing: the set that explains best what is seen of the limbs.

Discs, and the ends of limbs where a disc is covered (a wrist under its hand), are candidates for each joint.
The tree of limbs picks among them, and so keeps knees apart from hand points of the same red.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.pose.colour_spots import Drawing, Limb, discs, see_limbs
from core.pose.skeleton import LIMBS, NECK, Floats

# What a limb end is worth where a whole disc is worth 1, and what a limb is worth.
_END_WORTH: Final = 0.35
_LIMB_WORTH: Final = 2.0
# A limb must be seen along more than this share of its length.
_LIMB_SHARE: Final = 0.45
_SAMPLES: Final = 24
_OTHER: Final = 0.6
# Two joints that are both there have their limb drawn: less than this share of its colour counts against
# them, unless they touch. A joint whose inner neighbour is missing is rare, a spot of a hand is not.
_LEAST_SEEN: Final = 0.25
_UNSEEN: Final = 0.8
_TOUCH: Final = 3.0
_WRISTS: Final = (4, 7)
# Hand points have the colour of this joint.
_HAND_COLOURED: Final = 12
_ALONE: Final = -2.0
_MOST_OTHERS: Final = 4
# From this share on a disc is whole.
_WHOLE: Final = 0.75
# A disc stands this near to the end of its limb, in radii.
_NEAR: Final = 2.5


@dataclass(frozen=True)
class Candidates:
    """Places [n, 2] (x, y) that a joint may have, and what each is worth [n].

    The first ``discs`` of them are discs, the next ``ends`` are ends of limbs.
    """

    places: Floats
    worth: Floats
    discs: int
    ends: int


@dataclass(frozen=True)
class Chosen:
    """A joint's place, whether its disc is as good as whole, and where it may be [n, 2], likeliest first."""

    place: Floats
    whole: bool
    others: Floats


def choose(drawing: Drawing) -> dict[int, Chosen]:
    """The joints of a drawing, in its pixels; those that are not found are left out."""
    limbs = see_limbs(drawing)
    candidates = [_candidates(drawing, joint, limbs) for joint in range(18)]
    chosen = {}
    for joint, index in _best(drawing, limbs, candidates).items():
        each = candidates[joint]
        if index < len(each.places):
            whole = index < each.discs and bool(each.worth[index] >= _WHOLE)
            likely = np.concatenate(
                [each.places[each.discs :][: each.ends], each.places[: min(each.discs, _MOST_OTHERS)]]
            )
            chosen[joint] = Chosen(each.places[index], whole, likely)
    return chosen


def _candidates(drawing: Drawing, joint: int, limbs: Sequence[Limb]) -> Candidates:
    spots, worth = discs(drawing, joint)
    mine = np.concatenate([limbs[limb].ends for limb, pair in enumerate(LIMBS) if joint in pair])
    ends = len(mine)
    if joint in _WRISTS:
        # The first point of a hand lies over its wrist.
        mine = np.concatenate([mine, discs(drawing, _HAND_COLOURED)[0]])
    if len(mine) and len(spots):
        # A disc stands at the end of a limb; part of one elsewhere is more likely a mixed colour of a hand.
        gaps = np.linalg.norm(spots[:, None] - mine[None], axis=2).min(axis=1)
        worth = np.where(gaps <= _NEAR * drawing.radius, worth, worth**2)
    worth = np.append(worth, np.full(len(mine), _END_WORTH))
    return Candidates(np.concatenate([spots, mine]), worth, len(spots), ends)


def _support(drawing: Drawing, limb: int, near: Floats, far: Floats) -> Floats:
    """[n, m] how well a limb is seen between places [n, 2] and [m, 2]: below 0 where it is not.

    Its own colour counts whole, black not at all, and whatever may cover it in part.
    """
    steps = np.linspace(0.0, 1.0, _SAMPLES)[:, None]
    line = near[:, None, None] + steps * (far[None, :, None] - near[:, None, None])
    height, width = drawing.dim.shape
    line = np.clip(np.rint(line).astype(np.int64), 0, [width - 1, height - 1])
    dim, full = drawing.dim[line[..., 1], line[..., 0]], drawing.full[line[..., 1], line[..., 0]]
    seen = np.where(dim == limb + 1, 1.0, np.where((dim > 0) | (full > 0), _OTHER, 0.0))
    own = (dim == limb + 1).mean(axis=-1)
    apart = np.linalg.norm(far[None] - near[:, None], axis=-1) > _TOUCH * drawing.radius
    if LIMBS[limb][1] == _HAND_COLOURED:
        apart[:] = True  # a hand at the hip is likelier than a thigh that points at the camera
    unseen = apart * np.maximum(0.0, 1 - own / _LEAST_SEEN)
    support: Floats = seen.mean(axis=-1) - _LIMB_SHARE - _UNSEEN * unseen
    return support


def _left_out(pixels: Floats, near: Floats, far: Floats, radius: float) -> Floats:
    """[n, m] share of a limb's pixels that lie beyond its ends, were these at places [n, 2] and [m, 2]."""
    if not len(pixels):
        return np.zeros((len(near), len(far)))
    axis = far[None] - near[:, None]
    length = np.maximum(np.linalg.norm(axis, axis=-1), 1e-6)
    along = ((pixels - near[:, None, None]) * axis[:, :, None]).sum(axis=-1) / length[..., None]
    beyond: Floats = ((along < -radius) | (along > length[..., None] + radius)).mean(axis=-1)
    return beyond


def _best(drawing: Drawing, limbs: Sequence[Limb], candidates: Sequence[Candidates]) -> dict[int, int]:
    """joint -> number of its best candidate, or one more for none: exact maximum over the tree of limbs."""
    children = _children()
    value: dict[int, Floats] = {}
    picks: dict[tuple[int, int], NDArray[np.int64]] = {}
    for joint in reversed(_outwards(children)):
        total = np.append(candidates[joint].worth, 0.0)
        for limb, child in children.get(joint, ()):
            pairs = _pairs(drawing, limb, limbs[limb].pixels, candidates[joint], candidates[child])
            score = pairs + value[child][None]
            picks[joint, child] = score.argmax(axis=1)
            total = total + score.max(axis=1)
        value[joint] = total
    chosen = {NECK: int(value[NECK].argmax())}
    for joint in _outwards(children):
        for _, child in children.get(joint, ()):
            chosen[child] = int(picks[joint, child][chosen[joint]])
    return chosen


def _pairs(drawing: Drawing, limb: int, pixels: Floats, near: Candidates, far: Candidates) -> Floats:
    """[near + 1, far + 1] worth of a limb between candidates; the last row and column mean "not there"."""
    score = np.zeros((len(near.places) + 1, len(far.places) + 1))
    score[-1, :-1] = _ALONE
    seen = _support(drawing, limb, near.places, far.places)
    left_out = _left_out(pixels, near.places, far.places, drawing.radius)
    score[:-1, :-1] = _LIMB_WORTH * (seen - left_out)
    return score


def _children() -> dict[int, list[tuple[int, int]]]:
    """joint -> [(limb, joint further out)]."""
    children: dict[int, list[tuple[int, int]]] = {}
    for limb, (near, far) in enumerate(LIMBS):
        children.setdefault(near, []).append((limb, far))
    return children


def _outwards(children: dict[int, list[tuple[int, int]]]) -> list[int]:
    order = [NECK]
    for joint in order:
        order.extend(child for _, child in children.get(joint, ()))
    return order
