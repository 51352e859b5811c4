"""Clips cut to a narrow window around the person.

Dancers are taller than wide: in a square picture nine tenths of what a transformer computes are background,
which it learns first. At the same scale 144 of 256 columns hold 98 % of the joints (64 clips counted) and
take 56 % of the tokens and a third of the attention.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from core.training.clip_types import Clips


def narrowed(clips: Clips, width: int) -> Clips:
    """Every clip cut to ``width`` columns around the middle of where its person goes.

    Raises:
        ValueError: the pictures are narrower.
    """
    whole = clips.video.shape[-1]
    if width > whole:
        raise ValueError(f"{width} columns of {whole}")
    columns = clips.joints[..., 0].flatten(1)
    middle = (columns.amin(1) + columns.amax(1)) / 2
    left = (middle - width / 2).round().clamp(0, whole - width).long()

    def cut(pictures: Tensor) -> Tensor:
        starts = zip(pictures, left.tolist(), strict=True)
        return torch.stack([picture[..., start : start + width] for picture, start in starts])

    def moved(points: Tensor) -> Tensor:
        return points - torch.stack([left, torch.zeros_like(left)], dim=-1)[:, None, None]

    return replace(
        clips,
        video=cut(clips.video),
        pose=cut(clips.pose),
        negative=None if clips.negative is None else cut(clips.negative),
        surface=None if clips.surface is None else cut(clips.surface),
        mask=cut(clips.mask),
        background=cut(clips.background),
        joints=moved(clips.joints),
        points=moved(clips.points),
    )
