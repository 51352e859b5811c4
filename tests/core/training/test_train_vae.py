"""The VAE's training: it learns, and goes on where it stopped."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from runs import CPU, TINY_VAE, VAERun

from core.engine.models.mini_vae import MiniVAE
from core.training import checkpoint
from core.training.train_vae import VAETraining, cut, draw_pool, loss_of, set_linear_path, train


def loss_on_fixed_crops(vae: MiniVAE, settings: VAETraining) -> float:
    pool = draw_pool(settings, None, CPU)
    torch.manual_seed(5)
    pictures, weight = cut(pool, settings, torch.Generator().manual_seed(5))
    with torch.no_grad():
        return float(loss_of(vae, pictures, weight, settings.noise))


def untrained(settings: VAETraining) -> MiniVAE:
    torch.manual_seed(settings.seed)
    vae = MiniVAE(TINY_VAE)
    set_linear_path(vae, draw_pool(settings, None, CPU), settings, torch.Generator().manual_seed(1))
    return vae


def test_training_lowers_the_loss_below_the_pca_s(vae_run: VAERun, vae_settings: VAETraining) -> None:
    before = loss_on_fixed_crops(untrained(vae_settings), vae_settings)
    assert loss_on_fixed_crops(vae_run.vae, vae_settings) < 0.95 * before
    assert vae_run.record["step"] == 24
    assert vae_run.record["finished"]
    assert len(vae_run.record["losses"]) == 3
    assert vae_run.record["scores"]["psnr"] > 15


def test_latents_are_normalised(vae_run: VAERun, vae_settings: VAETraining) -> None:
    pool = draw_pool(vae_settings, None, CPU)
    latents = torch.cat([vae_run.vae.encode(clip[None].float() / 127.5 - 1) for clip in pool.video])
    assert latents.mean(dim=(0, 2, 3, 4)).abs().max() < 1e-3
    assert torch.allclose(latents.std(dim=(0, 2, 3, 4)), torch.ones(16), atol=1e-3)


def test_a_finished_run_keeps_its_weights(vae_run: VAERun, vae_settings: VAETraining, tmp_path: Path) -> None:
    folder = tmp_path / "vae"
    shutil.copytree(vae_run.folder, folder)
    vae, record = train(vae_settings, TINY_VAE, folder, None, CPU, math.inf)
    assert record["step"] == 24
    assert record["losses"] == vae_run.record["losses"]
    for name, value in vae_run.vae.named_parameters():
        assert torch.equal(vae.get_parameter(name).half(), value.half())


def test_a_stopped_run_goes_on(vae_run: VAERun, vae_settings: VAETraining, tmp_path: Path) -> None:
    folder = tmp_path / "vae"
    shutil.copytree(vae_run.folder, folder)
    longer = replace(vae_settings, steps=40)
    vae, record = train(longer, TINY_VAE, folder, None, CPU, math.inf)
    assert record["step"] == 40
    assert record["losses"][:3] == vae_run.record["losses"]
    assert len(record["losses"]) == 5
    assert record["seconds"] > vae_run.record["seconds"]
    assert loss_on_fixed_crops(vae, longer) < loss_on_fixed_crops(vae_run.vae, longer)
    saved = checkpoint.load(folder)
    assert saved is not None
    assert saved[1]["step"] == 40
    for name, value in vae.state_dict().items():
        assert torch.equal(saved[0][name], value.half().float())
