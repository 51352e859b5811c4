"""Hair and hats as tables: balls and strands in units of the head's radius, in the head's axes.

Axes: x to the front, y up, z to the person's right; the face looks along x. A piece's opening is an oval hole
in front (half width, half height, centre, in the piece's own units), through which the face is seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Point = tuple[float, float, float]
_HIDDEN_HOLE: Point = (1e-3, 1e-3, -50.0)
PIECES = 7
PIECE = 17


@dataclass(frozen=True)
class Piece:
    """A ball of ``radii`` (front, up, side) at ``start``, or a strand to ``end`` with radii[0] to radii[1].

    ``flat`` is a strand's front radius of its side radius; ``tilt`` turns a ball's axes backwards, radians.
    ``colour`` 0 is the hair's, 1 the second colour's (bands, ties).
    """

    start: Point
    radii: Point
    end: Point | None = None
    flat: float = 1.0
    tilt: float = 0.0
    opening: Point = _HIDDEN_HOLE
    low: float = -9.0
    high: float = 9.0
    colour: float = 0.0

    def row(self) -> list[float]:
        """Numbers of a piece: start, end, radii, flat, tilt, opening, low, high, colour; PIECE in all."""
        end = self.start if self.end is None else self.end
        rest = [self.flat, self.tilt, *self.opening, self.low, self.high, self.colour]
        return [*self.start, *end, *self.radii, *rest]


def _cap(grow: float, low: float, tilt: float, opening: Point) -> Piece:
    return Piece(
        (-0.05, 0.06, 0.0), (1.04 * grow, 1.06 * grow, 0.99 * grow), tilt=tilt, low=low, opening=opening
    )


def _strand(start: Point, end: Point, radius: float, tip: float, flat: float = 1.0) -> Piece:
    return Piece(start, (radius, tip, 0.0), end=end, flat=flat)


def _knot(centre: Point, radius: float, colour: float = 0.0) -> Piece:
    return Piece(centre, (radius, radius, radius), colour=colour)


_FACE = (0.78, 0.95, -0.5)
_PARTED = (0.74, 0.98, -0.45)
_SHORT = _cap(1.03, -0.34, 0.3, _FACE)
_TIDY = _cap(1.03, -0.62, 0.35, _PARTED)
_SIDES = [_strand((0.3, 0.15, s * 0.88), (0.2, -0.75, s * 0.92), 0.24, 0.16, 0.8) for s in (1.0, -1.0)]

STYLES: dict[str, list[Piece]] = {
    "bald": [],
    "short": [_SHORT, _strand((0.55, 0.78, -0.35), (0.75, 0.62, 0.4), 0.26, 0.2)],
    "buzz": [_cap(0.985, -0.28, 0.3, (0.74, 0.9, -0.42))],
    "bob": [_cap(1.13, -0.66, 0.08, (0.66, 0.95, -0.62)), *_SIDES],
    "long": [
        _cap(1.08, -0.66, 0.15, _FACE),
        _strand((-0.42, 0.2, 0.0), (-0.55, -2.1, 0.0), 0.86, 0.6, 0.5),
        _strand((0.2, 0.1, 0.86), (0.1, -1.5, 0.85), 0.25, 0.16),
        _strand((0.2, 0.1, -0.86), (0.1, -1.5, -0.85), 0.25, 0.16),
    ],
    "ponytail": [
        _TIDY,
        _knot((-0.98, 0.52, 0.0), 0.2, 1.0),
        _strand((-1.1, 0.5, 0.0), (-1.5, -0.2, 0.0), 0.3, 0.33),
        _strand((-1.5, -0.2, 0.0), (-1.45, -1.25, 0.0), 0.33, 0.08),
    ],
    "pigtails": [
        _cap(1.04, -0.55, 0.3, _FACE),
        *[_knot((-0.15, 0.35, s * 1.02), 0.17, 1.0) for s in (1.0, -1.0)],
        *[_strand((-0.15, 0.25, s * 1.2), (-0.1, -0.95, s * 1.42), 0.33, 0.12) for s in (1.0, -1.0)],
    ],
    "bun": [_TIDY, _knot((-0.45, 1.12, 0.0), 0.46), Piece((-0.4, 0.95, 0.0), (0.34, 0.12, 0.34), colour=1.0)],
    "space buns": [
        _cap(1.04, -0.55, 0.3, _FACE),
        *[_knot((-0.1, 0.95, s * 0.68), 0.4) for s in (1.0, -1.0)],
        *_SIDES,
    ],
    "afro": [Piece((-0.42, 0.38, 0.0), (1.2, 1.25, 1.4), tilt=0.15, low=-0.62)],
    "curly": [
        _SHORT,
        _knot((0.5, 0.95, 0.32), 0.38),
        _knot((0.48, 0.98, -0.36), 0.4),
        _knot((-0.1, 1.12, 0.1), 0.45),
        _knot((-0.55, 0.7, 0.55), 0.5),
        _knot((-0.55, 0.7, -0.55), 0.5),
        _knot((-0.85, 0.15, 0.0), 0.52),
    ],
    "spikes": [
        _SHORT,
        *[_strand((0.45, 0.72, s * 0.4), (0.95, 1.45, s * 0.62), 0.36, 0.04) for s in (1.0, -1.0)],
        _strand((0.1, 0.85, 0.0), (0.25, 1.75, 0.0), 0.45, 0.04),
        *[_strand((-0.4, 0.7, s * 0.4), (-0.75, 1.4, s * 0.85), 0.4, 0.04) for s in (1.0, -1.0)],
        _strand((-0.6, 0.4, 0.0), (-1.5, 0.75, 0.0), 0.45, 0.04),
    ],
    "mohawk": [
        _cap(0.97, -0.3, 0.3, (0.74, 0.9, -0.42)),
        _strand((0.62, 0.72, 0.0), (0.95, 1.35, 0.0), 0.28, 0.1),
        _strand((0.3, 0.9, 0.0), (0.42, 1.65, 0.0), 0.3, 0.1),
        _strand((-0.1, 1.0, 0.0), (-0.2, 1.72, 0.0), 0.3, 0.1),
        _strand((-0.5, 0.85, 0.0), (-0.8, 1.45, 0.0), 0.3, 0.1),
        _strand((-0.85, 0.5, 0.0), (-1.3, 0.9, 0.0), 0.3, 0.1),
    ],
}
# Styles that fit under a hat.
UNDER_HATS = ("bald", "buzz", "bob", "long", "pigtails")

HATS: dict[str, list[Piece]] = {
    "none": [],
    "cap": [
        Piece((-0.04, 0.22, 0.0), (1.16, 1.02, 1.12), tilt=0.12, low=0.1),
        Piece((0.95, 0.42, 0.0), (0.75, 0.1, 0.72), tilt=0.12, colour=1.0),
    ],
    "beanie": [
        Piece((-0.06, 0.2, 0.0), (1.16, 1.22, 1.14), tilt=0.16, low=0.12),
        Piece((-0.06, 0.2, 0.0), (1.25, 1.3, 1.23), tilt=0.16, low=0.1, high=0.38, colour=1.0),
        _knot((-0.25, 1.5, 0.0), 0.3, 1.0),
    ],
    "sun hat": [
        Piece((-0.05, 0.3, 0.0), (1.08, 1.05, 1.06), tilt=0.1, low=0.1),
        Piece((-0.03, 0.48, 0.0), (1.95, 0.12, 1.95), tilt=0.1),
        Piece((-0.05, 0.3, 0.0), (1.14, 1.1, 1.12), tilt=0.1, low=0.16, high=0.4, colour=1.0),
    ],
    "headband": [
        Piece((-0.03, 0.06, 0.0), (1.15, 1.17, 1.12), tilt=0.2, low=0.3, high=0.52, colour=1.0),
    ],
    "cat ears": [
        Piece((-0.03, 0.1, 0.0), (1.14, 1.18, 1.1), tilt=0.2, low=0.42, high=0.55),
        _strand((0.0, 0.95, 0.62), (0.0, 1.55, 0.85), 0.33, 0.03, 0.5),
        _strand((0.0, 0.95, -0.62), (0.0, 1.55, -0.85), 0.33, 0.03, 0.5),
    ],
    "headphones": [
        Piece((0.0, 0.1, 0.0), (0.16, 1.28, 1.22), low=0.0),
        Piece((0.0, 0.0, 1.08), (0.36, 0.42, 0.22), colour=1.0),
        Piece((0.0, 0.0, -1.08), (0.36, 0.42, 0.22), colour=1.0),
    ],
}
HAT_PIECES = 3
# Hats that hide the top of the hair, which must be a style of UNDER_HATS.
COVERING = ("cap", "beanie", "sun hat")


def table(styles: dict[str, list[Piece]], pieces: int) -> tuple[Tensor, Tensor]:
    """Rows [styles, pieces, PIECE] and which exist [styles, pieces]; missing ones lie in the head."""
    rows, exists = [], []
    empty = Piece((0.0, 0.0, 0.0), (0.1, 0.1, 0.1))
    for parts in styles.values():
        padded = parts + [empty] * (pieces - len(parts))
        rows.append([piece.row() for piece in padded])
        exists.append([number < len(parts) for number in range(pieces)])
    return torch.tensor(rows), torch.tensor(exists)
