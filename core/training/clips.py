"""Training and evaluation clips: a drawn person in motion, its skeleton, and everything the metrics need."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.pose.draw import Image, draw
from core.pose.skeleton import PoseFrame
from core.training.body import Joints, forward_kinematics, openpose_points
from core.training.characters import Looks, caption, sample_looks
from core.training.motion import Bank, sample_motion
from core.training.randomness import Draws
from core.training.renderer import SUPERSAMPLE, paint_people, paint_skeletons
from core.training.scene import (
    capsule_values,
    draw_background,
    floor_line,
    grounded,
    sample_camera,
    sample_light,
    travel,
    visible_joints,
)


@dataclass(frozen=True)
class ClipRecipe:
    """What a batch of clips is drawn from."""

    height: int = 192
    width: int = 192
    frames: int = 33
    misaligned: float = 0.35
    augment: bool = True


@dataclass(frozen=True)
class Clips:
    """A batch of clips.

    video, pose, negative: uint8 [B, 3, T, H, W] RGB; the video's first frame is the reference picture (for a
    misaligned clip another pose of the same person, while pose frame 0 stays the driver's). mask [B, T, H, W]
    bool: the person; joints [B, T, 18, 2] picture pixels (x, y); shown [B, T, 18] bool; misaligned [B] bool;
    background uint8 [B, 3, H, W] is the scene without the person.
    """

    video: Tensor
    pose: Tensor
    negative: Tensor | None
    mask: Tensor
    joints: Tensor
    shown: Tensor
    misaligned: Tensor
    captions: tuple[str, ...]
    background: Tensor


def make_clips(
    seed: int,
    batch: int,
    recipe: ClipRecipe,
    bank: Bank | None,
    device: torch.device | str = "cpu",
    *,
    negatives: bool = False,
) -> Clips:
    """A batch of clips, the same for a seed on every machine (up to rounding in the drawing).

    Every call that takes ``draws`` moves it on: their order is part of what a seed means.
    """
    draws, device = Draws(seed), torch.device(device)
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
    return Clips(
        video=video.transpose(1, 2),
        pose=_draw(points, shown, recipe, device),
        negative=None if other is None else _draw(other, shown, recipe, device),
        mask=mask,
        joints=points / SUPERSAMPLE,
        shown=shown,
        misaligned=misaligned,
        captions=tuple(caption(looks, i) for i in range(batch)),
        background=_as_bytes(F.avg_pool2d(background, SUPERSAMPLE)),
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


def negative_points(draws: Draws, points: Tensor) -> Tensor:
    """Spec 6.4 on drawn joints: a scale in 0.7..1.3 and an aspect in 0.6..1.4 about the neck, for each frame.

    points [B, T, 18, 2] -> same shape.
    """
    batch, frames = points.shape[:2]
    scale, aspect = draws.uniform(0.7, 1.3, batch, frames), draws.uniform(0.6, 1.4, batch, frames)
    factor = torch.stack([aspect * scale, scale], dim=-1)[:, :, None]
    neck = points[:, :, 1:2]
    return neck + factor * (points - neck)


def _as_bytes(picture: Tensor) -> Tensor:
    return (picture * 255).round().clamp(0, 255).to(torch.uint8)


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
        pictures.append(_as_bytes(painted).reshape(-1, frames, *painted.shape[1:]))
        masks.append(mask.reshape(-1, frames, *mask.shape[1:]))
    return torch.cat(pictures), torch.cat(masks)


def _draw(points: Tensor, shown: Tensor, recipe: ClipRecipe, device: torch.device) -> Tensor:
    """Skeleton videos uint8 [B, 3, T, h, w]: the torch drawing on a GPU, the product's own on the CPU."""
    at, visible = points.flatten(0, 1), shown.flatten(0, 1)
    if device.type == "cuda":
        drawn = _as_bytes(paint_skeletons(at.to(device), visible.to(device), recipe.height, recipe.width))
    else:
        frames = [
            draw_like_product(p, s, recipe.height, recipe.width) for p, s in zip(at, visible, strict=True)
        ]
        drawn = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)
    return drawn.reshape(*points.shape[:2], *drawn.shape[1:]).transpose(1, 2)


def draw_like_product(points: Tensor, shown: Tensor, height: int, width: int) -> Image:
    """One skeleton [18, 2] (drawing pixels) through ``core.pose.draw`` at twice the size, averaged down."""
    big_height, big_width = height * SUPERSAMPLE, width * SUPERSAMPLE
    body = points.double().numpy() / np.array([big_width, big_height])
    subset = np.where(shown.numpy(), np.arange(18), -1)
    frame = PoseFrame(body=body, subset=subset, hands=np.full((2, 21, 2), -1.0), faces=np.full((68, 2), -1.0))
    canvas = draw(frame, big_height, big_width, hands=False)
    return np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
