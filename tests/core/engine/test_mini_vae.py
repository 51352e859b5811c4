"""The embedded model's autoencoder: shapes, causality, and decoding in chunks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from core.engine.models.mini_vae import MiniVAE, MiniVAEConfig, group_pictures, ungroup_pictures
from core.errors import Cancelled

FIRST = MiniVAEConfig(8, 12, 2, 8, 12, 2)
SECOND = replace(FIRST, decoder_half=8, decoder_half_blocks=2, previous_share=0.25)


@pytest.fixture(params=[FIRST, SECOND], ids=["first", "second"])
def vae(request: pytest.FixtureRequest) -> MiniVAE:
    """All weights random, also those that a new model sets to zero, so that every path carries something."""
    torch.manual_seed(1)
    vae = MiniVAE(request.param).eval()
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.normal_(0, 0.15)
        vae.latents_mean.normal_(0, 0.5)
        vae.latents_std.uniform_(0.5, 2)
    return vae


def video(frames: int, height: int = 32, width: int = 48) -> Tensor:
    return torch.rand(1, 3, frames, height, width, generator=torch.Generator().manual_seed(frames)) * 2 - 1


@pytest.mark.parametrize("frames", [1, 5, 33])
def test_shapes(vae: MiniVAE, frames: int) -> None:
    latents = vae.encode(video(frames))
    assert latents.shape == (1, 16, (frames - 1) // 4 + 1, 4, 6)
    assert latents.dtype == torch.float32
    chunks = list(vae.decode(latents))
    assert [chunk.shape[2] for chunk in chunks] == [1] + [4] * ((frames - 1) // 4)
    assert torch.cat(chunks, dim=2).shape == (1, 3, frames, 32, 48)


def test_chunked_decode_equals_whole_decode(vae: MiniVAE) -> None:
    latents = torch.randn(2, 16, 4, 4, 6, generator=torch.Generator().manual_seed(2))
    shape = (1, -1, 1, 1, 1)
    with torch.no_grad():
        whole = vae.decode_raw(latents * vae.latents_std.view(shape) + vae.latents_mean.view(shape))
    chunked = torch.cat(list(vae.decode(latents)), dim=2)
    assert torch.allclose(chunked, whole.clamp(-1, 1), atol=1e-5)
    assert (chunked.abs() < 1).any()


def test_decode_needs_its_past(vae: MiniVAE) -> None:
    """Otherwise the cache that chunked decoding keeps would not be tested by anything."""
    latents = torch.randn(1, 16, 2, 4, 6, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        alone, after = vae.decode_raw(latents[:, :, 1:]), vae.decode_raw(latents)
    assert not torch.allclose(alone[:, :, -1], after[:, :, -1], atol=1e-3)


def test_a_picture_is_the_first_latent_frame_of_its_video(vae: MiniVAE) -> None:
    clip = video(9)
    assert torch.allclose(vae.encode(clip[:, :, :1]), vae.encode(clip)[:, :, :1], atol=1e-5)


def test_later_pictures_leave_earlier_latents_alone(vae: MiniVAE) -> None:
    clip, changed = video(9), video(9)
    changed[:, :, 5:] = -changed[:, :, 5:]
    before, after = vae.encode(clip), vae.encode(changed)
    assert torch.allclose(before[:, :, :2], after[:, :, :2], atol=1e-6)
    assert not torch.allclose(before[:, :, 2], after[:, :, 2], atol=1e-3)


def test_latents_are_normalised_by_the_stored_statistics(vae: MiniVAE) -> None:
    with torch.no_grad():
        raw = vae.encode_raw(video(5))
    expected = (raw - vae.latents_mean.view(1, -1, 1, 1, 1)) / vae.latents_std.view(1, -1, 1, 1, 1)
    assert torch.allclose(vae.encode(video(5)), expected)


def test_grouping_is_undone() -> None:
    clip = video(9)
    groups, frames = group_pictures(clip)
    assert (groups.shape[1], frames) == (12, 3)
    assert torch.equal(ungroup_pictures(groups, frames)[:, :, 3:], clip)


def test_cancel_between_chunks(vae: MiniVAE) -> None:
    asked: list[int] = []

    def check() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise Cancelled

    decoded = vae.decode(torch.zeros(1, 16, 5, 4, 6), check)
    next(decoded), next(decoded)
    with pytest.raises(Cancelled):
        next(decoded)
