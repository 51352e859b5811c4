"""A canvas for scenes: shapes with soft edges and patterns, for a batch at once.

Positions and lengths are shares: of the width for x, of the height for y; lengths of round things are of the
height in both directions. Colours are [B, 3, 1, 1].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.training.looks import colours


class Canvas:
    """Pictures that are being painted from a row of numbers each."""

    def __init__(self, numbers: Tensor, floor: Tensor, height: int, width: int, device: torch.device) -> None:
        self._numbers, self._at = numbers.to(device), 0
        self.batch, self.height, self.width, self.device = len(numbers), height, width, device
        self.y = ((torch.arange(height, device=device) + 0.5) / height).view(1, 1, -1, 1)
        self.x = ((torch.arange(width, device=device) + 0.5) / width).view(1, 1, 1, -1)
        self.aspect = width / height
        self.colour = torch.zeros(self.batch, 3, height, width, device=device)
        above = self.between(0.015, 0.1)
        self.line = floor.to(device).view(-1, 1, 1, 1) / height - above
        self.side = self.between(-1.0, 1.0)
        self._side = numbers[:, self._at - 1] * 2 - 1  # on the CPU, where lights are kept
        self._key, self._shade, self._up = (0.6, 0.6, 0.6), (0.45, 0.45, 0.45), 0.8

    def take(self) -> Tensor:
        """The next number [B, 1, 1, 1] in 0..1; the row begins again when it is used up, shifted."""
        column = self._numbers[:, self._at % self._numbers.shape[1]]
        turn = self._at // self._numbers.shape[1]
        self._at += 1
        return ((column + 0.381966 * turn) % 1.0).view(-1, 1, 1, 1)

    def between(self, low: float, high: float) -> Tensor:
        """A number [B, 1, 1, 1]."""
        return low + (high - low) * self.take()

    def chance(self, probability: float) -> Tensor:
        """Booleans [B, 1, 1, 1]."""
        return self.take() < probability

    def same(self, colour: tuple[float, float, float]) -> Tensor:
        """One colour for all."""
        return torch.tensor(colour, device=self.device).view(1, 3, 1, 1).expand(self.batch, 3, 1, 1)

    def palette(self, names: tuple[tuple[str, ...], ...]) -> tuple[Tensor, ...]:
        """The colours of a palette that each picture picks."""
        table = torch.stack([colours(name) for name in names]).to(self.device)
        picked = table[(self.take().flatten() * len(names)).long()]
        return tuple(part[:, :, None, None] for part in picked.unbind(1))

    def paint(self, colour: Tensor, cover: Tensor, shown: Tensor | None = None) -> None:
        """Colour where ``cover`` [B, 1, H, W] is 1."""
        cover = cover.clamp(0, 1) if shown is None else cover.clamp(0, 1) * shown
        self.colour = self.colour.lerp(colour, cover)

    def soft(self, inside: Tensor) -> Tensor:
        """Cover of a signed distance (positive inside) in shares of the height."""
        return (inside * self.height + 0.5).clamp(0, 1)

    def fill(self, colour: Tensor) -> None:
        """The whole picture in a colour."""
        self.colour = colour.expand(self.batch, 3, self.height, self.width)

    def gradient(self, above: Tensor, below: Tensor, down_to: Tensor) -> None:
        """From a colour at the top to another at ``down_to``."""
        self.colour = above + (below - above) * (self.y / down_to.clamp_min(0.1)).clamp(0, 1)

    def shade_across(self, amount: float) -> None:
        """Brighter on the side that the light comes from."""
        self.colour = self.colour * (1 + amount * self.side * (self.x - 0.5) * 2 - amount * 0.5 * self.y)

    def box(
        self,
        x: Tensor | float,
        y: Tensor | float,
        wide: Tensor | float,
        high: Tensor | float,
        colour: Tensor,
        *,
        shown: Tensor | None = None,
    ) -> None:
        """A rectangle from its upper left corner; its width is a share of the height."""
        u = (self.x - x) * self.aspect
        across = torch.minimum(u, wide - u)
        down = torch.minimum(self.y - y, y + high - self.y)
        self.paint(colour, self.soft(torch.minimum(across, down)), shown)

    def disc(
        self,
        x: Tensor | float,
        y: Tensor | float,
        radius: Tensor,
        colour: Tensor,
        *,
        flat: float = 1.0,
        shown: Tensor | None = None,
    ) -> None:
        """A disc or a flat oval about its centre."""
        u, v = (self.x - x) * self.aspect, (self.y - y) / flat
        self.paint(colour, self.soft(radius - (u * u + v * v).sqrt()), shown)

    def ground(self, colour: Tensor, *, soft: float = 0.0) -> None:
        """The floor, a little darker towards the viewer."""
        toned = colour * (1.05 - 0.25 * (self.y - self.line))
        edge = (self.y - self.line) / soft + 0.5 if soft else self.soft(self.y - self.line)
        self.paint(toned, edge)

    def perspective(self) -> tuple[Tensor, Tensor, Tensor]:
        """Floor coordinates across and away, and how sharp they are (0 far away .. 1), below the line."""
        away = (self.y - self.line + 0.12).clamp_min(0.02)
        vanish = 0.5 + 0.2 * self.side
        return (self.x - vanish) * self.aspect / away, 0.35 / away, ((away - 0.12) * 12).clamp(0.25, 1)

    def below(self) -> Tensor:
        """1 on the floor."""
        return self.soft(self.y - self.line)

    def window(self, x: Tensor, y: Tensor, *, shown: Tensor | None = None) -> None:
        """A window with a cross and a sky."""
        wide, high = self.between(0.18, 0.3), self.between(0.2, 0.3)
        sky = self.same((0.55, 0.76, 0.93)) * (0.9 + 0.25 * (self.y - y))
        frame, thick = self.same((0.95, 0.94, 0.92)), 0.012
        self.box(x, y, wide, high, frame, shown=shown)
        self.box(
            x + thick / self.aspect,
            y + thick,
            wide - 2 * thick,
            high - 2 * thick,
            sky.clamp(0, 1),
            shown=shown,
        )
        self.box(x + (wide / 2 - thick / 2) / self.aspect, y, thick, high, frame, shown=shown)
        self.box(x, y + high * 0.45, wide, thick, frame, shown=shown)
        self.box(x - 0.02 / self.aspect, y + high, wide + 0.04, 0.02, frame * 0.92, shown=shown)

    def framed(
        self, x: Tensor, y: Tensor, wide: Tensor, high: Tensor, colour: Tensor, *, shown: Tensor
    ) -> None:
        """A picture in a frame."""
        self.box(x, y, wide, high, colour * 0.55, shown=shown)
        edge = 0.012
        self.box(
            x + edge / self.aspect,
            y + edge,
            wide - 2 * edge,
            high - 2 * edge,
            colour * 0.4 + 0.55,
            shown=shown,
        )
        centre_x, centre_y = x + wide / 2 / self.aspect, y + high / 2
        self.disc(centre_x, centre_y, torch.minimum(wide, high) * 0.25, colour, shown=shown)

    def furniture(
        self, x: Tensor, line: Tensor, wide: Tensor, high: Tensor, colour: Tensor, *, shown: Tensor
    ) -> None:
        """A cabinet with two doors or drawers on the floor line."""
        top = line - high
        self.box(x, top, wide, high, colour, shown=shown)
        self.box(x - 0.01 / self.aspect, top - 0.018, wide + 0.02, 0.02, colour * 0.75, shown=shown)
        for share in (0.06, 0.54):
            left = x + wide * share / self.aspect
            self.box(left, top + high * 0.12, wide * 0.4, high * 0.76, colour * 0.88, shown=shown)
        for share in (0.42, 0.58):
            self.disc(
                x + wide * share / self.aspect,
                top + high * 0.5,
                high * 0.0 + 0.008,
                colour * 0.5,
                shown=shown,
            )

    def plant(self, x: Tensor, line: Tensor, size: Tensor, colour: Tensor, *, shown: Tensor) -> None:
        """A pot with a round plant."""
        green = self.same((0.32, 0.52, 0.34))
        for dx, dy, radius in ((-0.35, 0.75, 0.3), (0.3, 0.8, 0.3), (0.0, 1.05, 0.34)):
            self.disc(
                x + dx * size / self.aspect,
                line - dy * size,
                radius * size,
                green * (0.85 + 0.15 * dy),
                shown=shown,
            )
        self.box(
            x - 0.22 * size / self.aspect, line - 0.45 * size, 0.44 * size, 0.47 * size, colour, shown=shown
        )

    def sun(self, *, shown: Tensor) -> None:
        """A disc with a glow on the side of the light."""
        x, y = 0.5 + 0.42 * self.side, self.between(0.1, 0.2)
        u, v = (self.x - x) * self.aspect, self.y - y
        away = (u * u + v * v).sqrt()
        self.paint(self.same((1.0, 0.96, 0.82)), 0.5 * (1 - away / 0.3).clamp(0, 1) ** 2, shown)
        self.disc(x, y, away.new_full((1, 1, 1, 1), 0.055), self.same((1.0, 0.97, 0.86)), shown=shown)

    def cloud(self, x: Tensor, y: Tensor, size: Tensor, *, shown: Tensor) -> None:
        """Three flat discs."""
        white = self.same((0.98, 0.98, 0.99))
        for dx, dy, radius in ((-0.7, 0.1, 0.5), (0.0, -0.1, 0.7), (0.75, 0.12, 0.45)):
            self.disc(
                x + dx * size / self.aspect, y + dy * size, radius * size, white, flat=0.55, shown=shown
            )

    def hills(self, colour: Tensor, top: Tensor, swing: Tensor) -> None:
        """A row of hills down to the floor."""
        a, b = self.between(3.0, 9.0), self.between(0.0, 6.28)
        edge = top - swing * ((a * self.x + b).sin() + 0.5 * (2.3 * a * self.x + 2 * b).sin())
        self.paint(colour * (1.06 - 0.4 * (self.y - edge)), self.soft(self.y - edge))

    def tree(self, x: Tensor, foot: Tensor, size: Tensor, colour: Tensor, *, shown: Tensor) -> None:
        """A trunk with a round crown or a fir."""
        trunk = self.same((0.42, 0.31, 0.23))
        self.box(
            x - 0.035 * size / self.aspect, foot - 0.5 * size, 0.07 * size, 0.5 * size, trunk, shown=shown
        )
        fir = self.chance(0.4)
        for dx, dy, radius in ((-0.16, 0.55, 0.2), (0.17, 0.58, 0.2), (0.0, 0.78, 0.24)):
            tone = colour * (0.8 + 0.35 * dy)
            self.disc(x + dx * size / self.aspect, foot - dy * size, radius * size, tone, shown=shown & ~fir)
        u, v = ((self.x - x) * self.aspect).abs() / size, (foot - self.y) / size
        layered = (v - 0.25) % 0.26
        inside = torch.minimum(0.26 - 0.22 * v - 0.35 * layered - u, torch.minimum(v - 0.25, 1.03 - v)) * size
        self.paint(colour * 0.85, self.soft(inside), shown & fir)

    def house(self, x: Tensor, top: Tensor, wide: Tensor, colour: Tensor) -> None:
        """A front with rows of windows, flat or with a cornice."""
        high = self.line - top
        self.box(x, top, wide, high, colour)
        self.box(x - 0.008, top, wide + 0.016, 0.018, colour * 0.8)
        columns, rows = self.between(2.0, 5.0).round(), (high / 0.11).round().clamp_min(1)
        u, v = (self.x - x) * self.aspect / wide * columns, (self.y - top - 0.03) / (high - 0.03) * rows
        inside = (u > 0) & (u < columns) & (v > 0) & (v < rows)
        du, dv = (u % 1.0 - 0.5).abs(), (v % 1.0 - 0.5).abs()
        pane = torch.minimum(0.27 - du, 0.32 - dv) * 0.1
        glow = self.chance(0.5)
        lit = torch.where(glow, self.same((0.62, 0.74, 0.82)), self.same((0.98, 0.87, 0.6)))
        self.paint(lit, self.soft(pane) * inside)

    def curtains(self, colour: Tensor, share: Tensor) -> None:
        """Folds at both sides and a valance."""
        folds = 0.75 + 0.3 * (self.x * 6.28 * (14 + 10 * share)).sin()
        edge = torch.minimum(self.x, 1 - self.x) - 0.02 * (self.y * 5).sin()
        self.paint(colour * folds, self.soft((share - edge) * self.aspect))
        swag = 0.09 + 0.025 * (self.x * 6.28 * 4).cos()
        self.paint(colour * folds * 0.8, self.soft(swag - self.y))

    def beam(self, above: Tensor, below: Tensor, wide: Tensor, *, shown: Tensor) -> None:
        """A cone of light from the top to a pool on the floor."""
        foot = self.line + 0.08
        share = (self.y / foot).clamp(0, 1)
        middle, half = above + (below - above) * share, wide * (0.1 + 0.9 * share)
        cone = (1 - (self.x - middle).abs() * self.aspect / half).clamp(0, 1) * (self.y < foot)
        u, v = (self.x - below) * self.aspect / (wide * 1.3), (self.y - foot) / (wide * 0.45)
        pool = (1 - u * u - v * v).clamp(0, 1)
        glow = self.same((1.0, 0.94, 0.8))
        self.paint(glow, 0.28 * cone.sqrt() + 0.0 * pool, shown)
        self.paint(glow, 0.35 * pool * self.below(), shown)

    def rug(self, colour: Tensor, *, shown: Tensor) -> None:
        """An oval carpet with a border."""
        y = self.line + 0.14
        self.disc(0.5 + 0.1 * self.side, y, self.between(0.3, 0.5), colour * 0.8, flat=0.2, shown=shown)
        self.disc(0.5 + 0.1 * self.side, y, self.between(0.22, 0.28), colour, flat=0.2, shown=shown)

    def lit_from(
        self, up: float, *, key: tuple[float, float, float], shade: tuple[float, float, float]
    ) -> None:
        """Sets the light of the scene: from above by ``up`` and from the canvas's bright side."""
        self._up, self._key, self._shade = up, key, shade

    def light(self) -> Tensor:
        """[B, 9] on the CPU: direction, colour, colour of shade."""
        side = self._side
        direction = torch.stack(
            [0.65 * side, torch.full_like(side, self._up), torch.full_like(side, 0.85)], -1
        )
        fixed = torch.tensor([*self._key, *self._shade]).expand(self.batch, 6)
        return torch.cat([F.normalize(direction, dim=-1), fixed], dim=-1)

    def picture(self) -> Tensor:
        """[B, 3, H, W] in 0..1."""
        return self.colour.clamp(0, 1)


def wall_pattern(c: Canvas, colour: Tensor, *, strength: float) -> None:
    """Wallpaper stripes, dots, bricks, tiles or nothing, one for each picture."""
    size, kind = c.between(0.05, 0.12), (c.take() * 5).floor()
    u, v = c.x * c.aspect / size, c.y / size
    stripe = c.soft(((u % 1.0) - 0.5).abs() * size - 0.25 * size)
    shift = (v.floor() % 2) * 0.5
    dot = c.soft((0.2 - (((u + shift) % 1.0 - 0.5) ** 2 + (v % 1.0 - 0.5) ** 2).sqrt()) * size)
    bu, bv = (u * 0.7 + ((v * 1.6).floor() % 2) * 0.5) % 1.0, (v * 1.6) % 1.0
    brick = 1 - c.soft(
        torch.minimum(torch.minimum(bu, 1 - bu) * size / 0.7, torch.minimum(bv, 1 - bv) * size / 1.6) - 0.004
    )
    tile = 1 - c.soft(
        torch.minimum(torch.minimum(u % 1.0, 1 - u % 1.0), torch.minimum(v % 1.0, 1 - v % 1.0)) * size - 0.004
    )
    cover = torch.zeros_like(dot)
    for number, pattern in enumerate((stripe, dot, brick, tile)):
        cover = torch.where(kind == number, pattern, cover)
    c.paint(colour, cover * strength)


def floor_pattern(c: Canvas, colour: Tensor) -> None:
    """Boards, tiles in two colours, paving stones or nothing, in perspective."""
    across, away, sharp = c.perspective()
    size, kind = c.between(2.0, 4.0), (c.take() * 4).floor()
    u, v = across * size, away * size * 3
    board = 1 - c.soft(torch.minimum(u % 1.0, 1 - u % 1.0) * 0.3 / size - 0.004)
    checks = ((u * 0.6).floor() + (v * 0.6).floor()) % 2
    joints = torch.minimum(torch.minimum(u % 1.0, 1 - u % 1.0), torch.minimum(v % 1.0, 1 - v % 1.0))
    paving = 1 - ((joints - 0.04) * 20 + 0.5).clamp(0, 1)
    cover = torch.zeros_like(board)
    for number, pattern in enumerate((board, checks * 0.7, paving)):
        cover = torch.where(kind == number, pattern, cover)
    c.paint(colour * (1.05 - 0.25 * (c.y - c.line)), cover * sharp * c.below())
