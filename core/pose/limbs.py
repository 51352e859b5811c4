"""The body as a tree of limbs that hangs on the neck: what edits and the bridge move along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.pose.skeleton import Floats

Bools = NDArray[np.bool_]

NOSE: Final = 0
HIPS: Final = (8, 11)
EYES_AND_EARS: Final = (14, 15, 16, 17)
# The joint that each body joint hangs on; the neck on none.
PARENTS: Final = (1, -1, 1, 2, 3, 1, 5, 6, 1, 8, 9, 1, 11, 12, 0, 0, 14, 15)
# Body joints, each after the one it hangs on.
OUTWARDS: Final = (1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17)
# The wrist of hand row 0 (left) and 1 (right).
WRISTS: Final = (7, 4)
_NOT_SEEN: Final = -1.0


def seen_points(points: Floats) -> Bools:
    """[..., 2] hand or face points -> [...], false where a point is (-1, -1)."""
    return np.asarray((points != _NOT_SEEN).any(axis=-1))


def in_heights(points: Floats, ratio: float) -> Floats:
    """Fractions of a picture of ``ratio`` = width / height -> units of its height, in which angles hold."""
    return np.asarray(points * [ratio, 1.0])


def in_fractions(points: Floats, ratio: float) -> Floats:
    """The way back from ``in_heights``."""
    return np.asarray(points / [ratio, 1.0])


def path_inwards(joint: int, usable: Callable[[int], bool]) -> tuple[int | None, list[int]]:
    """The nearest usable joint towards the neck, and the limbs up to it.

    Returns:
        That joint, or None where none is usable; and the outer ends of the limbs between it and ``joint``,
        ``joint`` first.
    """
    limbs = [joint]
    inner = PARENTS[joint]
    while inner >= 0 and not usable(inner):
        limbs.append(inner)
        inner = PARENTS[inner]
    return (inner if inner >= 0 else None), limbs
