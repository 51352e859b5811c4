"""How solids are coloured and cut, and the collector of all solids, decals and prints of a posed crowd."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from core.training.primitives import decal_values, solid_values
from core.training.scene_v1 import Camera

# Base, second and beyond colours; split; pattern weights; bands; phase | opening; low; high | gloss.
COAT = 9 + 1 + 4 + 2 + 1 + 3 + 2 + 1
_PAINT, _CUTS = 17, 22
_EVERYWHERE = (1e-3, 1e-3, -50.0, -9.0, 9.0)


def coat(
    base: Tensor,
    *,
    second: Tensor | None = None,
    beyond: Tensor | None = None,
    split: Tensor | float = 9.0,
    pattern: Tensor | None = None,
    opening: Tensor | None = None,
    low: Tensor | float = -9.0,
    high: Tensor | float = 9.0,
    gloss: Tensor | float = 0.0,
) -> Tensor:
    """Paint and cuts [B, COAT].

    Args:
        base, second, beyond: colours [B, 3] in 0..1; ``beyond`` holds from ``split`` on along the solid.
        pattern: [B, 7] weights around, lengthwise, checks, dots; bands along and across; phase.
        opening: [B, 3] half width, half height and centre (along) of an oval hole in front.
        low, high: the part along the solid that exists (0..1 on limbs, -1..1 on balls).
        gloss: strength of the highlight.
    """
    batch = base.shape[0]

    def column(value: Tensor | float) -> Tensor:
        return torch.as_tensor(value, dtype=torch.float32).expand(batch)[:, None]

    nothing = torch.zeros(batch, 7)
    hole = torch.tensor(_EVERYWHERE[:3]).expand(batch, 3)
    parts = [
        base,
        base if second is None else second,
        base if beyond is None else beyond,
        column(split),
        nothing if pattern is None else pattern,
        hole if opening is None else opening,
        column(low),
        column(high),
        column(gloss),
    ]
    return torch.cat(parts, dim=-1)


def aligned(direction: Tensor, side: Tensor) -> Tensor:
    """Axes (front, along, side) [..., 3, 3] of a limb along ``direction``, turned as ``side`` is."""
    along = torch.nn.functional.normalize(direction, dim=-1)
    across = side - (side * along).sum(-1, keepdim=True) * along
    across = torch.nn.functional.normalize(across, dim=-1)
    return torch.stack([torch.linalg.cross(along, across), along, across], dim=-1)


@dataclass
class Shapes:
    """Collects what a posed crowd consists of, in world metres."""

    batch: int
    frames: int
    solids: list[tuple[Tensor, ...]] = field(default_factory=list)
    decals: list[tuple[Tensor, ...]] = field(default_factory=list)
    prints: list[tuple[Tensor, ...]] = field(default_factory=list)

    def limb(
        self,
        start: Tensor,
        end: Tensor,
        radius_a: Tensor,
        radius_b: Tensor,
        paint: Tensor,
        side: Tensor,
        *,
        flat: Tensor | float = 1.0,
        shown: Tensor | None = None,
    ) -> None:
        """A limb: ends and side [B, T, 3]; radii [B] or [B, T]; ``flat``: front radius of side radius."""
        ratios = torch.ones(self.batch, 3)
        ratios[:, 0] = torch.as_tensor(flat)
        ratios[:, 1] = ratios[:, 0].clamp_max(1.0)
        self._add(start, end, (radius_a, radius_b), aligned(end - start, side), ratios, paint, shown)

    def ball(
        self, centre: Tensor, axes: Tensor, radii: Tensor, paint: Tensor, *, shown: Tensor | None = None
    ) -> None:
        """An ellipsoid: centre [B, T, 3], axes [B, T, 3, 3] (front, up, side), radii [B, 3] along them."""
        size = radii.amax(-1)
        self._add(centre, centre, (size, size), axes, radii / size[:, None].clamp_min(1e-4), paint, shown)

    def mixed(
        self,
        start: Tensor,
        end: Tensor,
        radii: tuple[Tensor, Tensor],
        axes: Tensor,
        ratios: Tensor,
        paint: Tensor,
        shown: Tensor,
        limb: Tensor,
    ) -> None:
        """Limbs for those of whom ``limb`` [B] is true, balls with ``axes`` for the others."""
        turned = aligned(end - start, axes[..., 2])
        chosen = torch.where(limb[:, None, None, None], turned, axes)
        self._add(start, end, radii, chosen, ratios, paint, shown)

    def _add(
        self,
        start: Tensor,
        end: Tensor,
        radii: tuple[Tensor, Tensor],
        axes: Tensor,
        ratios: Tensor,
        paint: Tensor,
        shown: Tensor | None,
    ) -> None:
        both = torch.stack([self._timed(radius) for radius in radii], dim=-1)
        visible = torch.ones(self.batch, dtype=torch.bool) if shown is None else shown
        self.solids.append((start, end, both, axes, ratios.clamp_min(0.05), paint, visible))

    def decal(
        self,
        centre: Tensor,
        axes: Tensor,
        sizes: Tensor,
        colour: Tensor,
        shape: Tensor,
        shown: Tensor | None = None,
    ) -> None:
        """Paint on the surface.

        axes [B, T, 3, 3] (across, up, outwards); sizes [B, 3] (half width, half height, depth within which
        the surface is painted); colour [B, 3]; shape [B, 3] (bend, ring, cut).
        """
        self.decals.append(
            self._stamp(centre, axes, sizes, [colour, shape, torch.zeros(self.batch, 2)], shown)
        )

    def print(
        self,
        centre: Tensor,
        axes: Tensor,
        sizes: Tensor,
        colour: Tensor,
        kind: Tensor,
        code: Tensor,
        shown: Tensor | None = None,
    ) -> None:
        """A decal with the outline number ``kind`` of ``PRINTS``; ``code`` lights the bars of a digit."""
        paint = [colour, torch.zeros(self.batch, 3), torch.stack([kind, code], dim=-1).float()]
        self.prints.append(self._stamp(centre, axes, sizes, paint, shown))

    def _stamp(
        self, centre: Tensor, axes: Tensor, sizes: Tensor, paint: list[Tensor], shown: Tensor | None
    ) -> tuple[Tensor, ...]:
        visible = torch.ones(self.batch, dtype=torch.bool) if shown is None else shown
        return centre, axes, sizes, torch.cat(paint, dim=-1), visible

    def _timed(self, value: Tensor) -> Tensor:
        value = torch.as_tensor(value, dtype=torch.float32)
        return (value[:, None] if value.ndim == 1 else value).expand(self.batch, self.frames)

    def seen(self, camera: Camera, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Values of the solids, decals and prints [B, T, P, ...] for the renderer, in drawing pixels."""
        solids, decals, prints = (
            [torch.stack([self._each(v) for v in column], dim=2) for column in zip(*rows, strict=True)]
            for rows in (self.solids, self.decals, self.prints)
        )
        scale = camera.scale[:, None, None, None]
        turn = camera.turn[:, None, None]
        start, end, radii, axes, ratios, paint, shown = solids
        first = solid_values(
            camera.project(start, height, width), camera.project(end, height, width),
            radii * scale, turn @ axes, ratios, paint, shown > 0,
        )  # fmt: skip
        stamps = [
            decal_values(camera.project(c, height, width), turn @ a, s * scale, p, v > 0)
            for c, a, s, p, v in (decals, prints)
        ]
        return first, stamps[0], stamps[1]

    def _each(self, value: Tensor) -> Tensor:
        """Values of a person for every frame."""
        if value.ndim >= 3:
            return value
        if value.ndim == 1:
            return value[:, None].expand(-1, self.frames).float()
        return value[:, None].expand(-1, self.frames, -1)
