"""Moving joints outwards from the neck, each limb at its own scale.

Source: SteadyDancer, preprocess/pose_align.py (spec 6.3); golden ``pose_align_*``.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from core.pose.align.figure import Bools, Figure
from core.pose.align.scales import Scales
from core.pose.skeleton import NECK, Floats

# Joint, the joint that it hangs on, and the scale between the two; parents come first.
CHAIN: Final[tuple[tuple[int, int, str], ...]] = (
    (0, NECK, "neck"), (14, 0, "face_left"), (16, 0, "face_left"), (15, 0, "face_right"),
    (17, 0, "face_right"), (2, NECK, "shoulder"), (5, NECK, "shoulder"),
    (3, 2, "arm_upper"), (4, 3, "arm_lower"), (6, 5, "arm_upper"), (7, 6, "arm_lower"),
    (8, NECK, "body_len"), (11, NECK, "body_len"),
    (9, 8, "leg_upper"), (10, 9, "leg_lower"), (12, 11, "leg_upper"), (13, 12, "leg_lower"),
)  # fmt: skip
# Hands of a pose, left first, hang on these.
WRISTS: Final = (7, 4)
_HOLDS: Final = {joint: (parent, name) for joint, parent, name in CHAIN}


def carry(figure: Figure, hands: Floats, scales: Scales) -> tuple[Floats, Floats]:
    """Body and hands about the fixed neck; unseen joints are not relied upon.

    Deliberate: upstream hangs a joint on its parent even where that was not found and lies at (0, 0). Here it
    hangs on the nearest ancestor that was seen, at the mean of the scales between the two.

    Args:
        figure: the body, heights.
        hands: [2, 21, 2] heights.
        scales: finite.

    Returns:
        [18, 2] and [2, 21, 2], heights; the neck is the figure's ``root``.
    """
    factors = scales.values()
    before = figure.points.copy()
    before[NECK] = figure.root()
    after = before.copy()
    for joint, parent, name in CHAIN:
        holder, factor = _holder(parent, name, figure.seen, factors)
        after[joint] = after[holder] + factor * (before[joint] - before[holder])
    fingers = hands.copy()
    for row, wrist in enumerate(WRISTS):
        holder, factor = _holder(wrist, "hand", figure.seen, factors)
        fingers[row] = after[holder] + factor * (hands[row] - before[holder])
    return after, fingers


def carry_exact(points: Floats, hands: Floats, scales: Scales) -> tuple[Floats, Floats]:
    """As upstream: every joint hangs on its parent, wherever that is; an infinite scale gives NaN."""
    factors = scales.values()
    after, fingers = points.copy(), hands.copy()
    for joint, parent, name in CHAIN:
        after[joint] = _about(points[joint] - points[parent] + after[parent], after[parent], factors[name])
    for row, wrist in enumerate(WRISTS):
        fingers[row] = _about(hands[row] - points[wrist] + after[wrist], after[wrist], scales.hand)
    return after, fingers


def _holder(parent: int, name: str, seen: Bools, factors: dict[str, float]) -> tuple[int, float]:
    """The nearest joint that was seen, or the neck, and the scale for the way to it."""
    names = [name]
    while parent != NECK and not seen[parent]:
        parent, name = _HOLDS[parent]
        names.append(name)
    return parent, sum(factors[each] for each in names) / len(names)


def _about(points: Floats, centre: Floats, factor: float) -> Floats:
    """Stretch about a centre as OpenCV's rotation by 0 degrees does: its centre has 32 bits, and its sine
    times an infinite factor is NaN."""
    if not np.isfinite(factor):
        return np.full_like(points, np.nan)
    shift = (1 - factor) * centre.astype(np.float32).astype(np.float64)
    return np.asarray(points * factor + shift, np.float64)
