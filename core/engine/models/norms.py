"""Norms in float32 whatever the dtype of input, weights or autocast."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def layer_norm(x: Tensor, eps: float, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """Layer norm over the last axis, [..., D] -> [..., D] float32."""
    weight = None if weight is None else weight.float()
    bias = None if bias is None else bias.float()
    return F.layer_norm(x.float(), list(x.shape[-1:]), weight, bias, eps)


class AffineLayerNorm(nn.LayerNorm):
    """Layer norm with weight and bias."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D] float32."""
        return layer_norm(x, self.eps, self.weight, self.bias)


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight over the whole width."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D] float32."""
        return F.rms_norm(x.float(), list(self.weight.shape), self.weight.float(), self.eps)


class InstanceNorm(nn.GroupNorm):
    """Each channel of each frame normalised over its pixels (biased variance), with weight and bias."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__(channels, channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        """[n, C, H, W] -> [n, C, H, W] float32."""
        return F.group_norm(x.float(), self.num_groups, self.weight.float(), self.bias.float(), self.eps)
