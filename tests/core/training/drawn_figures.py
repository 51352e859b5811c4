"""Standing people and what they are drawn from, for tests."""

from __future__ import annotations

import torch
from torch import Tensor

from core.training.body import Joints, R, forward_kinematics, rotation_x, rotation_y
from core.training.looks import Looks
from core.training.renderer import SUPERSAMPLE, Figures
from core.training.scene import FACING, Camera, figure_values


def standing(looks: Looks, frames: int = 1) -> Joints:
    """Arms a little away from the body, feet on y = 0."""
    batch = len(looks.girth)
    rotations = torch.eye(3).repeat(batch, frames, 16, 1, 1)
    rotations[:, :, R["right_shoulder"]] = rotation_x(torch.tensor(-0.5))
    rotations[:, :, R["left_shoulder"]] = rotation_x(torch.tensor(0.5))
    joints = forward_kinematics(rotations, torch.zeros(batch, frames, 3), looks.size)
    lowest = torch.stack(list(joints.points.values())).amin(0)[..., 1]
    root = torch.zeros(batch, frames, 3)
    root[..., 1] = -lowest
    return forward_kinematics(rotations, root, looks.size)


def portrait_camera(batch: int, height: int, yaw: float = 0.0) -> Camera:
    """All of a standing person of two metres, seen level."""
    turn = (FACING @ rotation_y(torch.tensor([yaw]))).expand(batch, 3, 3)
    scale = torch.full((batch,), height * SUPERSAMPLE / 2.3)
    return Camera(turn, scale, torch.tensor([[0.0, 0.95]]).expand(batch, 2))


def drawn(looks: Looks, height: int, width: int, yaw: float = 0.0) -> tuple[Tensor, Figures, Tensor]:
    """Grey background, shapes [N, P, ...] and light of standing people."""
    batch = len(looks.girth)
    camera = portrait_camera(batch, height, yaw)
    big = height * SUPERSAMPLE, width * SUPERSAMPLE
    figures = figure_values(looks, standing(looks), camera, *big).each(lambda values: values.flatten(0, 1))
    light = torch.tensor([-0.3, 0.6, 0.74, 0.6, 0.6, 0.6, 0.45, 0.45, 0.45]).expand(batch, 9)
    return torch.full((batch, 3, *big), 0.5), figures, light
