"""Sizes: from a reference picture and an area budget to latents and canvases (spec 3.1)."""

from __future__ import annotations

import math

VAE_STRIDE = 8
PATCH = 2
TEMPORAL_STRIDE = 4
POSE_CANVAS_AREA = 576 * 1024


def latent_size(image_width: int, image_height: int, area: int) -> tuple[int, int]:
    """Latent height and width, both even, for a picture of this shape within ``area`` pixels.

    Source: SteadyDancer, image-to-video generation (golden ``tables_*``).
    """
    ratio = image_height / image_width
    height = math.floor(math.floor(math.sqrt(area * ratio) / VAE_STRIDE) / PATCH) * PATCH
    width = math.floor(math.floor(math.sqrt(area / ratio) / VAE_STRIDE) / PATCH) * PATCH
    return height, width


def pose_canvas(image_width: int, image_height: int, area: int = POSE_CANVAS_AREA) -> tuple[int, int]:
    """Height and width of the pose canvas, multiples of 16."""
    ratio = image_height / image_width
    height = math.floor(math.sqrt(area * ratio) / 16) * 16
    width = math.floor(math.sqrt(area / ratio) / 16) * 16
    return height, width


def drawing_size(image_width: int, image_height: int, area: int = POSE_CANVAS_AREA) -> tuple[int, int]:
    """Height and width of skeleton drawings: twice the pose canvas (spec 3.2, 6.2)."""
    height, width = pose_canvas(image_width, image_height, area)
    return 2 * height, 2 * width


def fit_frames(available: int, native: int) -> int:
    """Largest 4n+1 that is neither more than ``available`` nor than ``native``."""
    frames = min(available, native)
    return (frames - 1) // TEMPORAL_STRIDE * TEMPORAL_STRIDE + 1


def latent_frames(frames: int) -> int:
    """Latent frames of a video of 4n+1 pictures."""
    return (frames - 1) // TEMPORAL_STRIDE + 1
