"""The VAE's training: it learns, and goes on where it stopped."""

from __future__ import annotations

import itertools
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_runs import CPU, TINY_VAE, VAERun

from core.engine.models.mini_vae import MiniVAE
from core.training import checkpoint
from core.training.train_vae import VAETraining, loss_of, train
from core.training.vae_pool import Crops, Pool, cut, draw_pool, set_linear_path, weights


def drawn(settings: VAETraining) -> Pool:
    return draw_pool(settings.crops, settings.recipe, settings.seed * 100_000, None, CPU)


def loss_on_fixed_crops(vae: MiniVAE, settings: VAETraining) -> float:
    torch.manual_seed(5)
    pictures, weight = cut(drawn(settings), settings.crops, torch.Generator().manual_seed(5))
    with torch.no_grad():
        return float(loss_of(vae, pictures, weight, settings.noise))


def untrained(settings: VAETraining) -> MiniVAE:
    torch.manual_seed(settings.seed)
    vae = MiniVAE(TINY_VAE)
    generator = torch.Generator().manual_seed(1)
    set_linear_path(vae, drawn(settings), settings.pca_clips, settings.pca_patches, generator)
    return vae


def test_training_lowers_the_loss_below_the_pca_s(vae_run: VAERun, vae_settings: VAETraining) -> None:
    before = loss_on_fixed_crops(untrained(vae_settings), vae_settings)
    assert loss_on_fixed_crops(vae_run.vae, vae_settings) < 0.95 * before
    assert vae_run.record["step"] == 24
    assert vae_run.record["finished"]
    assert len(vae_run.record["losses"]) == 3
    assert vae_run.record["scores"]["psnr"] > 15


def test_latents_are_normalised(vae_run: VAERun, vae_settings: VAETraining) -> None:
    pool = drawn(vae_settings)
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


def test_a_last_piece_brings_the_learning_rate_down_and_ends_the_run(
    vae_settings: VAETraining, tmp_path: Path
) -> None:
    ticks = itertools.count()
    _, record = train(
        vae_settings, TINY_VAE, tmp_path, None, CPU, 40.0, lambda: float(next(ticks)), ends="piece"
    )
    assert record["finished"]
    assert 5 <= record["step"] < 40


def test_crops_are_pieces_of_their_clips() -> None:
    """Pictures say where they are from: red the row, green the column, blue clip and time."""
    clips, times, side, crop = 3, 9, 40, 16
    rows = torch.arange(side).view(1, 1, 1, side, 1).expand(clips, 1, times, side, side)
    blue = 20 * torch.arange(clips).view(-1, 1, 1, 1, 1) + torch.arange(times).view(1, 1, -1, 1, 1)
    video = torch.cat([rows, rows.mT, blue.expand(rows.shape)], dim=1).to(torch.uint8)
    mask = torch.zeros(clips, times, side, side, dtype=torch.bool)
    mask[1] = True
    pool = Pool(video, 255 - video, mask, torch.full((clips, times, 2), 20.0))
    crops = Crops(crops=8, pose_share=0.25, crop=crop, frames=5)
    pictures, _ = cut(pool, crops, torch.Generator().manual_seed(3))
    assert pictures.shape == (8, 3, 5, crop, crop)
    shown = ((pictures + 1) * 127.5).round().long()
    shown[:2] = 255 - shown[:2]
    for red, green, blue in shown:
        y, x, t = (int(part[0, 0, 0]) for part in (red, green, blue))
        assert torch.equal(red, (y + torch.arange(crop)).view(1, -1, 1).expand_as(red))
        assert torch.equal(green, (x + torch.arange(crop)).expand_as(green))
        assert torch.equal(blue, (t + torch.arange(5)).view(-1, 1, 1).expand_as(blue))
    assert len(set(shown[:, 2, 0, 0, 0].tolist())) > 3


def test_pixels_count_more_near_the_person_and_where_something_moves() -> None:
    crops = Crops(body=2.0, motion=3.0)
    pictures = torch.zeros(1, 3, 4, 32, 32)
    pictures[:, :, 2:, 24:, 24:] = 1
    near = torch.zeros(1, 4, 32, 32, dtype=torch.bool)
    near[:, :, :8, :8] = True
    weight = weights(pictures, near, crops)
    assert weight.shape == (1, 1, 4, 32, 32)
    assert weight.mean() == pytest.approx(1)
    still, person, moving = weight[0, 0, 2, 16, 2], weight[0, 0, 2, 4, 4], weight[0, 0, 2, 28, 28]
    assert person / still == pytest.approx(3)
    assert moving / still == pytest.approx(4)
    assert weight[0, 0, 3, 28, 28] == still
