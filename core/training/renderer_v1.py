"""Draws batches of capsules with shading, depth and smooth edges: the drawing that suite 1 is made of.

Pictures are drawn at twice their size and averaged down. On a GPU all capsules of a group run in one compiled
kernel; on the CPU each capsule touches only its own rectangle. Both call ``_capsule``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

SUPERSAMPLE = 2
FAR = -1e6
_GROUP = 9


def _capsule(
    colour: Tensor, depth: Tensor, v: Tensor, light: Tensor, y: Tensor, x: Tensor
) -> tuple[Tensor, Tensor]:
    """Paint one capsule a frame.

    colour [N, 3, H, W]; depth [N, H, W] in pixels towards the viewer; v [N, 20] as in ``CAPSULE``;
    light [N, 3] unit vectors; y [H, 1], x [1, W] pixel centres.
    """
    c = v[:, :, None, None].unbind(1)
    ax, ay, az, bx, by, bz, radius_a, radius_b = c[:8]
    dx, dy = bx - ax, by - ay
    length2 = dx * dx + dy * dy
    t = (((x - ax) * dx + (y - ay) * dy) / length2.clamp_min(1e-3)).clamp(0, 1)
    px, py = x - ax - t * dx, y - ay - t * dy
    radius = radius_a + t * (radius_b - radius_a)
    distance = (px * px + py * py).sqrt()
    safe = radius.clamp_min(1e-3)
    nx, ny = px / safe, -py / safe
    nz = (1 - nx * nx - ny * ny).clamp_min(0).sqrt()
    front = az + t * (bz - az) + nz * radius
    cover = (radius - distance + 0.5).clamp(0, 1) * (radius > 0.05)
    cover = cover * ((front - depth) * 0.5 + 0.5).clamp(0, 1)
    bands = (t * c[18] + c[19]) % 1.0
    striped = (c[18] > 0) & (bands > 0.5)
    beyond = t > c[17]
    lx, ly, lz = (light[:, i, None, None] for i in range(3))
    shade = 0.55 + 0.5 * (nx * lx + ny * ly + nz * lz).clamp_min(0)
    channels = []
    for i in range(3):
        paint = torch.where(beyond, c[14 + i], torch.where(striped, c[11 + i], c[8 + i]))
        channels.append(torch.lerp(colour[:, i], (paint * shade).clamp(0, 1), cover))
    depth = torch.where(cover > 0.5, torch.maximum(front, depth), depth)
    return torch.stack(channels, dim=1), depth


def _capsule_group(
    colour: Tensor, depth: Tensor, values: Tensor, light: Tensor, y: Tensor, x: Tensor
) -> tuple[Tensor, Tensor]:
    for index in range(values.shape[1]):
        colour, depth = _capsule(colour, depth, values[:, index], light, y, x)
    return colour, depth


@functools.cache
def _compiled(function: Callable[..., object]) -> Callable[..., object]:
    return torch.compile(function, dynamic=False)


def _grid(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    y = torch.arange(height, device=device, dtype=torch.float32)[:, None] + 0.5
    x = torch.arange(width, device=device, dtype=torch.float32)[None] + 0.5
    return y, x


def paint_people(
    background: Tensor, values: Tensor, light: Tensor, *, cropped: bool
) -> tuple[Tensor, Tensor]:
    """Draw people over backgrounds.

    Args:
        background: [N, 3, H, W] in 0..1, at the drawing size (twice the picture).
        values: [N, P, 20] capsules in drawing pixels.
        light: [N, 3].
        cropped: touch only each capsule's rectangle (CPU); else whole frames in compiled groups (GPU).

    Returns:
        Pictures [N, 3, H/2, W/2] in 0..1 and the person's mask [N, H/2, W/2] as booleans.
    """
    depth = torch.full_like(background[:, 0], FAR)
    colour = background.clone()
    y, x = _grid(background.shape[2], background.shape[3], background.device)
    if cropped:
        _paint_cropped(colour, depth, values, light, y, x)
    else:
        group = _compiled(_capsule_group)
        for start in range(0, values.shape[1], _GROUP):
            part = values[:, start : start + _GROUP]
            if part.shape[1] < _GROUP:
                part = F.pad(part, (0, 0, 0, _GROUP - part.shape[1]))
            colour, depth = group(colour, depth, part.contiguous(), light, y, x)  # type: ignore[misc]
    mask = F.avg_pool2d((depth > FAR / 2).float(), SUPERSAMPLE) > 0.5
    return F.avg_pool2d(colour, SUPERSAMPLE), mask


def _paint_cropped(
    colour: Tensor, depth: Tensor, values: Tensor, light: Tensor, y: Tensor, x: Tensor
) -> None:
    height, width = depth.shape[1:]
    for n in range(values.shape[0]):
        for v in values[n]:
            radius = float(v[6:8].max()) + 1
            if radius <= 1.05:
                continue
            left, right = int(v[[0, 3]].min() - radius), int(v[[0, 3]].max() + radius) + 2
            top, bottom = int(v[[1, 4]].min() - radius), int(v[[1, 4]].max() + radius) + 2
            rows, columns = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
            if rows.start >= rows.stop or columns.start >= columns.stop:
                continue
            one = slice(n, n + 1)
            painted, front = _capsule(
                colour[one, :, rows, columns],
                depth[one, rows, columns],
                v[None],
                light[one],
                y[rows],
                x[:, columns],
            )
            colour[one, :, rows, columns], depth[one, rows, columns] = painted, front
