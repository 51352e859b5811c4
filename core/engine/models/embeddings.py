"""Time, picture and patch embeddings."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engine.models.norms import AffineLayerNorm

PATCH = 2


def timestep_sinusoid(t: Tensor, dim: int) -> Tensor:
    """t [B] in 0..1000 -> [B, dim] float32: cosines, then sines, of t * 10000^(-i / (dim/2)) in float64."""
    half = dim // 2
    steps = torch.arange(half, dtype=torch.float64, device=t.device) / half
    angles = t.double()[:, None] * torch.pow(10000.0, -steps)
    return torch.cat([angles.cos(), angles.sin()], dim=-1).float()


class ImageEmbedding(nn.Module):
    """CLIP tokens [B, 257, clip_dim] -> [B, 257, D]; its norms keep eps 1e-5."""

    def __init__(self, clip_dim: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Sequential(
            AffineLayerNorm(clip_dim),
            nn.Linear(clip_dim, clip_dim),
            nn.GELU(),
            nn.Linear(clip_dim, dim),
            AffineLayerNorm(dim),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, n, clip_dim] -> [B, n, D]."""
        out: Tensor = self.proj(tokens)
        return out


def patchify(latents: Tensor) -> Tensor:
    """[B, C, T, H, W] -> [B, T, H/2, W/2, C*4], values of a patch ordered (channel, row, column)."""
    batch, channels, frames, height, width = latents.shape
    x = latents.reshape(batch, channels, frames, height // PATCH, PATCH, width // PATCH, PATCH)
    return x.permute(0, 2, 3, 5, 1, 4, 6).flatten(4)


def unpatchify(tokens: Tensor) -> Tensor:
    """[B, T, H/2, W/2, 4*C] -> [B, C, T, H, W], values of a patch ordered (row, column, channel)."""
    x = torch.unflatten(tokens, -1, (PATCH, PATCH, -1))  # B T H/2 W/2 2 2 C
    return x.permute(0, 6, 1, 2, 4, 3, 5).flatten(5).flatten(3, 4)


class PatchEmbedding(nn.Conv3d):
    """A convolution with stride equal to its kernel (1, 2, 2), computed as the linear map that it is."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__(channels, dim, kernel_size=(1, PATCH, PATCH), stride=(1, PATCH, PATCH))

    def forward(self, latents: Tensor) -> Tensor:
        """[B, C, T, H, W] -> [B, T, H/2, W/2, D]."""
        return F.linear(patchify(latents), self.weight.flatten(1), self.bias)
