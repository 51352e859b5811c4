"""What every pose engine does: find the people in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.pose.skeleton import Floats

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Found:
    """One person in one picture.

    Attributes:
        keypoints: [134, 2] in OpenPose-134 order, fractions of the picture; 0 where it has no such point.
        scores: [134] in 0..1, 0 where nothing was found.
        box: left, top, right, bottom of the person, fractions of the picture.
        score: how sure the detector is that this is a person, 0..1.
        hint: what the engine likes to get back in ``before``; means nothing to others and need not be stored.
    """

    keypoints: Floats
    scores: Floats
    box: tuple[float, float, float, float]
    score: float
    hint: tuple[float, ...] = ()


class PoseEngine(Protocol):
    """Finds people. Without state: equal arguments give equal results, so results can be cached and resumed.

    Attributes:
        version: part of the cache key; changes whenever results may.
        notes: sentences about what is not as asked for; may grow.
    """

    version: str

    @property
    def notes(self) -> tuple[str, ...]:
        """As above."""
        ...

    def people(self, picture: Image, before: Sequence[Found] = (), look: bool = True) -> list[Found]:
        """The people of a picture, the surest first.

        Args:
            picture: uint8 RGB [H, W, 3].
            before: who was there one frame earlier in the clip; their places help, and may stand in for the
                detector.
            look: run the detector over the whole picture, so that newcomers are found.
        """
        ...
