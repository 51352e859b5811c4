"""The embedded model's video autoencoder: small and causal, with the Wan VAE's interface and stride 4x8x8.

Four pictures make one latent frame; the first picture stands alone (it is repeated three times in front), so
the latent of a single picture equals the first latent frame of a video that begins with it. Every block sees
its own latent frame and some or all channels of the one before, which makes decoding in chunks exact.

A linear path (768 values of a 4x8x8 patch <-> 16 channels, set from a PCA before training) runs beside the
convolutions in both directions; the convolutions learn what the PCA misses.

Shape letters: B batch, T latent frames, C channels, H W size at the block's resolution.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engine.interfaces import Check, never

PATCH_VALUES = 4 * 8 * 8 * 3


@dataclass(frozen=True)
class MiniVAEConfig:
    """Widths at a quarter (``fine``) and an eighth (``coarse``) of the picture's size, and blocks at each.

    The defaults are the sizes of the first weights. ``decoder_half`` is the width of a last stage at half of
    the picture's size (0: none), whose blocks see one latent frame; ``previous_share`` is how much of the
    latent frame before all other blocks see, of its channels.
    """

    encoder_fine: int = 64
    encoder_coarse: int = 128
    encoder_blocks: int = 2
    decoder_fine: int = 128
    decoder_coarse: int = 160
    decoder_blocks: int = 3
    latent_channels: int = 16
    decoder_half: int = 0
    decoder_half_blocks: int = 0
    previous_share: float = 1.0

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> MiniVAEConfig:
        """From the model folder's config.json."""
        return cls(**data)

    def to_dict(self) -> dict[str, Any]:
        """For config.json."""
        return asdict(self)


class PixelNorm(nn.Module):
    """RMS norm over channels at each pixel, so that chunks and whole videos are normed alike."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> same shape."""
        length = torch.linalg.vector_norm(x, dim=1, keepdim=True, dtype=torch.float32)
        scale = math.sqrt(x.shape[1]) / length.clamp_min(1e-4)
        normed: Tensor = x * scale.to(x.dtype) * self.weight.to(x.dtype)[:, None, None]
        return normed


class CausalBlock(nn.Module):
    """Residual block over one latent frame and the first ``carried`` channels of the one before it."""

    def __init__(self, channels: int, carried: int) -> None:
        super().__init__()
        self.carried = carried
        self.norm1 = PixelNorm(channels)
        self.conv1 = nn.Conv2d(channels + carried, channels, 3, padding=1)
        self.norm2 = PixelNorm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, frames: int, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x [B*T, C, H, W], T = ``frames``; ``before`` [B, carried, H, W]: from the previous chunk.

        Returns the output and the activations to hand to the next chunk. Without ``before`` the first frame
        is its own predecessor.
        """
        hidden = F.silu(self.norm1(x))
        by_clip = _by_clip(hidden[:, : self.carried], frames)
        if self.carried:
            first = by_clip[:, :1] if before is None else before[:, None]
            previous = torch.cat([first, by_clip[:, :-1]], dim=1).flatten(0, 1)
            hidden = torch.cat([hidden, previous], dim=1)
        hidden = F.silu(self.norm2(self.conv1(hidden)))
        return x + self.conv2(hidden), by_clip[:, -1]


class Stage(nn.Module):
    """A run of causal blocks that keeps the activations needed by the next chunk."""

    def __init__(self, channels: int, count: int, previous_share: float) -> None:
        super().__init__()
        carried = round(channels * previous_share)
        self.blocks = nn.ModuleList(CausalBlock(channels, carried) for _ in range(count))

    def forward(
        self, x: Tensor, frames: int, cache: list[Tensor] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """x [B*T, C, H, W] -> same shape and one cached tensor a block."""
        kept = []
        for index, block in enumerate(self.blocks):
            x, last = block(x, frames, None if cache is None else cache[index])
            kept.append(last)
        return x, kept


class Encoder(nn.Module):
    """Patches of four pictures -> 16 channels."""

    def __init__(self, config: MiniVAEConfig) -> None:
        super().__init__()
        fine, coarse = config.encoder_fine, config.encoder_coarse
        self.stem = nn.Conv2d(12 * 16, fine, 1)
        self.fine = Stage(fine, config.encoder_blocks, config.previous_share)
        self.down = nn.Conv2d(4 * fine, coarse, 1)
        self.coarse = Stage(coarse, config.encoder_blocks, config.previous_share)
        self.norm = PixelNorm(coarse)
        self.out = nn.Conv2d(coarse, config.latent_channels, 3, padding=1)
        self.linear = nn.Conv2d(PATCH_VALUES, config.latent_channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, groups: Tensor, frames: int) -> Tensor:
        """groups [B*T, 12, 8h, 8w] (four pictures of three channels) -> [B*T, 16, h, w]."""
        x, _ = self.fine(self.stem(F.pixel_unshuffle(groups, 4)), frames)
        x, _ = self.coarse(self.down(F.pixel_unshuffle(x, 2)), frames)
        out: Tensor = self.out(F.silu(self.norm(x))) + self.linear(F.pixel_unshuffle(groups, 8))
        return out


class Decoder(nn.Module):
    """16 channels -> patches of four pictures."""

    def __init__(self, config: MiniVAEConfig) -> None:
        super().__init__()
        fine, coarse, half = config.decoder_fine, config.decoder_coarse, config.decoder_half
        self.stem = nn.Conv2d(config.latent_channels, coarse, 3, padding=1)
        self.coarse = Stage(coarse, config.decoder_blocks, config.previous_share)
        self.up = nn.Conv2d(coarse, 4 * fine, 1)
        self.fine = Stage(fine, config.decoder_blocks, config.previous_share)
        if half:
            self.up_finest = nn.Conv2d(fine, 4 * half, 1)
            self.finest = Stage(half, config.decoder_half_blocks, previous_share=0.0)
        self.last_shuffle = 2 if half else 4
        self.norm = PixelNorm(half or fine)
        self.out = nn.Conv2d(half or fine, 12 * self.last_shuffle**2, 3, padding=1)
        self.linear = nn.Conv2d(config.latent_channels, PATCH_VALUES, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(
        self, latents: Tensor, frames: int, cache: list[list[Tensor]] | None = None
    ) -> tuple[Tensor, list[list[Tensor]]]:
        """latents [B*T, 16, h, w] -> groups [B*T, 12, 8h, 8w] and the cache for the next chunk."""
        x, coarse = self.coarse(self.stem(latents), frames, None if cache is None else cache[0])
        x = F.pixel_shuffle(self.up(x), 2)
        x, fine = self.fine(x, frames, None if cache is None else cache[1])
        kept = [coarse, fine]
        if self.last_shuffle == 2:
            x = F.pixel_shuffle(self.up_finest(x), 2)
            x, finest = self.finest(x, frames, None if cache is None else cache[2])
            kept.append(finest)
        groups = F.pixel_shuffle(self.out(F.silu(self.norm(x))), self.last_shuffle)
        return groups + F.pixel_shuffle(self.linear(latents), 8), kept


class MiniVAE(nn.Module):
    """``VideoVAE`` of the embedded model; ``latents_mean`` and ``latents_std`` are measured when trained."""

    latents_mean: Tensor
    latents_std: Tensor

    def __init__(self, config: MiniVAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.register_buffer("latents_mean", torch.zeros(config.latent_channels))
        self.register_buffer("latents_std", torch.ones(config.latent_channels))

    def encode_raw(self, video: Tensor) -> Tensor:
        """video [B, 3, 4n+1, 8h, 8w] in [-1, 1] -> unnormalised latents [B, 16, n+1, h, w]."""
        groups, frames = group_pictures(video)
        latents: Tensor = self.encoder(groups, frames)
        return _by_clip(latents, frames).transpose(1, 2)

    def decode_raw(self, latents: Tensor) -> Tensor:
        """Unnormalised latents [B, 16, n+1, h, w] -> video [B, 3, 4n+1, 8h, 8w], not clamped."""
        frames = latents.shape[2]
        groups, _ = self.decoder(latents.transpose(1, 2).flatten(0, 1), frames)
        return ungroup_pictures(groups, frames)[:, :, 3:]

    @torch.no_grad()
    def encode(self, video: Tensor, check: Check = never) -> Tensor:
        """See ``VideoVAE.encode``. One chunk: a 33-frame clip encodes in well under a second."""
        check()
        shape = (1, -1, 1, 1, 1)
        latents = self.encode_raw(video.to(self.latents_mean.device, torch.float32))
        return (latents - self.latents_mean.view(shape)) / self.latents_std.view(shape)

    @torch.no_grad()
    def decode(self, latents: Tensor, check: Check = never) -> Iterator[Tensor]:
        """See ``VideoVAE.decode``. One latent frame at a time with cached activations."""
        shape = (1, -1, 1, 1, 1)
        raw = latents.to(self.latents_mean) * self.latents_std.view(shape) + self.latents_mean.view(shape)
        cache = None
        for index in range(raw.shape[2]):
            check()
            groups, cache = self.decoder(raw[:, :, index], 1, cache)
            pictures = ungroup_pictures(groups, 1).clamp(-1, 1)
            yield pictures[:, :, 3:] if index == 0 else pictures


def group_pictures(video: Tensor) -> tuple[Tensor, int]:
    """[B, 3, 4n+1, H, W] -> ([B*(n+1), 12, H, W], n+1).

    The first picture three more times, then groups of four.
    """
    padded = torch.cat([video[:, :, :1].expand(-1, -1, 3, -1, -1), video], dim=2)
    batch, channels, pictures, height, width = padded.shape
    frames = pictures // 4
    groups = padded.reshape(batch, channels, frames, 4, height, width).permute(0, 2, 3, 1, 4, 5)
    return groups.reshape(batch * frames, 4 * channels, height, width), frames


def ungroup_pictures(groups: Tensor, frames: int) -> Tensor:
    """[B*T, 12, H, W] -> [B, 3, 4T, H, W]."""
    return groups.reshape(-1, 4 * frames, 3, *groups.shape[2:]).transpose(1, 2)


def _by_clip(x: Tensor, frames: int) -> Tensor:
    """[B*T, ...] -> [B, T, ...]."""
    return x.reshape(len(x) // frames, frames, *x.shape[1:])
