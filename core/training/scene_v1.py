"""What a drawn person stands in: camera, ground, background and light."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.training.body import FACE, Joints, rotation_y
from core.training.characters_v1 import Looks, build, hsv
from core.training.randomness import Draws
from core.training.renderer_v1 import SUPERSAMPLE

# A person who looks along +x faces the viewer: their right (+z) is the picture's left.
FACING = torch.tensor([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])


@dataclass(frozen=True)
class Camera:
    """Orthographic view: ``turn`` [B, 3, 3], ``scale`` [B] drawing pixels a metre, ``centre`` [B, 2] m."""

    turn: Tensor
    scale: Tensor
    centre: Tensor

    def project(self, points: Tensor, height: int, width: int) -> Tensor:
        """World [B, ..., 3] -> drawing pixels x, y and depth in pixels (towards the viewer)."""
        extra = points.ndim - 2
        view = torch.einsum("bij,b...j->b...i", self.turn, points)
        scale = self.scale.view(-1, *([1] * extra))
        cx, cy = (self.centre[:, i].view(-1, *([1] * extra)) for i in range(2))
        return torch.stack(
            [
                width / 2 + scale * (view[..., 0] - cx),
                height / 2 - scale * (view[..., 1] - cy),
                scale * view[..., 2],
            ],
            dim=-1,
        )


def sample_camera(
    draws: Draws, joints: Joints, looks: Looks, height: int, width: int, augment: bool
) -> Camera:
    """Six in ten look at the camera within 50 degrees, the rest any way; all of the motion is in the picture.

    ``height`` and ``width`` are the picture's, half the drawing's.
    """
    batch = looks.girth.shape[0]
    front = draws.chance(0.6 if augment else 0.75, batch)
    yaw = torch.where(front, draws.uniform(-0.9, 0.9, batch), draws.uniform(-torch.pi, torch.pi, batch))
    pitch = draws.uniform(-0.08, 0.25, batch)
    c, s = pitch.cos(), pitch.sin()
    zero, one = torch.zeros(batch), torch.ones(batch)
    tilt = torch.stack([one, zero, zero, zero, c, -s, zero, s, c], dim=-1).view(batch, 3, 3)
    turn = tilt @ FACING @ rotation_y(yaw)
    everything = torch.stack(list(joints.points.values()), dim=2)
    view = torch.einsum("bij,btpj->btpi", turn, everything)[..., :2].flatten(1, 2)
    low, high = view.amin(1) - 0.2, view.amax(1) + 0.2
    drawing = torch.tensor([width, height]) * float(SUPERSAMPLE)
    wanted = draws.uniform(0.62, 0.88, batch) * drawing[1] / looks.size.height()
    fits = (drawing / (high - low)).amin(1)
    return Camera(turn, torch.minimum(wanted, fits), (low + high) / 2 + draws.uniform(-0.04, 0.04, batch, 2))


def travel(draws: Draws, root: Tensor, augment: bool) -> Tensor:
    """Horizontal travel scaled down so that people stay large in the picture."""
    batch = root.shape[0]
    share = draws.uniform(0.1, 0.8, batch, 1) if augment else torch.full((batch, 1), 0.4)
    start = root[:, :1]
    return start + (root - start) * torch.stack([share, torch.ones_like(share), share], dim=-1)


def grounded(root: Tensor, joints: Joints, frames: slice) -> Tensor:
    """Moves the given frames up or down until their lowest point is as low as frame 0's.

    Generated motion and the extra pose have no physics.
    """
    lowest = torch.stack(list(joints.points.values())).amin(0)[..., 1]
    moved = root.clone()
    moved[:, frames, 1] -= (lowest - lowest[:, :1])[:, frames]
    return moved


def floor_line(joints: Joints, camera: Camera, height: int, width: int) -> Tensor:
    """[B] drawing pixels from the top: where the toes come lowest."""
    toes = torch.stack([joints.points["right_toe"], joints.points["left_toe"]], 2)
    return camera.project(toes, height, width)[..., 1].amax((1, 2))


def draw_background(
    draws: Draws, batch: int, height: int, width: int, floor: Tensor, device: torch.device
) -> Tensor:
    """[B, 3, H, W] in 0..1: a wall gradient, five soft-edged shapes, a floor below ``floor`` [B] pixels."""

    def colour() -> Tensor:
        hue, saturation, value = (
            draws.uniform(0, 1, batch),
            draws.uniform(0.05, 0.7, batch),
            draws.uniform(0.25, 0.95, batch),
        )
        return hsv(hue, saturation, value).to(device)[:, :, None, None]

    def number(low: float, high: float) -> Tensor:
        return draws.uniform(low, high, batch).to(device).view(-1, 1, 1, 1)

    y = ((torch.arange(height, device=device) + 0.5) / height).view(1, 1, -1, 1)
    x = ((torch.arange(width, device=device) + 0.5) / width).view(1, 1, 1, -1)
    blend = (number(-1, 1) * (x - 0.5) + number(-1, 1) * (y - 0.5) + 0.5).clamp(0, 1)
    base = colour()
    wall = torch.lerp(base, 0.5 * base + 0.5 * colour(), blend)
    for _ in range(5):
        centre_x, centre_y, radius_x, radius_y = (
            number(0, 1),
            number(0, 0.8),
            number(0.04, 0.25),
            number(0.04, 0.25),
        )
        u, v = ((x - centre_x) / radius_x).abs(), ((y - centre_y) / radius_y).abs()
        shape = torch.where(number(0, 1) < 0.5, torch.maximum(u, v), (u * u + v * v).sqrt())
        cover = ((1 - shape) * 0.12 * width).clamp(0, 1) * (number(0, 1) < 0.6)
        wall = torch.lerp(wall, 0.5 * base + 0.5 * colour(), cover)
    ground = (colour() * (1.1 - 0.35 * (y - 0.5))).clamp(0, 1)
    line = ((y * height - floor.to(device).view(-1, 1, 1, 1)) * 0.5).clamp(0, 1)
    return torch.lerp(wall, ground, line).clamp(0, 1)


def sample_light(draws: Draws, batch: int) -> Tensor:
    """Unit vectors towards the light [B, 3], from above and from the viewer's side."""
    directions = [
        draws.uniform(-0.6, 0.6, batch),
        draws.uniform(0.2, 0.9, batch),
        draws.uniform(0.4, 1.0, batch),
    ]
    return F.normalize(torch.stack(directions, -1), dim=-1)


def visible_joints(joints: Joints, camera: Camera, points: Tensor) -> Tensor:
    """[B, T, 18] bool: body joints always, face points only on the viewer's side of the head."""
    shown = torch.ones(points.shape[:3], dtype=torch.bool)
    depth = camera.project(points, 0, 0)[..., 2]
    head = camera.project(joints.points["head"], 0, 0)[..., 2]
    size = camera.scale[:, None] * 0.03
    for joint in FACE:
        shown[:, :, joint] = depth[:, :, joint] > head - size
    return shown


def capsule_values(looks: Looks, joints: Joints, camera: Camera, height: int, width: int) -> Tensor:
    """Capsules as ``paint_people`` takes them, [B, T, P, 20], in drawing pixels."""
    starts, ends, constants = build(looks, joints)
    constants = constants[:, None].expand(-1, starts.shape[1], -1, -1).clone()
    constants[..., :2] *= camera.scale.view(-1, 1, 1, 1)
    start, end = (camera.project(points, height, width) for points in (starts, ends))
    return torch.cat([start, end, constants], dim=-1)
