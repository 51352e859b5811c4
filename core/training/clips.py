"""Training and evaluation clips: a drawn person in motion, its skeleton, and everything the metrics need."""

from __future__ import annotations

import torch

from core.training.clip_types import ClipRecipe, Clips
from core.training.clips_v1 import make_first_clips
from core.training.clips_v2 import ClipPlan, paint_clips, plan_clips
from core.training.motion_bank import Bank
from core.training.randomness import Draws
from core.training.skeletons import draw_like_product, negative_points

__all__ = [
    "ClipPlan",
    "ClipRecipe",
    "Clips",
    "draw_like_product",
    "make_clips",
    "negative_points",
    "paint_clips",
    "plan_clips",
]


def make_clips(
    seed: int,
    batch: int,
    recipe: ClipRecipe,
    bank: Bank | None,
    device: torch.device | str = "cpu",
    *,
    negatives: bool = False,
    surfaces: bool = False,
) -> Clips:
    """A batch of clips, the same for a seed on every machine (up to rounding in the drawing).

    Args:
        negatives, surfaces: draw these, too; recipe 1 has no surfaces.
    """
    device = torch.device(device)
    if recipe.version == 1:
        return make_first_clips(Draws(seed), batch, recipe, bank, device, negatives)
    return paint_clips(plan_clips(seed, batch, recipe, bank), device, negatives=negatives, surfaces=surfaces)
