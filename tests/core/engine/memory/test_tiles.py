"""The video autoencoder in tiles: they cover the picture, fit together, and count and cancel as the whole."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.engine.interfaces import Check, never
from core.engine.memory.tiles import OVERLAP, TiledVAE, layout, weights
from core.engine.models.wan_vae import WanVAE
from core.errors import BadSetting, Cancelled
from core.evaluation.golden.kind_vae import golden_vae
from core.evaluation.memory_peaks.forwards import Clip
from core.evaluation.memory_peaks.pictures import psnr, smooth_video
from tests.core.engine.tiny_wan import Watcher, golden

FILE = golden("vae_a")


class PatchVAE:
    """An autoencoder without any view beyond a patch of 8x8 pixels: tiles must change nothing."""

    def encode(self, video: Tensor, check: Check = never) -> Tensor:
        """Means of the patches of every fourth picture, 16 times."""
        for _ in range(0, video.shape[2], 4):
            check()
        return F.avg_pool3d(video, (1, 8, 8))[:, :, ::4].mean(1, keepdim=True).repeat(1, 16, 1, 1, 1)

    def decode(self, latents: Tensor, check: Check = never) -> Iterator[Tensor]:
        """Flat patches."""
        for index in range(latents.shape[2]):
            check()
            count = 4 if index else 1
            yield F.interpolate(latents[:, :3, index : index + 1], scale_factor=(count, 8, 8))


@pytest.fixture(scope="module")
def vae() -> WanVAE:
    return golden_vae(FILE, FILE.config, "sd.")


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 200), tile=st.integers(2, 90), overlap=st.integers(0, 45))
def test_tiles_cover_all_share_enough_and_their_weights_add_up_to_one(
    size: int, tile: int, overlap: int
) -> None:
    overlap = min(overlap, tile // 2)
    spans = layout(size, tile, overlap)
    assert spans[0].start == 0
    assert spans[-1].stop == size
    assert len({span.stop - span.start for span in spans}) == 1
    assert spans[0].stop <= tile
    assert all(a.stop - b.start >= overlap for a, b in pairwise(spans))
    for scale in (1, 8):
        total = torch.zeros(scale * size)
        for span, share in zip(spans, weights(spans, overlap, scale), strict=True):
            assert bool((share > 0).all())
            total[span.times(scale)] += share
        assert torch.allclose(total, torch.ones_like(total))


def test_no_more_tiles_and_no_larger_ones_than_needed() -> None:
    assert [(span.start, span.stop) for span in layout(128, 64, 8)] == [(0, 48), (40, 88), (80, 128)]
    assert [(span.start, span.stop) for span in layout(64, 64, 8)] == [(0, 64)]


def test_tiles_of_patches_equal_the_whole() -> None:
    video = noise(1, 3, 9, 136, 200)
    plain, tiled = PatchVAE(), TiledVAE(PatchVAE(), 64, 16)
    latents = plain.encode(video)
    assert torch.allclose(tiled.encode(video), latents, atol=1e-6)
    whole, parts = list(plain.decode(latents)), list(tiled.decode(latents))
    assert [part.shape for part in parts] == [part.shape for part in whole]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(whole, parts, strict=True))


def test_one_tile_is_the_whole(vae: WanVAE) -> None:
    video = noise(1, 3, 5, 64, 48)
    tiled = TiledVAE(vae, 128)
    latents = vae.encode(video)
    assert torch.equal(tiled.encode(video), latents)
    assert all(torch.equal(a, b) for a, b in zip(vae.decode(latents), tiled.decode(latents), strict=True))


def test_wans_tiles_are_close_to_the_whole(vae: WanVAE) -> None:
    """Random weights spread what a pixel sees much further than trained ones do."""
    video = smooth_video(Clip(160, 96, 5))
    tiled = TiledVAE(vae, 128)
    latents = vae.encode(video)
    encoded, decoded = tiled.encode(video), torch.cat(list(tiled.decode(latents)), dim=2)
    assert float((encoded - latents).norm() / latents.norm()) < 0.06
    assert psnr(decoded, torch.cat(list(vae.decode(latents)), dim=2)) > 24


def test_tiles_check_as_often_as_the_whole_and_can_be_cancelled() -> None:
    tiled = TiledVAE(PatchVAE(), 64, 16)
    video = noise(1, 3, 9, 128, 128)
    watcher = Watcher()
    latents = tiled.encode(video, watcher.check)
    assert watcher.checks == 3
    list(tiled.decode(latents, watcher.check))
    assert watcher.checks == 6
    with pytest.raises(Cancelled):
        tiled.encode(video, Watcher(cancel_at=3).check)
    with pytest.raises(Cancelled):
        next(tiled.decode(latents, Watcher(cancel_at=2).check))


@pytest.mark.parametrize("tile", [0, 100, OVERLAP, -128])
def test_a_tile_that_is_too_small_or_no_multiple_of_8_is_refused(tile: int) -> None:
    with pytest.raises(BadSetting, match="tile"):
        TiledVAE(PatchVAE(), tile)
