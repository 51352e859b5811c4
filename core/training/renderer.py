"""Draws batches of people with shading, depth and smooth edges.

Pictures are drawn at twice their size and averaged down. On a GPU one kernel draws all shapes tile by tile
(``core.training.paint_kernel``); on the CPU each shape touches only its own rectangle, for all pictures at
once. Both follow ``core.training.painting``, whose functions on whole pictures are the reference.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from core.training import painting
from core.training.painting import FAR, Planes, blank

SUPERSAMPLE = 2
_GROUP = 8
How = Literal["cropped", "whole", "compiled", "tiles"]
Paint = Callable[[Planes, Tensor, Tensor, Tensor, Tensor], Planes]


@dataclass(frozen=True)
class Figures:
    """Values of all shapes in pictures, [N, P, ...] or [B, T, P, ...], in the order of drawing."""

    shadows: Tensor
    solids: Tensor
    decals: Tensor
    prints: Tensor

    def each(self, change: Callable[[Tensor], Tensor]) -> Figures:
        """The same change to every part: an index, a device, a reshape."""
        return Figures(*(change(getattr(self, f.name)) for f in fields(Figures)))

    def layers(self) -> tuple[tuple[Tensor, Paint], ...]:
        """Parts with the function that paints one of them."""
        return (
            (self.shadows, painting.shadow),
            (self.solids, painting.solid),
            (self.decals, painting.decal),
            (self.prints, painting.print_),
        )


def paint_people(
    background: Tensor, figures: Figures, light: Tensor, *, how: How = "cropped"
) -> tuple[Tensor, Tensor]:
    """Draw people over backgrounds.

    Args:
        background: [N, 3, H, W] in 0..1, at the drawing size (twice the picture).
        figures: values [N, P, ...] in drawing pixels.
        light: [N, 9]: direction to the light (right, up, to the viewer), its colour, the colour of shade.
        how: "cropped" (CPU), "tiles" (GPU, or Triton's interpreter), "whole" (the reference), "compiled" (the
            reference in compiled groups, for a GPU without Triton).

    Returns:
        Pictures [N, 3, H/2, W/2] in 0..1 and the person's mask [N, H/2, W/2] as booleans, without shadows.
    """
    if how == "tiles":
        from core.training.paint_tiles import paint_tiles  # needs Triton

        return paint_tiles(background, figures, light)
    y, x = _grid(background.shape[2], background.shape[3], background.device)
    planes = blank(background)
    if how == "cropped":
        planes = _cropped(planes, figures, light)
    else:
        planes = _whole(planes, figures, light, y[None], x[None], how == "compiled")
    colour, depth = torch.stack(planes[:3], dim=1), planes.depth
    mask = F.avg_pool2d((depth > FAR / 2).float(), SUPERSAMPLE) > 0.5
    return F.avg_pool2d(colour, SUPERSAMPLE), mask


def _whole(planes: Planes, figures: Figures, light: Tensor, y: Tensor, x: Tensor, compiled: bool) -> Planes:
    for values, paint in figures.layers():
        group = _compiled(paint) if compiled else functools.partial(_group, paint)
        for start in range(0, values.shape[1], _GROUP):
            part = values[:, start : start + _GROUP]
            part = F.pad(part, (0, 0, 0, _GROUP - part.shape[1])) if compiled else part
            planes = group(planes, part.contiguous(), light, y, x)
    return planes


def _group(paint: Paint, planes: Planes, values: Tensor, light: Tensor, y: Tensor, x: Tensor) -> Planes:
    for index in range(values.shape[1]):
        planes = paint(planes, values[:, index], light, y, x)
    return planes


@functools.cache
def _compiled(paint: Paint) -> Paint:
    return torch.compile(functools.partial(_group, paint), dynamic=False)


def _grid(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    y = torch.arange(height, device=device, dtype=torch.float32)[:, None] + 0.5
    x = torch.arange(width, device=device, dtype=torch.float32)[None] + 0.5
    return y, x


def _cropped(planes: Planes, figures: Figures, light: Tensor) -> Planes:
    """Every shape on its own rectangles, as large in all pictures as the largest of them."""
    whole = torch.stack(planes, dim=-1)
    for values, paint in figures.layers():
        for index in range(values.shape[1]):
            _crop(whole, values[:, index], paint, light)
    return Planes(*whole.unbind(-1))


def _crop(whole: Tensor, values: Tensor, paint: Paint, light: Tensor) -> None:
    """Paints one shape; whole [N, H, W, 5] is changed in place. Pixels beyond an edge repeat the edge's."""
    height, width = whole.shape[1:3]
    left, right, top, bottom = values[:, -4:].unbind(1)
    left, right = left.clamp(0, width).floor().long(), right.clamp(0, width).ceil().long()
    top, bottom = top.clamp(0, height).floor().long(), bottom.clamp(0, height).ceil().long()
    there = (right > left) & (bottom > top)
    if not there.any():
        return
    n = there.nonzero()[:, 0]
    left, right, top, bottom = left[n], right[n], top[n], bottom[n]
    rows = top[:, None] + torch.arange(int((bottom - top).max()))
    columns = left[:, None] + torch.arange(int((right - left).max()))
    rows, columns = rows.clamp_max(height - 1)[:, :, None], columns.clamp_max(width - 1)[:, None, :]
    place = (n[:, None, None], rows, columns)
    planes = Planes(*whole[place].unbind(-1))
    painted = paint(planes, values[n], light[n], rows + 0.5, columns + 0.5)
    whole[place] = torch.stack(painted, dim=-1)
