"""Scenes behind drawn people: rooms, gardens, streets, stages, studios and tiled halls, with their light.

No camera moves. Every scene has a floor that begins at ``floor`` or above and is seen in perspective; numbers
of a scene come from one row of uniform draws, so that a scene depends on nothing else in its batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from core.training.randomness import Draws
from core.training.textures import Canvas, floor_pattern, wall_pattern

NUMBERS = 48
# Wall, second colour, floor, two of furniture.
_ROOMS = (
    ("f3e9dc", "d8c4a8", "b98a5a", "5e8c83", "c8553d"), ("dfe7ea", "b7c9d3", "8d6e58", "f2b56b", "3d5a80"),
    ("f7d9c4", "eab89a", "a9745b", "6d8b74", "5f4b66"), ("c9d8c5", "a3b899", "c9a27a", "8c4a3a", "f0e6d2"),
    ("e6e1ee", "c6bcd8", "7d6a86", "d98f9f", "54627b"), ("ffe8a3", "f6cf65", "9c6f44", "3a7d7c", "e2654a"),
    ("b9cfe0", "8fb0cc", "caa582", "e9c46a", "344e68"), ("54606f", "465160", "7a5a44", "d9a05b", "9fb4c7"),
)  # fmt: skip
# Sky above, sky below, far hills, near hills, ground.
_OUTDOORS = (
    ("6db7e8", "dff1f7", "7fa9a3", "6f9f5c", "8dbb62"), ("4b8ed1", "bfe0f5", "8aa6b8", "5f8f6a", "a8c66c"),
    ("f2a65a", "fde2b8", "a9788a", "77607a", "9a8a5c"), ("8fb6d9", "eef2ee", "9fb0a2", "84976b", "c9b98a"),
    ("5f6fa8", "e9b7a5", "6a6f95", "50607a", "6f8066"), ("9ed7e0", "fbf3dc", "c8b48a", "d9c48c", "ead7a0"),
)  # fmt: skip
# Sky above, below, three house fronts, pavement.
_STREETS = (
    ("7fb3dc", "e8f1f4", "c9886a", "d9b48a", "8f9aa8", "a9a39b"),
    ("5a7fb5", "f3d5b8", "a35f52", "6d7f94", "c7a26b", "8f8a88"),
    ("9ac4d6", "f6efe0", "e0a98f", "8fb3a2", "e6cf95", "b9b0a2"),
    ("32406b", "7a6f9c", "3f4a66", "54486b", "2f3a52", "4f5263"),
)  # fmt: skip
_STAGES = (
    ("2a1b3d", "8c2f4a", "5b3a2a"),
    ("14213d", "6d1f2c", "6b4a33"),
    ("1d2b2a", "225c55", "4a3a30"),
    ("30203a", "3d3f8f", "55423a"),
)
_STUDIOS = (
    ("f4a261", "e76f51"), ("8ecae6", "219ebc"), ("e5e5e5", "b8b8c0"), ("ffcfd2", "f1a6b5"),
    ("cdb4db", "9a86c0"),
    ("b5e48c", "76b86a"), ("ffd97d", "f2b134"), ("5b6285", "434866"), ("f6f1e7", "e0d3bd"),
    ("7fc8c2", "3f9a96"),
)  # fmt: skip


def sample_scene(
    draws: Draws, batch: int, height: int, width: int, floor: Tensor, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Scenes [B, 3, H, W] in 0..1 with floors from above ``floor`` [B] pixels on, and lights [B, 9]."""
    numbers, kind = draws.uniform(0, 1, batch, NUMBERS), draws.integer(len(SCENES), batch)
    tint = draws.uniform(-0.05, 0.05, batch, 3)
    picture = torch.empty(batch, 3, height, width, device=device)
    light = torch.empty(batch, 9)
    for number, draw in enumerate(SCENES):
        members = (kind == number).nonzero()[:, 0]
        if not len(members):
            continue
        canvas = Canvas(numbers[members], floor[members], height, width, device)
        draw(canvas)
        picture[members.to(device)] = canvas.picture()
        light[members] = canvas.light()
    tinted = picture * (1 + tint.to(device)[:, :, None, None])
    return tinted.clamp(0, 1), light


def room(c: Canvas) -> None:
    """A wall with paper, a window, pictures and furniture over a skirting board; boards, tiles or carpet."""
    wall, paper, ground, first, second = c.palette(_ROOMS)
    c.fill(wall)
    wall_pattern(c, paper, strength=0.6)
    c.shade_across(0.16)
    line = c.line
    c.window(c.between(0.06, 0.72), c.between(0.08, 0.2))
    for _ in range(2):
        x, y, wide, high = (
            c.between(0.05, 0.85),
            c.between(0.1, 0.35),
            c.between(0.05, 0.1),
            c.between(0.05, 0.11),
        )
        c.framed(x, y, wide, high, first, shown=c.chance(0.6))
    cabinet = c.between(0.0, 0.8)
    c.furniture(cabinet, line, c.between(0.16, 0.3), c.between(0.14, 0.26), first, shown=c.chance(0.7))
    c.plant(c.between(0.05, 0.95), line, c.between(0.1, 0.2), second, shown=c.chance(0.4))
    c.box(-1.0, line - 0.022, 9.0, 0.022, wall * 0.55 + 0.4)
    c.ground(ground)
    floor_pattern(c, ground * 0.82)
    c.rug(second, shown=c.chance(0.35))
    c.lit_from(0.9, key=(0.6, 0.57, 0.52), shade=(0.46, 0.46, 0.5))


def garden(c: Canvas) -> None:
    """Sky with sun and clouds, two rows of hills, trees, grass or sand."""
    above, below, far, near, ground = c.palette(_OUTDOORS)
    c.gradient(above, below, c.line)
    c.sun(shown=c.chance(0.5))
    for _ in range(3):
        c.cloud(c.between(0.0, 1.0), c.between(0.04, 0.3), c.between(0.08, 0.18), shown=c.chance(0.7))
    c.hills(far, c.line - c.between(0.08, 0.22), c.between(0.02, 0.06))
    c.hills(near, c.line - c.between(0.01, 0.07), c.between(0.01, 0.035))
    for _ in range(4):
        c.tree(c.between(0.0, 1.0), c.line + 0.01, c.between(0.14, 0.4), near * 0.75, shown=c.chance(0.65))
    c.ground(ground)
    floor_pattern(c, ground * 0.93)
    c.lit_from(0.95, key=(0.7, 0.66, 0.56), shade=(0.42, 0.46, 0.54))


def street(c: Canvas) -> None:
    """Houses with windows under a sky, before a paved ground."""
    above, below, *fronts, ground = c.palette(_STREETS)
    c.gradient(above, below, c.line)
    at = c.between(-0.1, 0.0)
    for number in range(5):
        wide = c.between(0.18, 0.3)
        c.house(at, c.between(0.05, 0.4), wide, fronts[number % 3] * (0.92 + 0.16 * c.take()))
        at = at + wide
    c.box(-1.0, c.line - 0.015, 9.0, 0.015, ground * 0.75)
    c.tree(c.between(0.0, 1.0), c.line, c.between(0.2, 0.4), c.same((0.3, 0.45, 0.28)), shown=c.chance(0.5))
    c.ground(ground)
    floor_pattern(c, ground * 0.86)
    c.lit_from(0.9, key=(0.66, 0.62, 0.56), shade=(0.42, 0.44, 0.5))


def stage(c: Canvas) -> None:
    """Curtains, beams of light and boards."""
    back, curtain, ground = c.palette(_STAGES)
    c.gradient(back * 0.7, back * 1.4 + 0.05, c.line)
    c.curtains(curtain, c.between(0.1, 0.22))
    c.ground(ground)
    floor_pattern(c, ground * 0.75)
    for _ in range(3):
        c.beam(c.between(0.1, 0.9), c.between(0.2, 0.8), c.between(0.06, 0.14), shown=c.chance(0.8))
    c.lit_from(0.6, key=(0.78, 0.72, 0.66), shade=(0.36, 0.33, 0.42))


def studio(c: Canvas) -> None:
    """A paper backdrop in one colour, perhaps with a large shape, that runs into the floor."""
    paper, accent = c.palette(_STUDIOS)
    c.gradient(paper * 0.94, paper * 1.04, c.line)
    c.disc(c.between(0.2, 0.8), c.between(0.25, 0.6), c.between(0.15, 0.4), accent, shown=c.chance(0.5))
    x, wide = c.between(0.0, 0.8), c.between(0.06, 0.2)
    c.box(x, -1.0, wide, 3.0, accent * 0.5 + paper * 0.5, shown=c.chance(0.25))
    c.ground(paper * 0.9, soft=0.06)
    c.shade_across(0.12)
    c.lit_from(0.8, key=(0.6, 0.58, 0.55), shade=(0.48, 0.48, 0.5))


def hall(c: Canvas) -> None:
    """A wall of bricks, tiles or panels with a painted band, and a patterned floor."""
    wall, paper, ground, first, second = c.palette(_ROOMS)
    c.fill(wall * 0.92)
    wall_pattern(c, wall * 0.78, strength=1.0)
    band = c.line - c.between(0.1, 0.3)
    c.box(-1.0, band, 9.0, c.between(0.02, 0.12), first, shown=c.chance(0.6))
    c.window(c.between(0.05, 0.7), c.between(0.05, 0.12), shown=c.chance(0.4))
    for _ in range(2):
        c.furniture(
            c.between(0.0, 0.9),
            c.line,
            c.between(0.08, 0.2),
            c.between(0.08, 0.2),
            second,
            shown=c.chance(0.45),
        )
    c.box(-1.0, c.line - 0.018, 9.0, 0.018, paper * 0.6)
    c.ground(ground)
    floor_pattern(c, ground * 0.78)
    c.shade_across(0.12)
    c.lit_from(0.8, key=(0.6, 0.58, 0.55), shade=(0.45, 0.46, 0.5))


SCENES: tuple[Callable[[Canvas], None], ...] = (room, garden, street, stage, studio, hall)
