"""What the feature network learns from: windows about drawn people, spoilt in known ways, and the answers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.evaluation.features import WINDOW, crop, person_box
from core.evaluation.regions import REGIONS, limb_regions
from core.training.clip_types import Clips

SPOILT = ("blur", "smear", "bend", "flicker", "skip")
"""Kinds of damage: softness, mixed neighbours in time, bent limbs, unsteady colours, repeated pictures."""
_SMALL = 40


@dataclass(frozen=True)
class Pool:
    """video [N, 3, F, H, W] uint8, joints [N, F, 18, 2], shown [N, F, 18], mask [N, F, H, W], boxes [N, 3]"""

    video: Tensor
    joints: Tensor
    shown: Tensor
    mask: Tensor
    boxes: Tensor

    @classmethod
    def of(cls, drawn: list[Clips], device: torch.device) -> Pool:
        """All clips of the batches."""
        video, joints, shown, mask = (
            torch.cat([getattr(clips, name).to(device) for clips in drawn])
            for name in ("video", "joints", "shown", "mask")
        )
        return cls(video, joints, shown, mask, torch.stack([person_box(one) for one in mask]))


@dataclass(frozen=True)
class Lesson:
    """A batch of windows and what is to be said of them.

    windows [B, T, 3, s, s]; joints [B, T, 18, 2] in shares of the crop; seen [B, T, 18]; colours
    [B, T, R, 3] in -1..1 with worth [B, T, R] (share of the limb's pixels that are there, up to 1); scene
    [B, T, 4, 3], the corners; damage [B, kinds] in 0..1.
    """

    windows: Tensor
    joints: Tensor
    seen: Tensor
    colours: Tensor
    worth: Tensor
    scene: Tensor
    damage: Tensor


def draw_lesson(pool: Pool, batch: int, size: int, generator: torch.Generator) -> Lesson:
    """Random windows of random clips, ``size`` squares, a little off the person, half of them spoilt."""
    device, (count, _, frames, _, _) = pool.video.device, pool.video.shape

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return (torch.rand(batch, *shape, generator=generator) * (high - low) + low).to(device)

    clips = torch.randint(count, (batch,), generator=generator).to(device)
    starts = torch.randint(frames - WINDOW + 1, (batch,), generator=generator).to(device)
    at = starts[:, None] + torch.arange(WINDOW, device=device)
    side = pool.boxes[clips, 2:] * uniform(0.85, 1.15, 1)
    middle = pool.boxes[clips, :2] + side * uniform(-0.08, 0.08, 2)
    boxes = torch.cat([middle, side], 1).repeat_interleave(WINDOW, 0)
    video = pool.video[clips[:, None], :, at].flatten(0, 1).float() / 127.5 - 1
    mask = pool.mask[clips[:, None], at].flatten(0, 1)
    joints = (pool.joints[clips[:, None], at].flatten(0, 1) - boxes[:, None, :2]) / boxes[:, None, 2:] + 0.5
    clean = crop(video, boxes, size)
    colours, worth = _limb_colours(clean, crop(mask[:, None].float(), boxes, size), joints)
    scene = torch.stack([clean[..., y, x] for y in (4, -5) for x in (4, -5)], dim=1)
    levels = (
        uniform(0, 1, len(SPOILT)).square() * (uniform(0, 1, len(SPOILT)) < 0.4) * (uniform(0, 1, 1) < 0.6)
    )
    windows = spoil(_by_window(clean), levels, generator)
    seen = pool.shown[clips[:, None], at] & _by_window(((joints > 0) & (joints < 1)).all(-1))
    joints, colours, worth, scene = (_by_window(part) for part in (joints, colours, worth, scene))
    return Lesson(windows, joints, seen, colours, worth, scene, levels)


def _by_window(pictures: Tensor) -> Tensor:
    """[B * T, ...] -> [B, T, ...]."""
    return pictures.reshape(-1, WINDOW, *pictures.shape[1:])


def _limb_colours(pictures: Tensor, person: Tensor, joints: Tensor) -> tuple[Tensor, Tensor]:
    """Mean colours of the limbs [N, R, 3] and how much of each is there [N, R]."""
    small, mask = (F.adaptive_avg_pool2d(x, _SMALL) for x in (pictures, person))
    limb = limb_regions(joints * _SMALL, _SMALL, _SMALL)
    member = torch.stack([limb == r for r in range(REGIONS)], 1) * (mask > 0.7)
    count = member.sum(dim=(2, 3)).float()
    total = torch.einsum("nrhw,nchw->nrc", member.float(), small)
    return total / count[..., None].clamp_min(1), (count / 8).clamp_max(1)


def spoil(windows: Tensor, levels: Tensor, generator: torch.Generator) -> Tensor:
    """Damage windows [B, T, 3, s, s] by levels [B, kinds] in 0..1, as in ``SPOILT``; 0 does nothing."""
    blur, smear, bend, flicker, skip = (level.view(-1, 1, 1, 1, 1) for level in levels.unbind(1))
    held = windows.clone()
    held[:, 1::2] = windows[:, 0::2]
    windows = torch.lerp(windows, held, (skip > 0.5).float())
    before, after = windows[:, [0, *range(WINDOW - 1)]], windows[:, [*range(1, WINDOW), WINDOW - 1]]
    windows = torch.lerp(windows, (windows + before + after) / 3, smear)
    windows = _bent(windows, bend, generator)
    soft = _softened(windows)
    windows = torch.where(blur > 0, _between(windows, soft, blur), windows)
    return (windows + flicker * 0.2 * _smooth_noise(windows, 3, generator)).clamp(-1, 1)


def _softened(windows: Tensor) -> list[Tensor]:
    """Ever softer copies."""
    copies, flat = [], windows.flatten(0, 1)
    for _ in range(3):
        for _ in range(2):
            flat = F.avg_pool2d(F.pad(flat, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        copies.append(flat.view_as(windows))
    return copies


def _between(sharp: Tensor, soft: list[Tensor], level: Tensor) -> Tensor:
    """Level 0..1 on the way from sharp through the copies."""
    place, found = level * len(soft), sharp
    for index, copy in enumerate(soft):
        found = torch.lerp(found, copy, (place - index).clamp(0, 1))
    return found


def _smooth_noise(like: Tensor, channels: int, generator: torch.Generator) -> Tensor:
    """[B, T, channels, s, s], about standard normal, new in each picture and smooth in each."""
    size = like.shape[-1]
    coarse = torch.randn(like.shape[:2].numel(), channels, 10, 10, generator=generator).to(like.device)
    smooth = F.interpolate(coarse, (size, size), mode="bicubic", align_corners=False)
    return smooth.view(*like.shape[:2], channels, size, size)


def _bent(windows: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
    """Moves by up to a twentieth of the crop, half of it the same in all pictures."""
    fields = _smooth_noise(windows, 2, generator)
    fields = (0.7 * fields[:, :1] + 0.5 * fields) * level * 0.06
    size = windows.shape[-1]
    axis = (torch.arange(size, device=windows.device) + 0.5) * (2 / size) - 1
    plain = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)
    grid = plain + fields.flatten(0, 1).permute(0, 2, 3, 1)
    moved = F.grid_sample(windows.flatten(0, 1), grid, padding_mode="border", align_corners=False)
    return moved.view_as(windows)
