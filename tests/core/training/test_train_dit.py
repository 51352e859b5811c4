"""The transformer's training: it learns, goes on where it stopped, and sees black and negative poses."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import CPU, VAERun
from torch import Tensor

from core.engine.models.mini import read_config, transformer_config, write_mini
from core.engine.models.mini_encoders import PatchImageEncoder
from core.engine.models.mini_vae import MiniVAE
from core.engine.models.transformer import SteadyDancerTransformer
from core.errors import BadInput
from core.training import checkpoint, train_dit
from core.training.clips import Clips, make_clips
from core.training.export import export
from core.training.latents import LatentPool, black_latent
from core.training.train_dit import (
    AVERAGED,
    RAW,
    ClipStream,
    DiTTraining,
    choose_condition,
    first_model,
    flow_loss,
    load_vae,
    named,
    train,
)


def tiny_transformer() -> SteadyDancerTransformer:
    torch.manual_seed(6)
    return SteadyDancerTransformer(transformer_config(dim=48, num_heads=2, num_layers=1, ffn_dim=64))


@dataclass(frozen=True)
class DiTRun:
    """A first piece of a run: its folder, the averaged weights, the model in memory and the record."""

    folder: Path
    averaged: dict[str, Tensor]
    model: SteadyDancerTransformer
    record: dict[str, Any]


@pytest.fixture(scope="module")
def vae(vae_run: VAERun) -> MiniVAE:
    return load_vae(vae_run.folder, CPU)


def counted_seconds() -> Callable[[], float]:
    """A clock that moves on by one second whenever it is read."""
    ticks = iter(range(10**6))
    return lambda: float(next(ticks))


@pytest.fixture(scope="module")
def first_piece(tmp_path_factory: pytest.TempPathFactory, vae: MiniVAE, dit_settings: DiTTraining) -> DiTRun:
    """Some 30 steps of a run of 48, stopped by the piece's seconds."""
    folder, model = tmp_path_factory.mktemp("dit"), tiny_transformer()
    now = counted_seconds()
    averaged, record = train(dit_settings, model, vae, folder, None, CPU, 100.0, now)
    return DiTRun(folder, averaged, model, record)


@pytest.fixture(scope="module")
def pool(vae: MiniVAE, dit_settings: DiTTraining) -> LatentPool:
    return ClipStream(dit_settings, vae, None, CPU, drawn=500).fill(2)


def fixed_loss(
    model: SteadyDancerTransformer, vae: MiniVAE, pool: LatentPool, settings: DiTTraining
) -> float:
    torch.manual_seed(7)
    batch = pool.take(torch.arange(16) % len(pool))
    with torch.no_grad():
        return float(flow_loss(model, batch, black_latent(vae, pool, 9), PatchImageEncoder(), settings))


def test_a_piece_ends_in_time_with_a_checkpoint(first_piece: DiTRun) -> None:
    record = first_piece.record
    assert 16 <= record["step"] < 48
    assert not record["finished"]
    # Two draws fill the pool, every 16th step draws once more.
    assert record["drawn"] == 2 + record["step"] // 16
    saved = checkpoint.load(first_piece.folder)
    assert saved is not None
    assert saved[1]["step"] == record["step"]
    for name, value in first_piece.averaged.items():
        assert torch.equal(named(saved[0], AVERAGED)[name], value.half().float())
    for name, value in first_piece.model.state_dict().items():
        assert torch.equal(named(saved[0], RAW)[name], value.half().float())


def test_training_lowers_the_loss(
    first_piece: DiTRun, vae: MiniVAE, pool: LatentPool, dit_settings: DiTTraining
) -> None:
    before = fixed_loss(tiny_transformer(), vae, pool, dit_settings)
    assert fixed_loss(first_piece.model, vae, pool, dit_settings) < 0.95 * before


def test_a_stopped_run_goes_on_with_new_clips(
    first_piece: DiTRun,
    vae: MiniVAE,
    dit_settings: DiTTraining,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "dit"
    shutil.copytree(first_piece.folder, folder)
    seeds = []

    def noted(seed: int, *args: Any, **options: Any) -> Clips:
        seeds.append(seed)
        return make_clips(seed, *args, **options)

    monkeypatch.setattr(train_dit, "make_clips", noted)
    _, record = train(dit_settings, tiny_transformer(), vae, folder, None, CPU, math.inf, counted_seconds())
    assert record["step"] == 48
    assert record["finished"]
    assert record["seconds"] > first_piece.record["seconds"]
    assert record["losses"][: len(first_piece.record["losses"])] == first_piece.record["losses"]
    assert len(record["losses"]) == 6
    first_new = dit_settings.seed * 10_000_000 + first_piece.record["drawn"]
    assert seeds == list(range(first_new, first_new + len(seeds)))
    assert record["drawn"] == first_piece.record["drawn"] + len(seeds)


def test_going_on_begins_with_the_saved_weights(
    first_piece: DiTRun, vae: MiniVAE, dit_settings: DiTTraining, tmp_path: Path
) -> None:
    """A run that is over takes no step, so what it returns is what it loaded."""
    folder = tmp_path / "dit"
    shutil.copytree(first_piece.folder, folder)
    over = replace(dit_settings, steps=first_piece.record["step"])
    model = tiny_transformer()
    averaged, record = train(over, model, vae, folder, None, CPU, math.inf)
    assert record["finished"]
    for name, value in first_piece.averaged.items():
        assert torch.equal(averaged[name], value.half().float())
    for name, value in first_piece.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], value.half().float())


def test_saves_on_the_way_count_the_step_that_is_done(
    vae: MiniVAE, dit_settings: DiTTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []

    def noted(folder: Path, state: dict[str, Tensor], progress: dict[str, Any]) -> None:
        steps.append(progress["step"])
        save(folder, state, progress)

    save = checkpoint.save
    monkeypatch.setattr(checkpoint, "save", noted)
    settings = replace(dit_settings, pool=2, batch=2, steps=3, save_every=2, refresh_every=100)
    train(settings, tiny_transformer(), vae, tmp_path, None, CPU, math.inf)
    assert steps == [2, 3]


def test_shares_of_black_and_negative_poses(pool: LatentPool, vae: MiniVAE) -> None:
    settings, count = DiTTraining(black_pose=0.1, negative_pose=0.08), 4000
    batch = pool.take(torch.arange(count) % len(pool))
    black = black_latent(vae, pool, 9)
    torch.manual_seed(8)
    chosen = choose_condition(batch, black, settings)
    is_black, is_negative, is_pose = (
        (chosen == other).flatten(1).all(dim=1) for other in (black[None], batch.negative, batch.pose)
    )
    assert (is_black | is_negative | is_pose).all()
    assert is_black.float().mean() == pytest.approx(0.10, abs=0.02)
    assert is_negative.float().mean() == pytest.approx(0.08, abs=0.02)


def test_a_folder_without_a_vae_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No VAE checkpoint"):
        load_vae(tmp_path, CPU)


def test_a_new_run_can_begin_with_a_model_folder(
    tmp_path: Path, vae: MiniVAE, dit_settings: DiTTraining, pool: LatentPool
) -> None:
    write_mini(
        tmp_path / "model", tiny_transformer(), vae, area=64 * 64, frames=9, about={"vae": {"step": 24}}
    )
    model, taken = first_model(tmp_path / "model", seed=1), load_vae(tmp_path / "model", CPU)
    before = fixed_loss(model, taken, pool, dit_settings)
    assert abs(before - fixed_loss(tiny_transformer(), vae, pool, dit_settings)) < 0.05
    settings = replace(dit_settings, steps=20)
    train(settings, model, taken, tmp_path / "dit", None, CPU, math.inf, counted_seconds())
    assert fixed_loss(model, taken, pool, dit_settings) < before
    export(tmp_path / "model", tmp_path / "dit", tmp_path / "next")
    assert read_config(tmp_path / "next")["about"]["vae"] == {"step": 24}
