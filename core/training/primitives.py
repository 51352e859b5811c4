"""What drawn people are made of: solids, decals, prints and shadows, and the numbers that describe them.

A solid is a swept ellipsoid: a ball of any axes, moved along a line while its size changes. Balls have no
line; limbs have one. In the metric K of its ellipsoid (a symmetric 3x3 matrix) it is a round capsule with
radii a and b, which the renderer intersects with one ray a pixel. A decal is painted on whatever surface is
seen near its centre (eyes, mouths); a print is a decal of a fancier outline; a shadow darkens the floor.

Pixels are the drawing's (twice the picture's); x to the right, y up except in positions, z to the viewer.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Positions a (start) and d (end - start, y up), radii; the metric seen along z (g: dist^2 = e g e; h, depth:
# where a ray is deepest inside); inverse length^2 of d, its lean to the viewer, g d; K; rows of the surface
# coordinates (front, along, side); colours; pattern; opening in front; part that is kept; gloss; rectangle.
SOLID = (
    "ax", "ay", "az", "dx", "dy", "dz", "radius", "growth",
    "g11", "g12", "g22", "h1", "h2", "depth", "inverse", "lean", "gd1", "gd2",
    "k11", "k12", "k13", "k22", "k23", "k33",
    "f1", "f2", "f3", "v1", "v2", "v3", "s1", "s2", "s3",
    "base_r", "base_g", "base_b", "second_r", "second_g", "second_b", "beyond_r", "beyond_g", "beyond_b",
    "split", "around", "lengthwise", "checks", "dots", "bands_v", "bands_s", "phase",
    "open_s", "open_v", "open_at", "open_sharp", "low", "high", "cut_sharp", "gloss",
    "left", "right", "top", "bottom",
)  # fmt: skip
DECAL = (
    "x", "y", "z", "u1", "u2", "u3", "v1", "v2", "v3", "w1", "w2", "w3",
    "red", "green", "blue", "bend", "ring", "cut", "sharp", "alpha", "kind", "code",
    "left", "right", "top", "bottom",
)  # fmt: skip
SHADOW = ("x", "y", "rx", "ry", "strength", "left", "right", "top", "bottom")
S = {name: index for index, name in enumerate(SOLID)}
# Outlines of prints, by ``kind``.
PRINTS = ("disc", "star", "heart", "digit", "bolt", "square")
_SHORTEST = 1e-3


def solid_values(
    start: Tensor, end: Tensor, radii: Tensor, axes: Tensor, ratios: Tensor, coat: Tensor, shown: Tensor
) -> Tensor:
    """Everything the renderer needs of solids, [..., len(SOLID)].

    Args:
        start, end: [..., 3] drawing pixels (y down).
        radii: [..., 2] pixels at the start and the end.
        axes: [..., 3, 3] columns front, along, side; right, up, to the viewer.
        ratios: [..., 3] the ellipsoid's radii along the axes, of the radius.
        coat: [..., len(COAT)] paint and cuts, see ``core.training.coats``; ``open_sharp`` and ``cut_sharp``
            are worked out here.
        shown: [...] bool.
    """
    d = (end - start) * torch.tensor([1.0, -1.0, 1.0])
    scaled = axes / ratios[..., None, :]
    k = scaled @ scaled.transpose(-1, -2)
    g, h, depth = _seen(k)
    gd = (g @ d[..., :2, None])[..., 0]
    length2 = (gd * d[..., :2]).sum(-1)
    line = d.norm(dim=-1) > _SHORTEST
    inverse = torch.where(line, 1 / length2.clamp_min(_SHORTEST), 0)
    towards = (k[..., 2, :] * d).sum(-1) * depth
    whole = (d[..., None, :] @ k @ d[..., :, None])[..., 0, 0].clamp_min(_SHORTEST).sqrt()
    lean = torch.where(line, towards / whole * length2.clamp_min(_SHORTEST).rsqrt(), 0)
    middle = radii.mean(-1, keepdim=True).clamp_min(1e-2)
    rows = scaled.transpose(-1, -2) / middle[..., None]
    along = torch.stack([torch.ones_like(depth), (~line).float(), torch.ones_like(depth)], dim=-1)
    rows = rows * along[..., None]
    radii = radii * shown[..., None].float()
    along_px = torch.where(line, d.norm(dim=-1), middle[..., 0] * ratios[..., 1])
    paint, cuts, gloss = coat[..., :17], coat[..., 17:22], coat[..., 22:]
    values = [
        start, d, radii[..., :1], radii[..., 1:] - radii[..., :1],
        g[..., 0, 0, None], g[..., 0, 1, None], g[..., 1, 1, None], h, depth[..., None],
        inverse[..., None], lean[..., None], gd,
        k[..., 0, :], k[..., 1, 1:], k[..., 2, 2:],
        rows.flatten(-2), paint,
        cuts[..., :3], (middle * ratios[..., 2:] * cuts[..., :1]), cuts[..., 3:], along_px[..., None], gloss,
        _rectangle(start, end, radii * ratios.amax(-1, keepdim=True)),
    ]  # fmt: skip
    return torch.cat(values, dim=-1)


def _seen(k: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """K as seen along z: the outline's metric g [..., 2, 2], the slope h [..., 2], 1 / sqrt(Kzz) [...]."""
    inverse = 1 / k[..., 2, 2]
    h = k[..., 2, :2] * inverse[..., None]
    g = k[..., :2, :2] - h[..., :, None] * k[..., 2, None, :2]
    return g, h, inverse.sqrt()


def _rectangle(start: Tensor, end: Tensor, reach: Tensor) -> Tensor:
    """left, right, top, bottom [..., 4] in pixels; empty when the radii are zero."""
    wide = torch.where(reach.amax(-1) > 0.05, reach.amax(-1) + 1.5, -1e4)
    low, high = torch.minimum(start, end) - wide[..., None], torch.maximum(start, end) + wide[..., None]
    return torch.stack([low[..., 0], high[..., 0], low[..., 1], high[..., 1]], dim=-1)


def decal_values(centre: Tensor, axes: Tensor, sizes: Tensor, paint: Tensor, shown: Tensor) -> Tensor:
    """Decals, [..., len(DECAL)].

    Args:
        centre: [..., 3] drawing pixels (y down).
        axes: [..., 3, 3] columns across, up, outwards.
        sizes: [..., 3] half width, half height and tolerance in depth, pixels.
        paint: [..., 8] red, green, blue, bend, ring, cut, kind, code.
        shown: [...] bool.
    """
    rows = (axes / sizes.clamp_min(1e-2)[..., None, :]).transpose(-1, -2).flatten(-2)
    sharp = sizes[..., :2].amin(-1, keepdim=True)
    alpha = shown[..., None].float()
    # Long thin ones are soft for some way beyond their ends.
    beyond = (1 + paint[..., 3:4].abs()) * (1.05 + 0.5 / sharp.clamp_min(0.3)) * alpha
    reach = (sizes.amax(-1, keepdim=True) * beyond).expand(*sizes.shape[:-1], 2)
    return torch.cat(
        [centre, rows, paint[..., :6], sharp, alpha, paint[..., 6:], _rectangle(centre, centre, reach)],
        dim=-1,
    )


def shadow_values(centre: Tensor, radii: Tensor, strength: Tensor) -> Tensor:
    """Shadows, [..., len(SHADOW)]: centres and radii [..., 2] pixels, strength [...] 0..1."""
    low, high = centre - radii, centre + radii
    rectangle = torch.stack([low[..., 0], high[..., 0], low[..., 1], high[..., 1]], dim=-1)
    return torch.cat([centre, radii, strength[..., None], rectangle], dim=-1)
