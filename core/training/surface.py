"""Where on the body each point of a picture lies: the person painted by places instead of colours.

A place is where that part is when the person stands upright with the arms raised aside: red from their left
to their right, green from the ground to the head, blue from back to front. Each half of a limb has one
colour; what is drawn on the face is white. The same part of the same person has the same colour in every
picture, so whoever can paint this knows what to look up in the reference.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from core.training.body import SIDES, R, forward_kinematics, rotation_x
from core.training.characters import Looks, figure
from core.training.primitives import DECAL, S
from core.training.renderer import Figures

# How far the arms are raised from hanging, radians.
_RAISED = 1.2
# What of a standing person's height the colours span along z, y and x, and where they begin.
_SPAN = ((-0.5, 1.0), (0.0, 1.05), (-0.2, 0.4))
_DARKEST, _BRIGHTEST = 0.15, 0.95
_WHITE = slice(DECAL.index("red"), DECAL.index("blue") + 1)
# Evenly lit whatever the direction: no key light, full shade.
_LIGHT = (0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0)


def places(looks: Looks) -> Tensor:
    """The colours of both halves of every solid of these people, [B, P, 6] in 0..1."""
    size, batch = looks.size, len(looks.girth)
    rotations = torch.eye(3).expand(batch, 1, len(R), 3, 3).clone()
    for side, sign in SIDES:
        rotations[:, :, R[f"{side}_shoulder"]] = rotation_x(torch.tensor(-sign * _RAISED))
    root = torch.zeros(batch, 1, 3)
    root[:, 0, 1] = size.thigh + size.shin
    solids = figure(looks, forward_kinematics(rotations, root, size)).solids
    ends = torch.stack([torch.cat([start, end], dim=1) for start, end, *_ in solids], dim=1)
    share = ends.flip(-1) / size.height().view(-1, 1, 1, 1)
    low, wide = torch.tensor(_SPAN).unbind(-1)
    return ((share - low) / wide).clamp(0, 1).mul(_BRIGHTEST - _DARKEST).add(_DARKEST).flatten(2)


def painted_by_place(figures: Figures, colours: Tensor) -> Figures:
    """The same solids in the colours of their places, without shadows and prints.

    Args:
        figures: values [T, P, ...] of one clip.
        colours: [P, 6] from ``places``.
    """
    solids = figures.solids.clone()
    start, end = colours[:, :3], colours[:, 3:]
    for name, colour in (("base_r", start), ("second_r", start), ("beyond_r", end)):
        solids[..., S[name] : S[name] + 3] = colour
    solids[..., S["split"]] = 0.5
    solids[..., S["around"] : S["dots"] + 1] = 0
    solids[..., S["gloss"]] = 0
    face = figures.decals.clone()
    face[..., _WHITE] = 1
    return replace(
        figures, shadows=figures.shadows[:, :0], solids=solids, decals=face, prints=figures.prints[:, :0]
    )


def even_light(count: int, device: torch.device) -> Tensor:
    """Light [count, 9] under which every place has its own colour."""
    return torch.tensor(_LIGHT, device=device).expand(count, -1)
