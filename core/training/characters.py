"""Drawn people: random and named looks, and the shapes that a posed crowd consists of."""

from __future__ import annotations

from core.training.body import Joints
from core.training.captions import caption
from core.training.coats import Shapes
from core.training.gallery import NAMES, named_character
from core.training.garments import add_body
from core.training.heads import add_head
from core.training.looks import Looks, sample_looks, sample_proportions

__all__ = [
    "NAMES",
    "Looks",
    "caption",
    "figure",
    "named_character",
    "sample_looks",
    "sample_proportions",
]


def figure(looks: Looks, joints: Joints) -> Shapes:
    """All shapes of a posed batch in world metres."""
    batch, frames = joints.points["pelvis"].shape[:2]
    shapes = Shapes(batch, frames)
    add_body(shapes, looks, joints)
    add_head(shapes, looks, joints)
    return shapes
