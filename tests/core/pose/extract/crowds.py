"""An engine that finds as many people as are ever kept, and clips of a demo character who moves about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from core.pose.extract.engine import Found, Image
from core.pose.extract.packed import MOST_PEOPLE
from core.pose.skeleton import JOINTS
from tests.core.pose.demo_people import character

_SPACE = 1 / MOST_PEOPLE
_WALK = 100


class CrowdEngine:
    """Eight people side by side in every picture, all joints seen."""

    version = "crowd/1"
    notes = ()

    def __init__(self) -> None:
        places = np.random.default_rng(0).uniform(0, 0.9 * _SPACE, (MOST_PEOPLE, JOINTS, 2))
        self._points = places + np.arange(MOST_PEOPLE)[:, None, None] * [_SPACE, 0.0]
        self._scores = np.full(JOINTS, 0.9)

    def people(self, picture: Image, before: Sequence[Found] = (), look: bool = True) -> list[Found]:  # noqa: ARG002
        return [self._person(number) for number in range(MOST_PEOPLE)]

    def _person(self, number: int) -> Found:
        left = number * _SPACE
        return Found(
            self._points[number],
            self._scores,
            (left, 0.0, left + 0.9 * _SPACE, 0.9 * _SPACE),
            0.9 - number / 100,
        )


def strolling(name: str, width: int, height: int) -> Iterator[NDArray[np.uint8]]:
    """A demo character who walks across a picture and back, in 100 frames that can be repeated."""
    person = character(name, height)
    ground = person[0, 0].astype(np.float64).tolist()
    for number in range(_WALK):
        left = (width - height) * (0.5 - 0.5 * np.cos(2 * np.pi * number / _WALK))
        matrix = np.array([[1.0, 0.0, left], [0.0, 1.0, 0.0]])
        yield cv2.warpAffine(person, matrix, (width, height), borderValue=ground)
