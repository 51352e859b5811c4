"""Skeleton videos of drawn people: on a GPU all at once, on the CPU by the product's own drawing."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from core.pose.draw import Image, draw
from core.pose.skeleton import PoseFrame
from core.training.randomness import Draws
from core.training.renderer import SUPERSAMPLE
from core.training.skeleton_shapes import paint_skeletons


def draw_skeletons(points: Tensor, shown: Tensor, height: int, width: int, device: torch.device) -> Tensor:
    """points [B, T, 18, 2] drawing pixels, shown [B, T, 18] -> uint8 [B, 3, T, height, width]."""
    at, visible = points.flatten(0, 1), shown.flatten(0, 1)
    if device.type == "cuda":
        drawn = as_bytes(paint_skeletons(at.to(device), visible.to(device), height, width))
    else:
        frames = [draw_like_product(p, s, height, width) for p, s in zip(at, visible, strict=True)]
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


def negative_points(draws: Draws, points: Tensor) -> Tensor:
    """Spec 6.4 on drawn joints: a scale in 0.7..1.3 and an aspect in 0.6..1.4 about the neck, for each frame.

    points [B, T, 18, 2] -> same shape.
    """
    batch, frames = points.shape[:2]
    scale, aspect = draws.uniform(0.7, 1.3, batch, frames), draws.uniform(0.6, 1.4, batch, frames)
    factor = torch.stack([aspect * scale, scale], dim=-1)[:, :, None]
    neck = points[:, :, 1:2]
    return neck + factor * (points - neck)


def as_bytes(picture: Tensor) -> Tensor:
    """Values 0..1 to uint8."""
    return (picture * 255).round().clamp(0, 255).to(torch.uint8)
