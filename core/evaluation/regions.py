"""Which pixels belong to which limb, by the joints alone, and how far limbs' colours are from the truth.

Regions are round cones about the limbs; a pixel belongs to the limb whose cone it is deepest in. Radii are
shares of the torso, so they fit children and giants alike roughly.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Joints of OpenPose-18 at both ends, radius as a share of the torso's length. The head is added.
LIMBS = (
    ((1, 8), (1, 11), 0.32),
    ((2,), (3,), 0.17),
    ((3,), (4,), 0.15),
    ((5,), (6,), 0.17),
    ((6,), (7,), 0.15),
    ((8,), (9,), 0.20),
    ((9,), (10,), 0.17),
    ((11,), (12,), 0.20),
    ((12,), (13,), 0.17),
)
REGIONS = len(LIMBS) + 1
_EARS, _NECK, _HIPS = (16, 17), 1, (8, 11)
_HEAD = 0.8
_BINS = 64
# Unit vectors in RGB: single channels, grey, and what tells hues apart.
_DIRECTIONS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (1, -1, 0), (0, 1, -1), (-1, 0, 1))
_SEEN = 0.05
_SILHOUETTE = 25 / 255


def limb_regions(joints: Tensor, height: int, width: int) -> Tensor:
    """The limb of each pixel, 0 to ``REGIONS - 1`` (the last is the head), -1 where there is none.

    joints [N, 18, 2] pixels (x, y) -> int64 [N, height, width].
    """
    torso = (joints[:, _NECK] - joints[:, _HIPS].mean(1)).norm(dim=-1)
    # A torso that is seen from above is as long as ever.
    torso = torch.maximum(torso, 0.8 * torso.mean()).clamp_min(1)
    head = joints[:, _EARS].mean(1)
    neck = (head - joints[:, _NECK]).norm(dim=-1).clamp_min(0.15 * torso)
    starts = torch.stack([joints[:, first].mean(1) for first, _, _ in LIMBS] + [head], 1)
    ends = torch.stack([joints[:, last].mean(1) for _, last, _ in LIMBS] + [head], 1)
    shares = torch.tensor([share for _, _, share in LIMBS], device=joints.device)
    radii = torch.cat([torso[:, None] * shares, _HEAD * neck[:, None]], dim=1)
    depth = _distance(starts, ends, height, width) / radii[..., None, None]
    nearest, limb = depth.min(dim=1)
    return torch.where(nearest <= 1, limb, -1)


def _distance(starts: Tensor, ends: Tensor, height: int, width: int) -> Tensor:
    """Pixels from each segment [N, R, 2] to every pixel centre: [N, R, height, width]."""
    y = torch.arange(height, device=starts.device)[:, None] + 0.5
    x = torch.arange(width, device=starts.device) + 0.5
    ax, ay = starts[..., 0, None, None], starts[..., 1, None, None]
    dx, dy = (ends - starts)[..., 0, None, None], (ends - starts)[..., 1, None, None]
    t = (((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy).clamp_min(1e-3)).clamp(0, 1)
    return ((x - ax - t * dx).square() + (y - ay - t * dy).square()).sqrt()


def colour_distance(ours: Tensor, true: Tensor, joints: Tensor, mask: Tensor, background: Tensor) -> Tensor:
    """How far the colours of each limb, taken together over the clip, are from the truth's.

    The mean over limbs and seven directions in RGB of the Wasserstein distance between the distributions of
    colours, in grey levels of 255. Blur moves colours to their mean, so it is not rewarded; a limb that is
    slightly out of place costs little, since only pixels that differ from the empty scene are counted, unless
    nearly the whole limb is gone. Every second pixel is taken.

    ours, true [B, F, 3, H, W] in 0..1; joints [B, F, 18, 2]; mask [B, F, H, W]; background uint8
    [B, 3, H, W] -> [B].
    """
    found = [
        _clip_distance(
            ours[b, ..., ::2, ::2], true[b, ..., ::2, ::2], joints[b] / 2, mask[b, :, ::2, ::2],
            background[b, :, ::2, ::2].float() / 255,
        )
        for b in range(len(ours))
    ]  # fmt: skip
    return torch.stack(found)


def _clip_distance(ours: Tensor, true: Tensor, joints: Tensor, mask: Tensor, background: Tensor) -> Tensor:
    limb = limb_regions(joints, *mask.shape[-2:])
    person = mask & (limb >= 0) & ((true - background).abs().amax(1) > _SILHOUETTE)
    there = (ours - background).abs().amax(1) > _SILHOUETTE
    counts = torch.bincount(limb[person], minlength=REGIONS)
    kept = torch.bincount(limb[person & there], minlength=REGIONS)
    lost = kept < _SEEN * counts
    drawn = person & (there | lost[limb.clamp_min(0)])
    given = _cumulative(true.transpose(0, 1)[:, person], limb[person])
    made = _cumulative(ours.transpose(0, 1)[:, drawn], limb[drawn])
    return 255 * (given - made).abs().mean(dim=(1, 2))[counts > 0].mean()


def _cumulative(colours: Tensor, limb: Tensor) -> Tensor:
    """Cumulative distributions of colours [3, N] along each direction, by limb [N]: [R, directions, bins].

    A bin is a ``_BINS``th of the range 0..1 (of twice that where a direction has both signs, moved to 0..1),
    so the mean of |difference| over bins is the distance along the direction.
    """
    rows = []
    for direction in _DIRECTIONS:
        along = torch.tensor(direction, dtype=colours.dtype, device=colours.device)
        value = along @ colours / along.abs().sum() + (0.5 if -1 in direction else 0)
        place = (value * _BINS).long().clamp(0, _BINS - 1)
        # Whole numbers: a GPU adds floats up in any order, which deterministic runs refuse.
        counts = torch.bincount(limb * _BINS + place, minlength=REGIONS * _BINS).view(REGIONS, _BINS)
        rows.append(counts.cumsum(1) / counts.sum(1, keepdim=True).clamp_min(1))
    return torch.stack(rows, dim=1)
