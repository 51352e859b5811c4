"""A training batch is conditioned as the product's pipeline would condition the same clip."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor

from core.engine.conditioning import build_conditions
from core.engine.interfaces import Hooks, ModelBundle, ModelSpec
from core.engine.models.mini_encoders import PatchImageEncoder, WordHashEncoder
from core.engine.models.mini_vae import MiniVAE, MiniVAEConfig
from core.training.clips import ClipRecipe, Clips, make_clips
from core.training.latents import LatentPool, black_latent, conditions_of, encode_clips, visibility

SIDE, FRAMES = 64, 9


@pytest.fixture(scope="module")
def vae() -> MiniVAE:
    """Latents of about unit size, as a trained one has."""
    torch.manual_seed(3)
    vae = MiniVAE(MiniVAEConfig(8, 16, 1, 8, 16, 1)).eval().requires_grad_(False)
    vae.latents_std.fill_(0.4)
    return vae


@pytest.fixture(scope="module")
def clips() -> Clips:
    return make_clips(8, 2, ClipRecipe(SIDE, SIDE, FRAMES, misaligned=0.5), None, negatives=True)


@pytest.fixture(scope="module")
def pool(clips: Clips, vae: MiniVAE) -> LatentPool:
    return encode_clips(clips, vae)


def picture(frames: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """[3, ...] -> [..., 3]."""
    return frames.movedim(0, -1).contiguous().numpy()


@pytest.mark.parametrize("index", [0, 1])
def test_conditions_equal_the_pipeline_s(clips: Clips, vae: MiniVAE, pool: LatentPool, index: int) -> None:
    images, words = PatchImageEncoder(), WordHashEncoder()
    bundle = ModelBundle(
        ModelSpec("tiny", SIDE * SIDE, FRAMES, SIDE * SIDE), torch.nn.Identity(), vae, words, images
    )
    assert clips.negative is not None
    product = build_conditions(
        bundle,
        picture(clips.video[index, :, 0]),
        picture(clips.pose[index]),
        picture(clips.negative[index]),
        clips.captions[index],
        None,
        SIDE * SIDE,
        Hooks(),
    )
    for condition, expected in (
        (pool.pose, product.condition),
        (pool.negative, product.condition_null),
    ):
        given = conditions_of(pool, condition, images)
        assert expected is not None
        # The pool keeps 8 significant bits of a latent, and the pictures for the image encoder as bytes.
        assert torch.allclose(given.condition[index], expected, rtol=0.01, atol=0.02)
        for name in ("y", "ref_x", "ref_c"):
            assert torch.allclose(getattr(given, name)[index], getattr(product, name), rtol=0.01, atol=0.02)
        for name in ("clip_x", "clip_c"):
            assert torch.allclose(getattr(given, name)[index], getattr(product, name), atol=0.01)
        count = len(product.text)
        assert torch.allclose(given.text[index, :count], product.text, rtol=0.01)
        assert not given.text[index, count:].any()
    assert (product.condition - pool.negative[index].float()).abs().max() > 0.5


def test_the_black_latent_is_that_of_nobody(vae: MiniVAE, pool: LatentPool) -> None:
    black = black_latent(vae, pool, FRAMES)
    assert black.shape == pool.pose.shape[1:]
    again = vae.encode(torch.full((1, 3, FRAMES, SIDE, SIDE), -1.0))[0]
    assert torch.equal(black, again.bfloat16())


def test_the_person_is_where_the_loss_weighs_more(clips: Clips, pool: LatentPool) -> None:
    assert pool.moving.shape == (2, 3, SIDE // 8, SIDE // 8)
    patches = clips.mask.reshape(2, FRAMES, 8, 8, 8, 8).any(dim=-1).any(dim=3)
    assert torch.equal(pool.moving[:, 0], patches[:, 0])
    for frame, pictures in ((1, slice(1, 5)), (2, slice(5, 9))):
        assert torch.equal(pool.moving[:, frame], patches[:, pictures].any(dim=1) | patches[:, 0])
    assert 0.05 < pool.moving.float().mean() < 0.9


def test_pools_join_and_replace(pool: LatentPool) -> None:
    joined = pool.join(pool.take(torch.tensor([1])))
    assert len(joined) == 3
    joined.replace(0, pool.take(torch.tensor([1])))
    for row in range(3):
        assert torch.equal(joined.video[row], pool.video[1])
        assert torch.equal(joined.text[row], pool.text[1])


def test_visibility_is_what_a_channel_changes(vae: MiniVAE, pool: LatentPool) -> None:
    latents = pool.video.float()
    shown = visibility(vae, latents)
    assert shown.mean() == pytest.approx(1.0)
    assert torch.equal(shown, visibility(vae, latents))
    muted = copy.deepcopy(vae)
    muted.latents_std[3] = 0
    without = visibility(muted, latents)
    assert without[3] == 0 < shown[3]
    assert without.mean() == pytest.approx(1.0)
