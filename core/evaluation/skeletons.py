"""How well the skeletons alone tell where the joints of the drawn person are.

A model sees nothing of the motion but its skeletons. Where another person's skeleton lies beside the joints,
a model that follows it exactly is as far off: these figures are the ceiling of any that does.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from core.evaluation.metrics import BASE_HEIGHT, JOINTS, share_within
from core.training.clips import Clips


def skeleton_measures(clips: Clips, pck_pixels: float) -> dict[str, Tensor]:
    """``joint_error`` and ``pck`` of the skeletons, [B] each, of the joints that ``metrics.measure`` takes.

    Those shown in pictures 1 to F-1; pixels of a 192-row picture. A joint that the skeleton lacks is not
    within, and has no part in the mean error.
    """
    shown = clips.shown[:, 1:, JOINTS]
    lacking = shown & ~clips.seen[:, 1:, JOINTS]
    away = (clips.points - clips.joints)[:, 1:, JOINTS].norm(dim=-1) * (BASE_HEIGHT / clips.video.shape[-2])
    errors = torch.where(shown, away, math.nan)
    return {
        "joint_error": torch.where(lacking, math.nan, errors).nanmean(dim=(1, 2)),
        "pck": share_within(torch.where(lacking, math.inf, errors), pck_pixels),
    }
