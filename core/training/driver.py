"""The person who drives a clip: found as a detector finds them and fitted to the drawn person by the product.

A user's motion comes from somebody else in another video. Its joints jitter, some are lost for a while, and
after ``core.pose.align`` (spec 6.3) the limbs fit the reference on one frame only. Training shows the model
just that: the alignment is the product's own, joint for joint.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.pose.align import Fit, choose_frame, fit, pose_gap
from core.pose.align.chain import carry
from core.pose.align.figure import Figure
from core.pose.bridge import bridge_frames
from core.pose.bridge_blend import ease
from core.pose.skeleton import NECK, Floats, PoseFrame
from core.training.randomness import Draws

JOINTS = 18
# Elbows, wrists, knees and ankles are what detectors lose.
_LOST = (3, 4, 6, 7, 9, 10, 12, 13)
# The align frame is looked for in every second frame: neighbours measure the same.
_EVERY = 2
_HANDS = np.full((2, 21, 2), -1.0)
_FACES = np.full((68, 2), -1.0)


@dataclass(frozen=True)
class Finding:
    """How well joints are found; lengths are shares of the person's height in the picture.

    bias: where a detector puts a joint of a clip, off the true place; jitter: at most, from frame to frame;
    lost: share of clips in which some limb joints are lost for up to six frames.
    """

    bias: float = 0.008
    jitter: float = 0.005
    lost: float = 0.3


@dataclass(frozen=True)
class Found:
    """Joints of a batch as found: points [B, T, 18, 2] pixels, seen [B, T, 18] bool."""

    points: Tensor
    seen: Tensor

    def frame(self, clip: int, number: int, height: int, width: int) -> PoseFrame:
        """One pose as the product knows it, fractions of a picture of this size."""
        body = self.points[clip, number].double().numpy() / np.array([width, height])
        subset = np.where(self.seen[clip, number].numpy(), np.arange(JOINTS), -1)
        return PoseFrame(body, subset, _HANDS, _FACES)


def found(draws: Draws, points: Tensor, shown: Tensor, finding: Finding) -> Found:
    """What a detector makes of true joints [B, T, 18, 2] pixels of which ``shown`` [B, T, 18] can be seen."""
    batch, frames = points.shape[:2]
    size = (points[..., 1].amax(2) - points[..., 1].amin(2)).amax(1).view(batch, 1, 1, 1)
    bias = draws.normal(batch, 1, JOINTS, 2).clamp(-2, 2) * finding.bias
    # Smoothed as the product smooths: half of the jitter goes on from one frame to the next.
    rough = draws.normal(batch, frames + 2, JOINTS, 2)
    smooth = (rough[:, 2:] + rough[:, 1:-1] + rough[:, :-2]) / 3**0.5
    jitter = smooth * draws.uniform(0, finding.jitter, batch, 1, 1, 1)
    number = torch.arange(frames).view(1, -1, 1)
    start = draws.uniform(-6, frames, batch, 1, JOINTS)
    length = draws.uniform(1, 7, batch, 1, JOINTS)
    losable = torch.zeros(JOINTS, dtype=torch.bool)
    losable[list(_LOST)] = True
    losing = draws.chance(finding.lost, batch, 1, 1) & draws.chance(0.25, batch, 1, JOINTS) & losable
    lost = losing & (number >= start) & (number < start + length)
    return Found(points + (bias + jitter) * size, shown & ~lost)


@dataclass(frozen=True)
class Aligned:
    """A batch of clips' skeletons on the reference's canvas.

    points [B, T, 18, 2] pixels; seen [B, T, 18] bool; neck_frame [B]: the frame measured on, whose neck lies
    on the reference's.
    """

    points: Tensor
    seen: Tensor
    neck_frame: Tensor


def aligned(driver: Found, reference: Found, height: int, width: int) -> Aligned:
    """Fit every clip to its reference as the product does.

    Args:
        driver: [B, T, 18, 2] pixels of the driver's own picture, which has the same size.
        reference: [B, 1, 18, 2] pixels.
        height, width: of both pictures.
    """
    placed, chosen = [], []
    for clip in range(len(driver.points)):
        target = reference.frame(clip, 0, height, width)
        frames = range(0, driver.points.shape[1], _EVERY)
        poses = [driver.frame(clip, number, height, width) for number in frames]
        best = choose_frame(poses, width / height, target, width / height) or 0
        measured = fit(target, width / height, poses[best], width / height)
        points = driver.points[clip].double().numpy() / height
        moved = carried(points, driver.seen[clip].numpy(), measured)
        placed.append(torch.from_numpy(moved * height).float())
        chosen.append(_EVERY * best)
    return Aligned(torch.stack(placed), driver.seen, torch.tensor(chosen))


def carried(points: Floats, seen: np.ndarray[tuple[int, int], np.dtype[np.bool_]], fitted: Fit) -> Floats:
    """``core.pose.align.apply`` for all frames of a clip at once: [T, 18, 2] heights -> the same.

    Which joints are seen decides on which a joint hangs; given that, moving them is linear, so the product's
    function is asked once for each pattern of seen joints what it does with unit vectors.
    """
    moved = np.empty_like(points)
    patterns, which = np.unique(seen, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        rows = which.reshape(-1) == number
        neck = Figure(points[rows][0], pattern).seen.copy()
        neck[NECK] |= bool(pattern[[2, 5]].all())
        here = points[rows].copy()
        if neck[NECK] and not pattern[NECK]:
            here[:, NECK] = here[:, [2, 5]].mean(axis=1)
        moved[rows] = np.einsum("ij,tjc->tic", _matrix(neck, fitted), here)
    return moved + fitted.offset


def _matrix(seen: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], fitted: Fit) -> Floats:
    """[18, 18]: new joints from old ones."""
    # Positions of 18 numbers instead of two: each joint's place says what share it has of every joint's.
    units, hands = np.eye(JOINTS), np.zeros((2, 21, JOINTS))
    return carry(Figure(units, seen), hands, fitted.scales)[0]


def bridge_weights(aligned_points: Aligned, reference: Found, height: int, width: int) -> Tensor:
    """How far each frame is the motion's, [B, T] in 0..1: below 1 on the product's bridge from the reference.

    Counted as ``core.pose.prepare`` counts it, at 16 frames a second and at most half of the frames.
    """
    batch, frames = aligned_points.points.shape[:2]
    weights = torch.ones(batch, frames)
    skeletons = Found(aligned_points.points, aligned_points.seen)
    for clip in range(batch):
        first, target = skeletons.frame(clip, 0, height, width), reference.frame(clip, 0, height, width)
        count = min(bridge_frames(pose_gap(target, first, width / height)), frames // 2)
        weights[clip, : count + 1] = torch.from_numpy(
            ease(np.linspace(0.0, 1.0, count + 1)) if count else np.ones(1)
        )
    return weights.float()
