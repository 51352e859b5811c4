"""Tells drawn pictures from reconstructed ones, patch by patch: what makes the VAE's decoder sharp."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

_WIDTHS = (64, 128, 256)


def _conv(inner: int, outer: int, stride: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(inner, outer, 3, stride=stride, padding=1))


class Critic(nn.Module):
    """Sees each picture and how it differs from the one before; its patches are 8 pixels apart, 46 wide.

    Spectral norms (Miyato et al. 2018) keep it from running away without gradient penalties.
    """

    def __init__(self) -> None:
        super().__init__()
        first, second, third = _WIDTHS
        self.layers = nn.ModuleList(
            [_conv(4 * 6, first, 1), _conv(first, second, 2), _conv(second, third, 2), _conv(third, third, 1)]
        )
        self.out = spectral_norm(nn.Conv2d(third, 1, 1))

    def forward(self, video: Tensor) -> tuple[Tensor, list[Tensor]]:
        """video [B, 3, T, H, W] -> votes [B * (T - 1), 1, H / 8, W / 8], high for drawn, and features."""
        change = video.diff(dim=2)
        x = torch.cat([video[:, :, 1:], change], dim=1).transpose(1, 2).flatten(0, 1)
        x = F.pixel_unshuffle(x, 2)
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return self.out(x), features


def patch_weights(weight: Tensor, votes: Tensor) -> Tensor:
    """Pixel weights [B, 1, T, H, W] -> weights of the votes, mean 1."""
    frames = weight[:, :, 1:].transpose(1, 2).flatten(0, 1)
    pooled = F.adaptive_avg_pool2d(frames, (votes.shape[-2], votes.shape[-1]))
    return pooled / pooled.mean()


def critic_loss(drawn: Tensor, made: Tensor, weight: Tensor) -> Tensor:
    """Hinge loss of votes."""
    return (weight * (F.relu(1 - drawn) + F.relu(1 + made))).mean()


def likeness_loss(drawn: list[Tensor], made: list[Tensor]) -> Tensor:
    """Mean L1 between the critic's features of a drawn picture and of its reconstruction."""
    losses = [(a.detach() - b).abs().mean() for a, b in zip(drawn, made, strict=True)]
    return torch.stack(losses).mean()
