"""Draws people with the kernel of ``core.training.paint_kernel``."""

from __future__ import annotations

import torch
from torch import Tensor

from core.training.painting import FAR
from core.training.primitives import DECAL, SHADOW, SOLID
from core.training.renderer import Figures

_ROWS, _COLUMNS, _WARPS = 16, 32, 4


def paint_tiles(background: Tensor, figures: Figures, light: Tensor) -> tuple[Tensor, Tensor]:
    """As ``paint_people``: one launch for all pictures, without a copy of an expanded background or light."""
    from core.training.paint_kernel import paint_kernel

    count, _, height, width = background.shape
    if background.stride(3) != 1:
        background = background.contiguous()
    parts = figures.each(lambda values: values.float().contiguous())
    picture = torch.empty(count, 3, height // 2, width // 2, device=background.device)
    mask = torch.empty(count, height // 2, width // 2, dtype=torch.uint8, device=background.device)
    light = light.float() if light.stride(1) == 1 else light.float().contiguous()
    tiles = -(-width // _COLUMNS), -(-height // _ROWS), count
    paint_kernel[tiles](
        background, parts.shadows, parts.solids, parts.decals, parts.prints, light, picture, mask,
        background.stride(0), background.stride(1), background.stride(2), light.stride(0), height, width,
        SHADOWS=parts.shadows.shape[1], SOLIDS=parts.solids.shape[1],
        DECALS=parts.decals.shape[1], PRINTS=parts.prints.shape[1],
        SHADOW=len(SHADOW), SOLID=len(SOLID), DECAL=len(DECAL),
        FAR=FAR, ROWS=_ROWS, COLUMNS=_COLUMNS, num_warps=_WARPS,
    )  # fmt: skip
    return picture, mask.bool()
