"""Clips to compare autoencoders with, and how far apart two results are."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from core.engine.interfaces import VideoVAE
from core.evaluation.memory_peaks.forwards import Clip


def smooth_video(clip: Clip) -> Tensor:
    """Soft random colours that change slowly, [1, 3, F, H, W] in [-1, 1]."""
    coarse = torch.randn((1, 3, 3, 9, 16), generator=torch.Generator().manual_seed(4))
    size = (clip.frames, clip.height, clip.width)
    return torch.tanh(torch.nn.functional.interpolate(coarse, size=size, mode="trilinear"))


def decoded(vae: VideoVAE, latents: Tensor) -> Tensor:
    """All pictures in host memory, [B, 3, F, H, W]."""
    return torch.cat([chunk.cpu() for chunk in vae.decode(latents)], dim=2)


def psnr(ours: Tensor, theirs: Tensor) -> float:
    """dB, over the range of ``theirs``, since random weights use little of [-1, 1]."""
    error = float(torch.mean((ours - theirs) ** 2))
    extent = float(theirs.max() - theirs.min())
    return 10 * math.log10(extent**2 / error) if error else math.inf
