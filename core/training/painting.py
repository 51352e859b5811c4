"""The plain form of drawing: one solid, decal, print or shadow at a time, on planes of pixels.

Planes: red, green, blue, depth (pixels towards the viewer), lit (how much of the key light falls there).
All functions work on any rectangle: y [N or 1, h, 1] and x [N or 1, 1, w] are pixel centres, values [N, ...],
light [N, 9] (direction to the light, its colour, the colour of shade).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from core.training.primitives import DECAL, SHADOW, SOLID

FAR = -1e6
_SEGMENTS = (
    # Digits as bars (centre u, v; half width, half height): top, upper right, lower right, bottom, lower
    # left, upper left, middle; bit n of the code switches bar n.
    (0.0, 0.85, 0.5, 0.15), (0.42, 0.42, 0.16, 0.5), (0.42, -0.42, 0.16, 0.5), (0.0, -0.85, 0.5, 0.15),
    (-0.42, -0.42, 0.16, 0.5), (-0.42, 0.42, 0.16, 0.5), (0.0, 0.0, 0.5, 0.14),
)  # fmt: skip
STAR_NORMALS = (
    (0.0, -1.0),
    (0.951057, -0.309017),
    (0.587785, 0.809017),
    (-0.587785, 0.809017),
    (-0.951057, -0.309017),
)
SEVEN_SEGMENTS = (63, 6, 91, 79, 102, 109, 125, 7, 127, 111)


class Planes(NamedTuple):
    """What is drawn so far, each [N, h, w]."""

    red: Tensor
    green: Tensor
    blue: Tensor
    depth: Tensor
    lit: Tensor


def blank(background: Tensor) -> Planes:
    """Planes with nobody in them; background [N, 3, H, W]."""
    red, green, blue = background.unbind(1)
    return Planes(red, green, blue, torch.full_like(red, FAR), torch.zeros_like(red))


def _named(values: Tensor, names: tuple[str, ...]) -> dict[str, Tensor]:
    return dict(zip(names, values[:, :, None, None].unbind(1), strict=True))


def shadow(planes: Planes, values: Tensor, _light: Tensor, y: Tensor, x: Tensor) -> Planes:
    """Darkens an ellipse, most in its middle, whatever the light."""
    c = _named(values, SHADOW)
    u, v = (x - c["x"]) / c["rx"], (y - c["y"]) / c["ry"]
    inside = (1 - u * u - v * v).clamp_min(0)
    keep = 1 - c["strength"] * inside * (2 - inside)
    return planes._replace(red=planes.red * keep, green=planes.green * keep, blue=planes.blue * keep)


def solid(planes: Planes, values: Tensor, light: Tensor, y: Tensor, x: Tensor) -> Planes:
    """Paint one solid a picture where it is nearer than what is there."""
    c = _named(values, SOLID)
    ex, ey, up, t, cover = _hit(c, y, x)
    front = c["az"] + t * c["dz"] + up
    f = c["f1"] * ex + c["f2"] * ey + c["f3"] * up
    v = t + c["v1"] * ex + c["v2"] * ey + c["v3"] * up
    s = c["s1"] * ex + c["s2"] * ey + c["s3"] * up
    cover = cover * _kept(c, f, v, s) * ((front - planes.depth) * 0.5 + 0.5).clamp(0, 1)
    weight, beyond = _pattern(c, v, s), v > c["split"]
    lit, shine = _shade(c, ex, ey, up, light)
    parts = []
    for index, (plane, name) in enumerate(zip(planes[:3], "rgb", strict=True)):
        paint = torch.lerp(c[f"base_{name}"], c[f"second_{name}"], weight)
        paint = torch.where(beyond, c[f"beyond_{name}"], paint)
        tone = light[:, 6 + index, None, None] + light[:, 3 + index, None, None] * lit
        parts.append(torch.lerp(plane, (paint * tone + shine).clamp(0, 1), cover))
    depth = torch.where(cover > 0.5, torch.maximum(front, planes.depth), planes.depth)
    red, green, blue = parts
    return Planes(red, green, blue, depth, torch.lerp(planes.lit, lit, cover))


def _hit(c: dict[str, Tensor], y: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Where rays meet the solid: from its line's point to the surface (right, up, near), the line's t, cover.

    The outline comes from the line's nearest point in the picture, or its larger end where that covers more;
    what is seen comes from a point nearer to the end that leans towards the viewer, unless its ball does not
    reach the pixel.
    """
    qx, qy = x - c["ax"], c["ay"] - y
    dot = qx * c["gd1"] + qy * c["gd2"]
    along = dot * c["inverse"]
    flat = _most_covering(c, qx, qy, along.clamp(0, 1))
    ex, ey = qx - flat * c["dx"], qy - flat * c["dy"]
    gx, gy = c["g11"] * ex + c["g12"] * ey, c["g12"] * ex + c["g22"] * ey
    square = ex * gx + ey * gy
    distance = square.clamp_min(1e-6).sqrt()
    radius = c["radius"] + flat * c["growth"]
    slope = (gx * gx + gy * gy).clamp_min(1e-6).sqrt() / distance
    cover = ((radius - distance) / slope.clamp_min(1e-3) + 0.5).clamp(0, 1) * (radius > 0.05)
    across = c["g11"] * qx * qx + 2 * c["g12"] * qx * qy + c["g22"] * qy * qy - along * dot
    t = (along + (radius * radius - across).clamp_min(0).sqrt() * c["lean"]).clamp(0, 1)
    nx, ny = qx - t * c["dx"], qy - t * c["dy"]
    reach = c["radius"] + t * c["growth"]
    inner = reach * reach - (c["g11"] * nx * nx + 2 * c["g12"] * nx * ny + c["g22"] * ny * ny)
    seen = inner > 0
    t, ex, ey = torch.where(seen, t, flat), torch.where(seen, nx, ex), torch.where(seen, ny, ey)
    inner = torch.where(seen, inner, (radius * radius - square).clamp_min(0))
    return ex, ey, inner.sqrt() * c["depth"] - (c["h1"] * ex + c["h2"] * ey), t, cover


def _most_covering(c: dict[str, Tensor], qx: Tensor, qy: Tensor, nearest: Tensor) -> Tensor:
    """The line's nearest point, or its larger end where that reaches farther (limbs towards the viewer)."""
    larger = (c["growth"] > 0).float()

    def reach(t: Tensor) -> Tensor:
        x, y = qx - t * c["dx"], qy - t * c["dy"]
        square = c["g11"] * x * x + 2 * c["g12"] * x * y + c["g22"] * y * y
        return c["radius"] + t * c["growth"] - square.clamp_min(1e-6).sqrt()

    return torch.where(reach(larger) > reach(nearest), larger, nearest)


def _kept(c: dict[str, Tensor], f: Tensor, v: Tensor, s: Tensor) -> Tensor:
    """0 where the solid is cut away: inside the oval opening in front, below ``low``, above ``high``."""
    u, w = s / c["open_s"], (v - c["open_at"]) / c["open_v"]
    outside = (((u * u + w * w).sqrt() - 1) * c["open_sharp"] + 0.5).clamp(0, 1)
    kept = torch.where(f > 0, outside, 1.0)
    above = ((v - c["low"]) * c["cut_sharp"] + 0.5).clamp(0, 1)
    return kept * above * ((c["high"] - v) * c["cut_sharp"] + 0.5).clamp(0, 1)


def _pattern(c: dict[str, Tensor], v: Tensor, s: Tensor) -> Tensor:
    """Share of the second colour, 0..1."""
    pv = v * c["bands_v"] + c["phase"]
    ps = s * c["bands_s"] + 0.25
    pv, ps = pv - pv.floor(), ps - ps.floor()
    bv, bs = (pv > 0.5).float(), (ps > 0.5).float()
    spot = ((pv - 0.5).square() + (ps - 0.5).square() < 0.075).float()
    return c["around"] * bv + c["lengthwise"] * bs + c["checks"] * (bv - bs).abs() + c["dots"] * spot


def _shade(c: dict[str, Tensor], ex: Tensor, ey: Tensor, up: Tensor, light: Tensor) -> tuple[Tensor, Tensor]:
    """How lit each pixel is, and the shine to add: soft light, darker outlines, a rim from above."""
    nx = c["k11"] * ex + c["k12"] * ey + c["k13"] * up
    ny = c["k12"] * ex + c["k22"] * ey + c["k23"] * up
    nz = c["k13"] * ex + c["k23"] * ey + c["k33"] * up
    scale = (nx * nx + ny * ny + nz * nz).clamp_min(1e-12).rsqrt()
    nx, ny, nz = nx * scale, ny * scale, (nz * scale).clamp_min(0)
    lx, ly, lz = (light[:, i, None, None] for i in range(3))
    edge = 1 - nz
    lit = (0.62 * (nx * lx + ny * ly + nz * lz) + 0.38).clamp_min(0) - 0.3 * edge * edge
    half = (lx * lx + ly * ly + (lz + 1) * (lz + 1)).rsqrt()
    glint = ((nx * lx + ny * ly + nz * (lz + 1)) * half).clamp_min(0)
    glint = glint * glint
    glint = glint * glint
    glint = glint * glint
    glint = glint * glint
    rim = 0.16 * edge * edge * edge * (0.5 + 0.5 * ny).clamp_min(0)
    return lit, c["gloss"] * glint * glint + rim


def _on_surface(planes: Planes, c: dict[str, Tensor], y: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A decal's coordinates u, v of what is seen, and whether it is near enough in depth."""
    ex, ey, ez = x - c["x"], c["y"] - y, planes.depth - c["z"]
    u = c["u1"] * ex + c["u2"] * ey + c["u3"] * ez
    v = c["v1"] * ex + c["v2"] * ey + c["v3"] * ez
    w = c["w1"] * ex + c["w2"] * ey + c["w3"] * ez
    return u, v, (w.abs() < 1).float()


def _stamp(planes: Planes, c: dict[str, Tensor], cover: Tensor, light: Tensor) -> Planes:
    parts = []
    for index, (plane, name) in enumerate(zip(planes[:3], ("red", "green", "blue"), strict=True)):
        tone = light[:, 6 + index, None, None] + light[:, 3 + index, None, None] * planes.lit
        parts.append(torch.lerp(plane, (c[name] * tone).clamp(0, 1), cover))
    red, green, blue = parts
    return Planes(red, green, blue, planes.depth, planes.lit)


def decal(planes: Planes, values: Tensor, light: Tensor, y: Tensor, x: Tensor) -> Planes:
    """An oval, perhaps bent (a mouth), only a ring (glasses) or cut off above ``cut`` (lids)."""
    c = _named(values, DECAL)
    u, v, near = _on_surface(planes, c, y, x)
    bent = v - c["bend"] * (u * u - 0.5)
    distance = (u * u + bent * bent).clamp_min(1e-6).sqrt()
    outside = torch.where(c["ring"] > 0, (distance - 1 + c["ring"]).abs() - c["ring"], distance - 1)
    outside = torch.maximum(outside, v - c["cut"])
    cover = (0.5 - outside * c["sharp"]).clamp(0, 1) * c["alpha"] * near
    return _stamp(planes, c, cover, light)


def print_(planes: Planes, values: Tensor, light: Tensor, y: Tensor, x: Tensor) -> Planes:
    """A decal with one of the outlines of ``PRINTS``."""
    c = _named(values, DECAL)
    u, v, near = _on_surface(planes, c, y, x)
    outside = _outline(c["kind"], c["code"], u, v)
    return _stamp(planes, c, (0.5 - outside * c["sharp"]).clamp(0, 1) * c["alpha"] * near, light)


def _outline(kind: Tensor, code: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Signed distance, roughly, in half sizes."""
    shape = (u * u + v * v).clamp_min(1e-6).sqrt() - 1
    for number, other in ((1, _star(u, v)), (2, _heart(u, v)), (3, _digit(code, u, v)), (4, _bolt(u, v))):
        shape = torch.where(kind == number, other, shape)
    return torch.where(kind == 5, torch.maximum(u.abs(), v.abs()) - 0.85, shape)


def _star(u: Tensor, v: Tensor) -> Tensor:
    """Five points: all that lies beyond at most one of the five edges of the pentagon in its middle."""
    most, second = torch.full_like(u, -9.0), torch.full_like(u, -9.0)
    for cos, sin in STAR_NORMALS:
        beyond = cos * u + sin * v - 0.309
        second = torch.maximum(second, torch.minimum(most, beyond))
        most = torch.maximum(most, beyond)
    return second


def _heart(u: Tensor, v: Tensor) -> Tensor:
    a, b = u.abs(), v * 1.05 + 0.1
    lobe = ((a - 0.48).square() + (b - 0.3).square()).clamp_min(1e-6).sqrt() - 0.5
    wedge = torch.maximum(0.75 * a - 0.66 * b - 0.62, torch.maximum(b - 0.42, a - 0.98))
    return torch.minimum(lobe, wedge)


def _digit(code: Tensor, u: Tensor, v: Tensor) -> Tensor:
    nearest = torch.full_like(u, 9.0)
    for bit, (cu, cv, wide, high) in enumerate(_SEGMENTS):
        bar = torch.maximum((u - cu).abs() - wide, (v - cv).abs() - high)
        on = (code / 2**bit).floor() % 2 > 0.5
        nearest = torch.where(on, torch.minimum(nearest, bar), nearest)
    return nearest


def _bolt(u: Tensor, v: Tensor) -> Tensor:
    """Two slanted bars, one above and one below the middle."""
    upper = torch.maximum((u + 0.1 - 0.45 * v).abs() - 0.3, (v - 0.42).abs() - 0.55)
    lower = torch.maximum((u - 0.1 - 0.45 * v).abs() - 0.3 * (1.1 + v).clamp(0, 1), (v + 0.42).abs() - 0.55)
    return torch.minimum(upper, lower)
