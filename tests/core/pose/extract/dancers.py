"""Synthetic dancers whose identity is known: they walk, swing their limbs, vanish and cross."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.pose.extract.engine import Found
from core.pose.extract.tracking import Identity
from core.pose.skeleton import JOINTS, Floats
from tests.core.pose.figures import STANDING

FPS = 30.0
_LIMBS = ((2, 3, 4), (5, 6, 7), (8, 9, 10), (11, 12, 13))


@dataclass(frozen=True)
class Dancer:
    """Somebody at ``x`` (of the frame number) of a height; seen where ``there``."""

    x: Callable[[int], float]
    height: float = 0.7
    y: float = 0.55
    there: Callable[[int], bool] = lambda _: True
    tempo: float = 0.25
    phase: float = 0.0
    swing: float = 0.7


def find(dancer: Dancer, frame: int, rng: np.random.Generator, noise: float = 0.004) -> Found:
    """What an engine finds of a dancer in a square picture."""
    body = STANDING - [0.5, 0.55]
    for number, (root, middle, end) in enumerate(_LIMBS):
        angle = dancer.swing * math.sin(dancer.tempo * frame + dancer.phase + 1.3 * number)
        for joint in (middle, end):
            body[joint] = body[root] + _turned(body[joint] - body[root], angle)
    body = body * dancer.height / 0.72 + [dancer.x(frame), dancer.y]
    points, scores = np.zeros((JOINTS, 2)), np.zeros(JOINTS)
    points[:18], scores[:18] = body + rng.normal(0, noise * dancer.height, (18, 2)), 0.9
    (left, top), (right, bottom) = points[:18].min(axis=0).tolist(), points[:18].max(axis=0).tolist()
    return Found(points, scores, (left, top, right, bottom), 0.9)


def filmed(
    dancers: Sequence[Dancer], frames: int, seed: int = 0
) -> tuple[list[list[Found]], list[list[int]]]:
    """What is found in each frame, in random order, and which dancer each one is."""
    rng = np.random.default_rng(seed)
    found: list[list[Found]] = []
    who: list[list[int]] = []
    for frame in range(frames):
        order = [int(n) for n in rng.permutation(len(dancers)) if dancers[n].there(frame)]
        found.append([find(dancers[number], frame, rng) for number in order])
        who.append(order)
    return found, who


def dancers_of(
    identity: Identity, found: Sequence[Sequence[Found]], who: Sequence[Sequence[int]]
) -> list[int]:
    """The dancer behind each frame of an identity."""
    return [
        who[frame][_index(found[frame], points)]
        for frame, points in zip(identity.frames.tolist(), identity.joints()[0], strict=True)
    ]


def _index(people: Sequence[Found], points: object) -> int:
    return next(n for n, each in enumerate(people) if np.allclose(each.keypoints, points, atol=1e-6))


def _turned(vector: Floats, angle: float) -> Floats:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1]])
