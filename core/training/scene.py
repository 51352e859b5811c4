"""Where a drawn person is seen from and what of them is in the picture: camera, ground, shadows."""

from __future__ import annotations

import torch
from torch import Tensor

from core.training.backdrops import sample_scene
from core.training.body import Joints, rotation_y
from core.training.characters import Looks, figure
from core.training.primitives import shadow_values
from core.training.randomness import Draws
from core.training.renderer import SUPERSAMPLE, Figures
from core.training.scene_v1 import FACING, Camera, floor_line, grounded, travel, visible_joints

__all__ = [
    "FACING",
    "Camera",
    "figure_values",
    "floor_line",
    "grounded",
    "sample_camera",
    "sample_scene",
    "travel",
    "visible_joints",
]
# Room for hair, hats and hands around the joints, metres.
_MARGIN_UP, _MARGIN = 0.3, 0.2
# How far a step in the air still darkens the floor, metres.
_SHADOW_FADES = 0.5


def sample_camera(
    draws: Draws, joints: Joints, looks: Looks, height: int, width: int, augment: bool
) -> Camera:
    """Six in ten look at the camera within 50 degrees, the rest any way; all of the motion is in the picture.

    The view is level or from a little above, so that floors are seen. ``height`` and ``width`` are the
    picture's, half the drawing's.
    """
    batch = looks.girth.shape[0]
    front = draws.chance(0.6 if augment else 0.75, batch)
    yaw = torch.where(front, draws.uniform(-0.9, 0.9, batch), draws.uniform(-torch.pi, torch.pi, batch))
    pitch = draws.uniform(0.02, 0.24, batch)
    c, s = pitch.cos(), pitch.sin()
    zero, one = torch.zeros(batch), torch.ones(batch)
    tilt = torch.stack([one, zero, zero, zero, c, -s, zero, s, c], dim=-1).view(batch, 3, 3)
    turn = tilt @ FACING @ rotation_y(yaw)
    everything = torch.stack(list(joints.points.values()), dim=2)
    view = torch.einsum("bij,btpj->btpi", turn, everything)[..., :2].flatten(1, 2)
    low, high = view.amin(1) - _MARGIN, view.amax(1) + _MARGIN
    high[:, 1] += _MARGIN_UP - _MARGIN + 0.4 * looks.size.head
    drawing = torch.tensor([width, height]) * float(SUPERSAMPLE)
    wanted = draws.uniform(0.68, 0.9, batch) * drawing[1] / looks.size.height()
    fits = (drawing / (high - low)).amin(1)
    return Camera(turn, torch.minimum(wanted, fits), (low + high) / 2 + draws.uniform(-0.04, 0.04, batch, 2))


def figure_values(looks: Looks, joints: Joints, camera: Camera, height: int, width: int) -> Figures:
    """Shapes as ``paint_people`` takes them, [B, T, P, ...], for a drawing of this size."""
    solids, decals, prints = figure(looks, joints).seen(camera, height, width)
    return Figures(_shadows(joints, camera, height, width), solids, decals, prints)


def _shadows(joints: Joints, camera: Camera, height: int, width: int) -> Tensor:
    """A soft one under the body and one under each foot, weaker the higher they are above the floor."""
    p = joints.points
    ground = torch.stack([p["right_toe"], p["left_toe"], p["right_heel"], p["left_heel"]]).amin(0)
    ground = ground[..., 1].amin(1)[:, None]
    up = camera.turn[:, 2, 1].abs().clamp_min(0.1)
    parts = []
    for name, size, strength in (("pelvis", 0.34, 0.16), ("right_toe", 0.16, 0.3), ("left_toe", 0.16, 0.3)):
        point = p[name]
        if name != "pelvis":
            point = torch.lerp(point, p[name.replace("toe", "heel")], 0.45)
        lift = (point[..., 1] - ground - (0.9 if name == "pelvis" else 0.06)).clamp_min(0)
        below = point.clone()
        below[..., 1] = ground - 0.05
        at = camera.project(below, height, width)[..., :2]
        radius = (size * camera.scale)[:, None] * (1 + lift)
        radii = torch.stack([radius, radius * up[:, None].clamp_min(0.16)], dim=-1)
        parts.append(shadow_values(at, radii, strength * (1 - lift / _SHADOW_FADES).clamp_min(0)))
    return torch.stack(parts, dim=2)
