"""SteadyDancer's condition modules: temporal motion coherence, spatial structure, frame-wise alignment.

Source: SteadyDancer (arXiv 2511.19320), its condition reconciliation and pose modulation.
Shape letters: B batch, C channels (16), T latent frames, H W latent size.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engine.models.attention import compute_cast
from core.engine.models.norms import InstanceNorm, layer_norm

NORM_EPS = 1e-5


def hard_sigmoid(x: Tensor) -> Tensor:
    """clamp(x + 3, 0, 6) / 3: from 0 to 2, twice the usual one, as SteadyDancer was trained."""
    return F.relu6(x + 3) / 3


class FactorisedConv(nn.Module):
    """1x3x3 per channel and frame, SiLU, then 3x1x1 over time (zero padding on both sides, not causal)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial = nn.Conv3d(
            channels, channels, (1, 3, 3), padding=(0, 1, 1), groups=channels, bias=False
        )
        self.temporal = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T, H, W] -> [B, C, T, H, W]."""
        frames = x.transpose(1, 2).flatten(0, 1)
        # as a 2-D convolution with frames as batch: depth-wise 3-D kernels are slow on GPUs
        frames = F.conv2d(frames, self.spatial.weight.squeeze(2), padding=1, groups=self.spatial.groups)
        out: Tensor = self.temporal(torch.unflatten(F.silu(frames), 0, (x.shape[0], -1)).transpose(1, 2))
        return out


class TemporalCoherence(nn.Sequential):
    """Temporal Motion Coherence Module: three factorised convolutions, each followed by SiLU."""

    def __init__(self, channels: int) -> None:
        layers = [layer for _ in range(3) for layer in (FactorisedConv(channels), nn.SiLU())]
        super().__init__(*layers)


class ChannelGate(nn.Module):
    """a * hard_sigmoid(W a)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(width, width, bias=False))

    def forward(self, a: Tensor) -> Tensor:
        """[n, width] -> [n, width]."""
        return a * hard_sigmoid(self.fc(a))


class SpatialStructure(nn.Module):
    """Spatial Structure Adaptive Extractor: a decomposed convolution whose kernel depends on the frame.

    Source of the decomposition: "Revisiting Dynamic Convolution via Matrix Decomposition" (arXiv 2103.08756).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = channels // 4
        self.conv = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv_q = nn.Conv2d(channels, self.inner, 1, bias=False)
        self.conv_p = nn.Conv2d(self.inner, channels, 1, bias=False)
        self.fc = nn.Sequential(nn.Linear(channels, self.inner, bias=False), ChannelGate(self.inner))
        self.fc_phi = nn.Linear(self.inner, self.inner**2, bias=False)
        self.fc_scale = nn.Linear(self.inner, channels, bias=False)
        self.bn1 = InstanceNorm(self.inner, NORM_EPS)
        self.bn2 = InstanceNorm(self.inner, NORM_EPS)

    def forward(self, frames: Tensor) -> Tensor:
        """[n, C, H, W], frames as batch -> [n, C, H, W]."""
        a = self.fc(frames.mean(dim=(2, 3)))
        phi = torch.unflatten(self.fc_phi(a), -1, (self.inner, self.inner))
        static = hard_sigmoid(self.fc_scale(a))[:, :, None, None] * self.conv(frames)
        z1 = self.bn1(self.conv_q(frames))
        mixed = torch.matmul(phi, z1.flatten(2)).view_as(z1)
        out: Tensor = self.conv_p(self.bn2(mixed) + z1) + static
        return out


class PointwiseConv(nn.Conv2d):
    """A 1x1 convolution on channels-last tensors [..., C]."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[..., C] -> [..., out_channels]."""
        return F.linear(x, self.weight.flatten(1), self.bias)


class ChannelNorm(nn.Module):
    """Layer norm over the channels of channels-last tensors, float32."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[..., C] -> [..., C] float32."""
        return layer_norm(x, NORM_EPS, self.weight.flatten(), self.bias.flatten())


class TimeAttention(nn.Module):
    """Multi-head attention over the frames, each pixel by itself; projections packed in the order q, k, v.

    ``attend`` takes [..., T, d] each and may be replaced by another form of the same attention.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.dim, self.num_heads = dim, num_heads
        self.attend: Callable[[Tensor, Tensor, Tensor], Tensor] = F.scaled_dot_product_attention
        self.in_proj_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * dim, dim)))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)

    def rows_of_heads(self, x: Tensor) -> Tensor:
        """[B, T, H, W, dim] -> [B*H, W*heads, T, d].

        Kernels take two batch axes of at most 65,535 each; B*H*W in one axis would exceed that.
        """
        x = torch.unflatten(x, -1, (self.num_heads, -1)).permute(0, 2, 3, 4, 1, 5)
        return x.flatten(2, 3).flatten(0, 1)

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        """query, memory [B, T, H, W, dim] -> [B, T, H, W, dim]."""
        batch, frames, height, width, dim = query.shape
        q = F.linear(query, self.in_proj_weight[:dim], self.in_proj_bias[:dim])
        k, v = F.linear(memory, self.in_proj_weight[dim:], self.in_proj_bias[dim:]).chunk(2, dim=-1)
        q, k, v = (self.rows_of_heads(x) for x in (q, k, v))
        out = self.attend(q, k, v)
        out = out.reshape(batch, height, width, self.num_heads, frames, -1).permute(0, 4, 1, 2, 3, 5)
        projected: Tensor = self.out_proj(out.flatten(-2))
        return projected


class FrameAlignment(nn.Module):
    """Frame-wise Attention Alignment Unit: the noisy latent asks the pose, over time at each pixel.

    There is no residual around the attention and no position. The dropout of upstream's training is left out.
    """

    def __init__(self, channels: int, hidden: int = 128, num_heads: int = 8) -> None:
        super().__init__()
        self.proj_p = PointwiseConv(channels, hidden)
        self.proj_r = PointwiseConv(channels, hidden)
        self.cross_attn = TimeAttention(hidden, num_heads)
        self.norm1 = ChannelNorm(hidden)
        self.ffn_pose = nn.Sequential(PointwiseConv(hidden, hidden), nn.SiLU(), PointwiseConv(hidden, hidden))
        self.norm2 = ChannelNorm(hidden)
        self.proj_p_back = PointwiseConv(hidden, channels)

    def forward(self, pose: Tensor, noise: Tensor) -> Tensor:
        """pose = fused condition, noise = noisy latent, both [B, C, T, H, W] -> [B, C, T, H, W]."""
        pose, noise = compute_cast(pose).movedim(1, -1), compute_cast(noise).movedim(1, -1)
        z = self.norm1(self.cross_attn(self.proj_r(noise), self.proj_p(pose)))
        z = self.norm2(z + self.ffn_pose(z))
        aligned: Tensor = self.proj_p_back(z)
        return aligned.movedim(-1, 1)
