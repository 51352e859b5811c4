"""Sharpening: the decoder alone learns, towards the wanted sharpness, and goes on where it stopped."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_runs import CPU, VAERun

from core.training import checkpoint
from core.training.carry import carry
from core.training.critic import Critic, critic_loss, patch_weights
from core.training.sharpen_vae import Sharpening, train
from core.training.train_vae import VAETraining
from core.training.vae_files import load_vae
from core.training.vae_scores import sharpness


@pytest.fixture(scope="module")
def settings(vae_settings: VAETraining) -> Sharpening:
    return Sharpening(
        crops=vae_settings.crops,
        recipe=vae_settings.recipe,
        steps=12,
        seconds=1e9,
        alone=3,
        rise=3,
        log_every=4,
        unseen=1,
        lr=1e-3,
    )


def test_the_decoder_alone_changes_and_a_run_goes_on(
    vae_run: VAERun, settings: Sharpening, tmp_path: Path
) -> None:
    before = load_vae(vae_run.folder, CPU)
    vae, record = train(settings, load_vae(vae_run.folder, CPU), tmp_path, None, CPU, math.inf)
    assert record["step"] == 12
    assert len(record["losses"]) == 3
    figures = (*record["losses"], *record["scores"].values(), record["gain"])
    assert all(math.isfinite(figure) for figure in figures)
    old, new = before.state_dict(), vae.state_dict()
    for name, value in new.items():
        assert torch.equal(value, old[name]) != name.startswith("decoder."), name
    # A tiny decoder is too soft, so the critic counts more and more.
    assert record["gain"] > 0.3
    loaded = load_vae(tmp_path, CPU).state_dict()
    for name, value in new.items():
        assert torch.allclose(loaded[name], value, rtol=2e-3, atol=2e-3)

    size = carry(tmp_path, tmp_path / "light")
    assert size < sum(path.stat().st_size for path in tmp_path.glob("*.safetensors"))
    longer = replace(settings, steps=16)
    _, record = train(longer, load_vae(vae_run.folder, CPU), tmp_path / "light", None, CPU, math.inf)
    assert record["step"] == 16
    assert len(record["losses"]) == 4
    saved = checkpoint.load(tmp_path / "light")
    assert saved is not None
    assert saved[1]["gain"] == record["gain"]


def test_a_critic_learns_to_tell_blurred_pictures_from_sharp_ones() -> None:
    torch.manual_seed(1)
    critic = Critic()
    optimizer = torch.optim.AdamW(critic.parameters(), 2e-3)
    losses = []
    for _ in range(12):
        sharp = torch.randn(2, 3, 3, 16, 16).sign()
        soft = torch.nn.functional.avg_pool3d(sharp, (1, 3, 3), 1, (0, 1, 1))
        votes, fakes = critic(sharp)[0], critic(soft)[0]
        loss = critic_loss(votes, fakes, patch_weights(torch.ones(2, 1, 3, 16, 16), votes))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert votes.shape == (4, 1, 2, 2)
    assert losses[-1] < 0.7 * losses[0]


def test_sharpness_is_the_share_of_the_original_s_fine_detail() -> None:
    true = torch.randn(3, 2, 16, 16)
    everywhere = torch.ones(2, 16, 16, dtype=torch.bool)
    assert sharpness(true, true, everywhere) == pytest.approx(1)
    assert sharpness(0.5 * true, true, everywhere) == pytest.approx(0.25)
