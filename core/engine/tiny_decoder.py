"""A tiny decoder of Wan 2.1's latents ("taew2.1"): plain 2D convolutions that remember one frame.

Structure, key names and scaling as in madebyollin/taehv ``taehv.py`` (commit 1f14a56, class ``TAEHV``; MIT):
it takes latents as our pipeline has them, normalised by channel, and gives RGB in [0, 1]. Its file also has
an encoder, which nothing here needs.

Three stages, each of three residual blocks, double the size; the second and the third double the rate, too.
A block sees a frame and the one before it, nothing before the first; so decoding in chunks is exact, and a
later frame changes no earlier one. The first three pictures belong to no frame and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engine.interfaces import Check, never
from core.engine.loading.companions import fill, read_tensors
from core.engine.uninitialised import on_meta

LATENT_CHANNELS: Final = 16
WIDTHS: Final = (256, 128, 64, 64)
BLOCKS: Final = 3
# Latents beyond about 3 standard deviations are pressed together before the first convolution.
_LIMIT: Final = 3.0
_ENCODER: Final = "encoder."
_LAST_SPREAD: Final = "decoder.19.conv.weight"


class SoftClamp(nn.Module):
    """3 tanh(x / 3)."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> same shape."""
        return torch.tanh(x / _LIMIT) * _LIMIT


class RememberingBlock(nn.Module):
    """Residual block over a frame and the one before it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """x and what came before it, [N, C, H, W] each -> same shape."""
        return F.relu(self.conv(torch.cat([x, before], dim=1)) + x)


class Spread(nn.Module):
    """One frame becomes ``factor`` frames."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.conv = nn.Conv2d(channels, factor * channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B*n, C, H, W] -> [B*n*factor, C, H, W]."""
        spread: Tensor = self.conv(x)
        return spread.reshape(-1, x.shape[1], *x.shape[2:])


class TinyDecoder(nn.Module):
    """Decodes like a ``VideoVAE``; built with the layers' published numbers as names.

    Args:
        half_size: leave out the last doubling of size and rate. The layers are the same, the pictures half as
            wide and half as many: enough for a preview.
    """

    def __init__(self, half_size: bool = False) -> None:
        super().__init__()
        self.rate = 2 if half_size else 4  # pictures for a latent frame
        stem = nn.Conv2d(LATENT_CHANNELS, WIDTHS[0], 3, padding=1)
        layers: list[nn.Module] = [SoftClamp(), stem, nn.ReLU()]
        for stage, (width, following) in enumerate(pairwise(WIDTHS)):
            halved = half_size and stage == len(WIDTHS) - 2
            layers += [RememberingBlock(width) for _ in range(BLOCKS)]
            layers += [nn.Upsample(scale_factor=1 if halved else 2)]
            layers += [Spread(width, 1 if stage == 0 or halved else 2)]
            layers += [nn.Conv2d(width, following, 3, padding=1, bias=False)]
        layers += [nn.ReLU(), nn.Conv2d(WIDTHS[-1], 3, 3, padding=1)]
        self.decoder = nn.Sequential(*layers)

    @torch.no_grad()
    def decode(self, latents: Tensor, check: Check = never) -> Iterator[Tensor]:
        """Normalised latents [B, 16, n+1, h, w] -> chunks of pictures in [-1, 1], float32.

        The first is [B, 3, 1, 8h, 8w], the others are [B, 3, 4, 8h, 8w]; with ``half_size`` one or two of
        half the size. ``check`` is called before each chunk.
        """
        weight = next(self.parameters())
        memory: dict[int, Tensor] = {}
        for index in range(latents.shape[2]):
            check()
            frames = self._chunk(latents[:, :, index].to(weight), memory).float()
            pictures = by_clip(frames, len(latents)).transpose(1, 2).clamp(0, 1) * 2 - 1
            yield pictures[:, :, self.rate - 1 :] if index == 0 else pictures

    def _chunk(self, latents: Tensor, memory: dict[int, Tensor]) -> Tensor:
        """One latent frame [B, 16, h, w] -> [B*rate, 3, H, W]; ``memory`` has each block's last input."""
        batch, x = len(latents), latents
        for number, layer in enumerate(self.decoder):
            if not isinstance(layer, RememberingBlock):
                x = layer(x)
                continue
            clips = by_clip(x, batch)
            last = memory.get(number)
            first = torch.zeros_like(clips[:, :1]) if last is None else last
            memory[number] = clips[:, -1:].clone()
            x = layer(x, torch.cat([first, clips[:, :-1]], dim=1).flatten(0, 1))
        return x


def by_clip(frames: Tensor, batch: int) -> Tensor:
    """[B*n, ...] -> [B, n, ...]."""
    return frames.reshape(batch, -1, *frames.shape[1:])


def load_tiny_decoder(
    path: Path, device: torch.device, dtype: torch.dtype = torch.float32, half_size: bool = False
) -> TinyDecoder:
    """From a safetensors file in the published layout; strict but for the encoder.

    Raises:
        BadCheckpoint: the file is damaged, or no such decoder.
    """
    with on_meta():
        model = TinyDecoder(half_size)
    state = read_tensors(path, dtype)
    if half_size and _LAST_SPREAD in state:
        # A frame that is not spread any more is the last of those that it would become.
        state[_LAST_SPREAD] = state[_LAST_SPREAD][-WIDTHS[-2] :]
    fill(model, state, path.name, ignored=(_ENCODER,))
    return model.to(device).eval().requires_grad_(False)
