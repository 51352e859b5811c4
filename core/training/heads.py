"""Heads: the skull, a face painted on it, hair, hats and beards."""

from __future__ import annotations

import torch
from torch import Tensor

from core.training.body import Joints
from core.training.coats import Shapes, coat
from core.training.hair import HAT_PIECES, HATS, PIECES, STYLES, Piece, table
from core.training.looks import BEARDS, EYES, MOUTHS, Looks

_SKULL = (0.96, 1.0, 0.93)
_EYE_Y, _EYE_Z, _MOUTH_Y = 0.1, 0.38, -0.45
# By kind of eyes: half width and half height of the white and of the iris, and where lids cut them.
_WHITES = ((0.2, 0.23), (0.17, 0.27), (0.01, 0.01), (0.2, 0.22))
_IRISES = ((0.13, 0.15), (0.12, 0.18), (0.105, 0.15), (0.13, 0.15))
_LIDS = (9.0, 9.0, 9.0, 0.15)
# By kind of mouth: half width, half height, bend, cut of the lips and of what is seen in between.
_LIPS = (
    (0.3, 0.065, 2.4, 9.0),
    (0.2, 0.055, 0.0, 9.0),
    (0.2, 0.2, 0.0, 9.0),
    (0.32, 0.27, 0.0, 0.05),
    (0.11, 0.06, 0.8, 9.0),
)
_INNER = ((0.01, 0.01, 0.0), (0.01, 0.01, 0.0), (0.13, 0.09, -0.1), (0.26, 0.07, -0.05), (0.01, 0.01, 0.0))


def add_head(shapes: Shapes, looks: Looks, joints: Joints) -> None:
    """Everything from the chin up."""
    head = _Head(shapes, looks, joints)
    head.skull()
    head.pieces(STYLES, PIECES, looks.hair, looks.hair_colour, looks.accent)
    head.pieces(HATS, HAT_PIECES, looks.hat, looks.hat_colour, looks.top_second)
    head.beard()
    head.eyes()
    head.mouth()
    head.glasses()


class _Head:
    """Places solids and decals in units of the head's radius."""

    def __init__(self, shapes: Shapes, looks: Looks, joints: Joints) -> None:
        self.shapes, self.looks, self.axes = shapes, looks, joints.head_axes
        self.centre, self.radius = joints.points["head"], looks.size.head
        self.batch = len(self.radius)
        self.facing = torch.stack([self.axes[..., 2], self.axes[..., 1], self.axes[..., 0]], dim=-1)
        self.wide = _SKULL[2] * looks.face_wide

    def at(self, offset: Tensor) -> Tensor:
        """offset [B, 3] in radii -> [B, T, 3]."""
        return self.centre + torch.einsum("btij,bj->bti", self.axes, offset * self.radius[:, None])

    def on_face(self, y: Tensor | float, z: Tensor | float) -> Tensor:
        """The point of the skull at height y and side z, seen from the front: [B, T, 3]."""
        y, z = (torch.as_tensor(v, dtype=torch.float32).expand(self.batch) for v in (y, z))
        x = _SKULL[0] * (1 - (y / _SKULL[1]) ** 2 - (z / self.wide) ** 2).clamp_min(0.05).sqrt()
        return self.at(torch.stack([x, y, z], dim=-1))

    def skull(self) -> None:
        """Skull, nose and ears."""
        skin = self.looks.skin
        size = torch.stack(
            [self.radius * _SKULL[0], self.radius * _SKULL[1], self.radius * self.wide], dim=-1
        )
        self.shapes.ball(self.centre, self.axes, size, coat(skin))
        nose = self.radius[:, None] * torch.tensor([0.14, 0.11, 0.12])
        self.shapes.ball(self.on_face(-0.14, 0.0), self.axes, nose, coat((skin * 1.04).clamp_max(1.0)))
        for sign in (1.0, -1.0):
            ear = self.at(torch.stack([self.wide * 0 - 0.02, self.wide * 0, sign * self.wide * 1.02], dim=-1))
            size = self.radius[:, None] * torch.tensor([0.2, 0.25, 0.14])
            self.shapes.ball(ear, self.axes, size, coat(skin * 0.96))

    def pieces(
        self, styles: dict[str, list[Piece]], count: int, kind: Tensor, first: Tensor, second: Tensor
    ) -> None:
        """Hair or a hat from its table."""
        rows, exists = (part[kind] for part in table(styles, count))
        for place in range(count):
            row, shown = rows[:, place], exists[:, place]
            start, end, radii = row[:, 0:3], row[:, 3:6], row[:, 6:9]
            paint = coat(
                torch.where(row[:, 16:17] > 0.5, second, first),
                opening=row[:, 11:14],
                low=row[:, 14],
                high=row[:, 15],
                gloss=0.14,
            )
            self._piece(start, end, radii, row[:, 9], row[:, 10], paint, shown)

    def _piece(
        self,
        start: Tensor,
        end: Tensor,
        radii: Tensor,
        flat: Tensor,
        tilt: Tensor,
        paint: Tensor,
        shown: Tensor,
    ) -> None:
        c, s, zero, one = tilt.cos(), tilt.sin(), torch.zeros_like(tilt), torch.ones_like(tilt)
        turn = torch.stack([c, -s, zero, s, c, zero, zero, zero, one], dim=-1).view(-1, 1, 3, 3)
        strand = (start != end).any(-1)
        size = torch.where(strand[:, None], radii[:, :1], radii) * self.radius[:, None]
        ratios = torch.where(
            strand[:, None], torch.stack([flat, flat, one], dim=-1), size / size.amax(-1, keepdim=True)
        )
        first = torch.where(strand, radii[:, 0], radii.amax(-1)) * self.radius
        last = torch.where(strand, radii[:, 1], radii.amax(-1)) * self.radius
        self.shapes.mixed(
            self.at(start), self.at(end), (first, last), self.axes @ turn, ratios, paint, shown, strand
        )

    def beard(self) -> None:
        """A beard round the chin."""
        tilt = torch.full((self.batch,), 0.25)
        start = torch.tensor([0.03, -0.05, 0.0]).expand(self.batch, 3)
        radii = torch.tensor([0.99, 1.03, 0.95]).expand(self.batch, 3)
        paint = coat(self.looks.hair_colour * 0.92, high=-0.5)
        shown = self.looks.beard == BEARDS.index("beard")
        self._piece(start, start, radii, torch.ones(self.batch), tilt, paint, shown)

    def stamp(
        self,
        y: Tensor | float,
        z: Tensor | float,
        half: Tensor,
        colour: Tensor,
        *,
        bend: Tensor | float = 0.0,
        ring: Tensor | float = 0.0,
        cut: Tensor | float = 9.0,
        shown: Tensor | None = None,
    ) -> None:
        """An oval on the face: half sizes [B, 2] in radii, colour [B, 3]."""
        shape = torch.stack(
            [torch.as_tensor(v, dtype=torch.float32).expand(self.batch) for v in (bend, ring, cut)], -1
        )
        sizes = torch.cat([half, torch.full((self.batch, 1), 0.24)], dim=-1) * self.radius[:, None]
        self.shapes.decal(self.on_face(y, z), self.facing, sizes, colour, shape, shown)

    def pair(self, *values: float) -> Tensor:
        """The same numbers for everybody, [B, n]."""
        return torch.tensor(values).expand(self.batch, len(values))

    def eyes(self) -> None:
        """Cheeks, whites, irises with a light, brows."""
        looks = self.looks
        white, dark = self.pair(0.99, 0.99, 1.0), looks.iris
        wide, lids = torch.tensor(_WHITES)[looks.eyes], torch.tensor(_LIDS)[looks.eyes]
        iris = torch.tensor(_IRISES)[looks.eyes]
        open_ = looks.eyes != EYES.index("dots")
        rosy = (looks.skin * torch.tensor([1.06, 0.78, 0.76])).clamp_max(1.0)
        shade = torch.where((looks.skin.mean(-1) > 0.75)[:, None], looks.hair_colour, looks.hair_colour * 0.6)
        for sign in (1.0, -1.0):
            self.stamp(-0.22, sign * 0.56, self.pair(0.17, 0.12), rosy, shown=looks.has_cheeks)
            self.stamp(_EYE_Y, sign * _EYE_Z, wide, white, cut=lids, shown=open_)
            self.stamp(_EYE_Y, sign * (_EYE_Z - 0.02), iris, dark, cut=lids * 1.4)
            self.stamp(_EYE_Y + 0.07, sign * (_EYE_Z - 0.02) + 0.05, self.pair(0.055, 0.06), white)
            height = _EYE_Y + 0.3 + 0.06 * (looks.brow > 0.2)
            self.stamp(height, sign * _EYE_Z, self.pair(0.19, 0.05), shade * 0.75, bend=-1.2 - looks.brow * 2)

    def mouth(self) -> None:
        """Lips or an open mouth with what is in it; a moustache."""
        looks = self.looks
        lips, inner = torch.tensor(_LIPS)[looks.mouth], torch.tensor(_INNER)[looks.mouth]
        opened = (looks.mouth == MOUTHS.index("open")) | (looks.mouth == MOUTHS.index("grin"))
        line = looks.skin * torch.tensor([0.62, 0.34, 0.34])
        bearded = (looks.beard == BEARDS.index("beard"))[:, None]
        line = torch.where(bearded, looks.skin * torch.tensor([1.0, 0.66, 0.62]), line)
        colour = torch.where(opened[:, None], self.pair(0.42, 0.1, 0.12), line)
        self.stamp(_MOUTH_Y, 0.0, lips[:, :2], colour, bend=lips[:, 2], cut=lips[:, 3])
        grin = (looks.mouth == MOUTHS.index("grin"))[:, None]
        inside = torch.where(grin, self.pair(0.98, 0.97, 0.95), self.pair(0.9, 0.42, 0.42))
        self.stamp(_MOUTH_Y + inner[:, 2], 0.0, inner[:, :2], inside, shown=opened)
        lip = (looks.beard == BEARDS.index("moustache")) | (looks.beard == BEARDS.index("beard"))
        self.stamp(-0.29, 0.0, self.pair(0.34, 0.085), looks.hair_colour * 0.92, bend=-1.2, shown=lip)

    def glasses(self) -> None:
        """Two rims and a bridge in the accent colour, darkened."""
        rim = self.looks.accent * 0.45
        for sign in (1.0, -1.0):
            self.stamp(
                _EYE_Y, sign * 0.4, self.pair(0.33, 0.32), rim, ring=0.11, shown=self.looks.has_glasses
            )
        self.stamp(_EYE_Y + 0.02, 0.0, self.pair(0.1, 0.035), rim, shown=self.looks.has_glasses)
