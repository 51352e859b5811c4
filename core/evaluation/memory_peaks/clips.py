"""Sizes of videos, and random conditions of their shapes. Light: no planner, no memory measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from core.engine.conditioning import Conditions
from core.engine.models.config import TransformerConfig
from core.geometry import PATCH, VAE_STRIDE, latent_frames
from core.types import Size

CLIP_TOKENS = 257
REFERENCES = 2


@dataclass(frozen=True)
class Clip:
    """A video's size in pixels and frames."""

    width: int
    height: int
    frames: int

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.width}x{self.height}x{self.frames}"

    @property
    def tokens(self) -> int:
        """Of one forward."""
        cells = self.width * self.height // (VAE_STRIDE * PATCH) ** 2
        return (latent_frames(self.frames) + REFERENCES) * cells

    @property
    def size(self) -> Size:
        """Without the frames."""
        return Size(self.width, self.height)


def random_conditions(clip: Clip, config: TransformerConfig) -> Conditions:
    """Conditions of the shapes that a clip has, from a fixed seed."""
    generator = torch.Generator().manual_seed(7)
    time_, height, width = latent_frames(clip.frames), clip.height // VAE_STRIDE, clip.width // VAE_STRIDE

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    text = normal(config.text_len, config.text_dim) / math.sqrt(config.text_dim)
    return Conditions(
        text=text,
        text_null=text,
        y=normal(20, time_, height, width),
        ref_x=normal(36, 1, height, width),
        ref_c=normal(36, 1, height, width),
        condition=normal(16, time_, height, width),
        condition_null=None,
        clip_x=normal(CLIP_TOKENS, config.clip_dim),
        clip_c=normal(CLIP_TOKENS, config.clip_dim),
    )
