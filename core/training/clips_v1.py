"""The first recipe's clips, which suite 1 and the first weights were made with; it must not change.

The driver is the drawn person, so the skeleton fits in every picture but a misaligned first one. Every call
that takes ``draws`` moves it on: their order is part of what a seed means.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.training.body import Joints, forward_kinematics, openpose_points
from core.training.characters_v1 import Looks, caption, sample_looks
from core.training.clip_types import ClipRecipe, Clips
from core.training.motion_bank import Bank
from core.training.motion_v1 import sample_motion
from core.training.randomness import Draws
from core.training.renderer_v1 import SUPERSAMPLE, paint_people
from core.training.scene_v1 import (
    capsule_values,
    draw_background,
    floor_line,
    grounded,
    sample_camera,
    sample_light,
    travel,
    visible_joints,
)
from core.training.skeletons import as_bytes, draw_skeletons, negative_points


def make_first_clips(
    draws: Draws, batch: int, recipe: ClipRecipe, bank: Bank | None, device: torch.device, negatives: bool
) -> Clips:
    """A batch of clips of recipe 1."""
    looks = sample_looks(draws, batch)
    joints = _move(draws, looks, recipe, bank)
    height, width = recipe.height * SUPERSAMPLE, recipe.width * SUPERSAMPLE
    camera = sample_camera(draws, joints, looks, recipe.height, recipe.width, recipe.augment)
    floor = floor_line(joints, camera, height, width) - draws.uniform(0, 30, batch)
    background = draw_background(draws, batch, height, width, floor, device)
    light = sample_light(draws, batch)
    misaligned = draws.chance(recipe.misaligned, batch)
    values = capsule_values(looks, joints, camera, height, width)
    video, mask = _with_references(*_paint(background, values, light, device), misaligned.to(device))
    world = openpose_points(joints, looks.size)
    points = camera.project(world, height, width)[:, : recipe.frames, :, :2]
    shown = visible_joints(joints, camera, world)[:, : recipe.frames]
    other = negative_points(draws, points) if negatives else None
    size = recipe.height, recipe.width
    return Clips(
        video=video.transpose(1, 2),
        pose=draw_skeletons(points, shown, *size, device),
        negative=None if other is None else draw_skeletons(other, shown, *size, device),
        mask=mask,
        joints=points / SUPERSAMPLE,
        shown=shown,
        misaligned=misaligned,
        captions=tuple(caption(looks, i) for i in range(batch)),
        background=as_bytes(F.avg_pool2d(background, SUPERSAMPLE)),
        points=points / SUPERSAMPLE,
        seen=shown,
    )


def _move(draws: Draws, looks: Looks, recipe: ClipRecipe, bank: Bank | None) -> Joints:
    """A motion of T frames; frame T is another pose in the first one's place, for a misaligned reference."""
    batch = looks.girth.shape[0]
    rotations, root = sample_motion(draws, bank, batch, recipe.frames, augment=recipe.augment)
    other, _ = sample_motion(draws, bank, batch, 8, augment=True)
    rotations = torch.cat([rotations, other[:, 4:5]], dim=1)
    root = travel(draws, root, recipe.augment)
    root = torch.cat([root, root[:, :1]], dim=1)
    joints = forward_kinematics(rotations, root, looks.size)
    root = grounded(root, joints, slice(None) if bank is None else slice(recipe.frames, None))
    return forward_kinematics(rotations, root, looks.size)


def _with_references(pictures: Tensor, mask: Tensor, misaligned: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures [B, T+1, 3, h, w] and mask [B, T+1, h, w] without frame T; misaligned clips begin with it."""
    video, person = pictures[:, :-1], mask[:, :-1]
    video[:, 0] = torch.where(misaligned[:, None, None, None], pictures[:, -1], pictures[:, 0])
    person[:, 0] = torch.where(misaligned[:, None, None], mask[:, -1], mask[:, 0])
    return video, person


def _paint(background: Tensor, values: Tensor, light: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """-> uint8 [B, T, 3, h, w] and mask [B, T, h, w]; a few people at a time on the CPU to bound memory."""
    batch, frames = values.shape[:2]
    step = batch if device.type == "cuda" else 1
    pictures, masks = [], []
    for at in range(0, batch, step):
        part = slice(at, at + step)
        canvas = background[part][:, None].expand(-1, frames, -1, -1, -1).flatten(0, 1)
        lights = light[part].to(device)[:, None].expand(-1, frames, -1).flatten(0, 1)
        painted, mask = paint_people(
            canvas, values[part].to(device).flatten(0, 1), lights, cropped=device.type != "cuda"
        )
        pictures.append(as_bytes(painted).reshape(-1, frames, *painted.shape[1:]))
        masks.append(mask.reshape(-1, frames, *mask.shape[1:]))
    return torch.cat(pictures), torch.cat(masks)
