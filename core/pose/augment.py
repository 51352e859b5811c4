"""Negative pose of condition guidance: the body stretched about its neck, by fresh random amounts per frame.

Source: SteadyDancer, preprocess/pose_align_withdiffaug.py and utils_aug.py; golden ``pose_align_*`` (aug).
Upstream uses Python's global generator without a seed; here frame k of a seed is always the same.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from core.pose.skeleton import NECK, Floats, PoseFrame

# In the order drawn: offset x, offset y (drawn and not used), scale, aspect.
_LOW: Final = (-0.2, -0.2, 0.7, 0.6)
_HIGH: Final = (0.2, 0.2, 1.3, 1.4)


def uniforms(seed: int, frames: int) -> Floats:
    """[frames, 4] random offset x, offset y, scale and aspect; row k depends on the seed and k alone."""
    rows = [np.random.default_rng((seed, frame)).uniform(_LOW, _HIGH) for frame in range(frames)]
    return np.array(rows, np.float64).reshape(frames, 4)


def negative(pose: PoseFrame, draws: np.random.Generator | Floats) -> PoseFrame:
    """x' = x_n + aspect scale (x - x_n), y' = y_n + scale (y - y_n) about the neck n, for body and hands.

    Args:
        pose: the aligned pose, canvas fractions.
        draws: a generator, or its four numbers [offset x, offset y, scale, aspect].
    """
    values = draws.uniform(_LOW, _HIGH) if isinstance(draws, np.random.Generator) else np.asarray(draws)
    _, _, scale, aspect = (float(value) for value in values)
    neck = pose.body[NECK]
    factors = np.array([aspect * scale, scale])
    body = neck + factors * (pose.body - neck)
    hands = neck + factors * (pose.hands - neck)
    return PoseFrame(body, pose.subset, hands, pose.faces)
