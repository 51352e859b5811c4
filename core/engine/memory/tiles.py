"""The video autoencoder in overlapping tiles, so that its peak memory does not grow with the picture.

Each tile is a picture of its own: it goes through all of time with its own causal features, then the next
one follows. Only the blended result is kept for the whole picture (decoded: in host memory), not the features
of all tiles, which would be many times larger. Where tiles overlap they are mixed linearly.

What a tile cannot see: pixels beyond its edge (its outer part is mixed away) and, for the attention in the
middle of Wan's autoencoder, the rest of the picture. So tiles are close to the whole, not equal to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from core.engine.interfaces import Check, VideoVAE, never
from core.engine.video_pieces import encode_still
from core.errors import BadSetting
from core.geometry import TEMPORAL_STRIDE, VAE_STRIDE

OVERLAP = 64
"""Pixels that neighbouring tiles share, at least; docs/benchmarks.md has the differences that it leaves."""


@dataclass(frozen=True)
class Span:
    """The cells ``start`` to ``stop`` of one axis."""

    start: int
    stop: int

    def times(self, scale: int) -> slice:
        """The same in units ``scale`` times finer."""
        return slice(scale * self.start, scale * self.stop)


def layout(size: int, tile: int, overlap: int) -> tuple[Span, ...]:
    """As few equal spans as ``tile`` allows, as short as can be, over ``size``, sharing ``overlap``."""
    count = 1 if size <= tile else math.ceil((size - overlap) / (tile - overlap))
    length = math.ceil((size + (count - 1) * overlap) / count)
    starts = [index * (size - length) // max(1, count - 1) for index in range(count)]
    return tuple(Span(start, start + length) for start in starts)


def weights(spans: tuple[Span, ...], overlap: int, scale: int = 1) -> list[Tensor]:
    """For each span its cells' shares, rising and falling linearly over ``overlap``; together one everywhere.

    Args:
        scale: how many cells of the result one cell of ``spans`` and ``overlap`` is.
    """
    length, ramp = scale * (spans[0].stop - spans[0].start), scale * overlap + 1
    cells = torch.arange(length, dtype=torch.float64)
    ones = torch.ones_like(cells)
    shares = []
    for index in range(len(spans)):
        rising = (cells + 1) / ramp if index else ones
        falling = (length - cells) / ramp if index < len(spans) - 1 else ones
        shares.append(torch.minimum(rising, falling).clamp(max=1))
    total = torch.zeros(scale * spans[-1].stop, dtype=torch.float64)
    for span, share in zip(spans, shares, strict=True):
        total[span.times(scale)] += share
    return [(share / total[span.times(scale)]).float() for span, share in zip(spans, shares, strict=True)]


@dataclass(frozen=True)
class Tile:
    """Rows and columns in latent cells, and the mask [rows, columns] of the result's cells."""

    rows: Span
    columns: Span
    mask: Tensor


class TiledVAE:
    """``VideoVAE`` that gives another one tiles of at most ``tile`` x ``tile`` pixels.

    Args:
        vae: encodes and decodes one tile.
        tile: side in pixels, a multiple of 8.
        overlap: pixels that neighbours share at least, a multiple of 8.

    Raises:
        BadSetting: a tile that is no multiple of 8 or smaller than twice its overlap.
    """

    def __init__(self, vae: VideoVAE, tile: int, overlap: int = OVERLAP) -> None:
        if tile % VAE_STRIDE or overlap % VAE_STRIDE or overlap < 0 or tile < 2 * max(overlap, VAE_STRIDE):
            raise BadSetting(
                f"A tile of the video autoencoder cannot be {tile} pixels large.",
                value=tile,
                limit=f"a multiple of {VAE_STRIDE}, at least {2 * overlap}",
                action="Choose a larger tile.",
            )
        self.vae = vae
        self._tile, self._overlap = tile // VAE_STRIDE, overlap // VAE_STRIDE

    def encode(self, video: Tensor, check: Check = never) -> Tensor:
        """See ``VideoVAE``."""
        return self._encode(video, check, self.vae.encode)

    def encode_still(self, picture: Tensor, frames: int, check: Check = never) -> Tensor:
        """See ``EncodesStill``."""
        return self._encode(picture, check, lambda part, seldom: encode_still(self.vae, part, frames, seldom))

    def _encode(self, whole: Tensor, check: Check, encode: Callable[[Tensor, Check], Tensor]) -> Tensor:
        """Tiles of pictures [..., 8h, 8w], each encoded to [B, 16, n+1, rows, columns]."""
        height, width = (side // VAE_STRIDE for side in whole.shape[-2:])
        tiles = self._tiles(height, width, scale=1)
        if len(tiles) == 1:
            return encode(whole, check)
        seldom = every(len(tiles), check)
        latents: Tensor | None = None
        for tile in tiles:
            part = encode(whole[..., tile.rows.times(VAE_STRIDE), tile.columns.times(VAE_STRIDE)], seldom)
            latents = part.new_zeros(*part.shape[:3], height, width) if latents is None else latents
            latents[..., tile.rows.times(1), tile.columns.times(1)] += part * tile.mask.to(part)
        assert latents is not None
        return latents

    def decode(self, latents: Tensor, check: Check = never) -> Iterator[Tensor]:
        """See ``VideoVAE``. The first chunk comes when all tiles are decoded.

        The pictures wait in host memory as float32: 12 bytes for each pixel of each picture.
        """
        tiles = self._tiles(latents.shape[3], latents.shape[4], scale=VAE_STRIDE)
        if len(tiles) == 1:
            yield from self.vae.decode(latents, check)
            return
        pictures = self._decode_tiles(latents, tiles, every(len(tiles), check))
        yield pictures[:, :, :1]
        for start in range(1, pictures.shape[2], TEMPORAL_STRIDE):
            yield pictures[:, :, start : start + TEMPORAL_STRIDE]

    def _decode_tiles(self, latents: Tensor, tiles: list[Tile], check: Check) -> Tensor:
        batch, _, steps, height, width = latents.shape
        frames = TEMPORAL_STRIDE * (steps - 1) + 1
        pictures = torch.zeros(batch, 3, frames, VAE_STRIDE * height, VAE_STRIDE * width)
        for tile in tiles:
            target = pictures[..., tile.rows.times(VAE_STRIDE), tile.columns.times(VAE_STRIDE)]
            start = 0
            for chunk in self.vae.decode(latents[..., tile.rows.times(1), tile.columns.times(1)], check):
                stop = start + chunk.shape[2]
                target[:, :, start:stop] += (chunk.float() * tile.mask.to(chunk.device)).cpu()
                start = stop
        return pictures

    def _tiles(self, height: int, width: int, scale: int) -> list[Tile]:
        rows, columns = (layout(side, self._tile, self._overlap) for side in (height, width))
        shares = (weights(spans, self._overlap, scale) for spans in (rows, columns))
        masks = [above[:, None] * left[None, :] for above, left in product(*shares)]
        return [Tile(*spans, mask) for spans, mask in zip(product(rows, columns), masks, strict=True)]


def every(count: int, check: Check) -> Check:
    """A check that passes on the first of every ``count`` calls, so that tiles count like whole pictures."""
    calls = 0

    def seldom() -> None:
        nonlocal calls
        if calls % count == 0:
            check()
        calls += 1

    return seldom
