"""Random but human-like figures, with hands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.pose.skeleton import HAND_EDGES, PoseTrack

# x and y of the 18 body joints of a standing figure, as fractions.
STANDING = np.array(
    [
        (0.50, 0.20), (0.50, 0.30), (0.42, 0.31), (0.38, 0.42), (0.36, 0.52), (0.58, 0.31),
        (0.62, 0.42), (0.64, 0.52), (0.45, 0.55), (0.45, 0.72), (0.45, 0.90), (0.55, 0.55),
        (0.55, 0.72), (0.55, 0.90), (0.48, 0.18), (0.52, 0.18), (0.46, 0.19), (0.54, 0.19),
    ]
)  # fmt: skip


def figure(rng: np.random.Generator) -> NDArray[np.float64]:
    """[134, 2]: arms and legs swung at random, five straight fingers at each wrist."""
    points = np.zeros((134, 2))
    points[:18] = STANDING
    for shoulder, elbow, wrist in ((2, 3, 4), (5, 6, 7)):
        points[elbow] = points[shoulder] + _step(rng.uniform(-2.0, 2.0), 0.13)
        points[wrist] = points[elbow] + _step(rng.uniform(-2.5, 2.5), 0.12)
    for hip, knee, ankle in ((8, 9, 10), (11, 12, 13)):
        points[knee] = points[hip] + _step(rng.uniform(-0.5, 0.5), 0.17)
        points[ankle] = points[knee] + _step(rng.uniform(-0.5, 0.5), 0.17)
    for first, wrist, elbow in ((92, 7, 6), (113, 4, 3)):
        points[first] = points[wrist]
        along = np.arctan2(*(points[wrist] - points[elbow])) + rng.uniform(-0.8, 0.8)
        for number, (near, far) in enumerate(HAND_EDGES):
            points[first + far] = points[first + near] + _step(along + 0.3 * (number // 4 - 2), 0.018)
    return points


def track(frames: int, seed: int = 0, fps: float = 16.0, width: int = 300, height: int = 400) -> PoseTrack:
    """One person, another random figure in every frame."""
    rng = np.random.default_rng(seed)
    points = np.stack([figure(rng) for _ in range(frames)])[:, None]
    return PoseTrack(points, np.ones(points.shape[:-1]), width, height, fps)


def _step(angle: float, length: float) -> NDArray[np.float64]:
    return np.array([np.sin(angle), np.cos(angle)]) * length
