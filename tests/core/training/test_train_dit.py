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
import torch.nn.functional as F
from torch import Tensor, nn
from training_runs import CPU, VAERun

from core.engine.models.mini import read_config, transformer_config, write_mini
from core.engine.models.mini_encoders import PatchImageEncoder
from core.engine.models.mini_vae import MiniVAE
from core.engine.models.transformer import SteadyDancerTransformer
from core.errors import BadInput
from core.training import checkpoint, drawing
from core.training.carry import carry
from core.training.checkpoint import AVERAGED, RAW, named
from core.training.clip_latents import ClipStream, FreshPools, identity_of
from core.training.clips import Clips, make_clips
from core.training.drawing import ClipSource
from core.training.export import export
from core.training.flow import DiTTraining, SurfaceHead, choose_condition, draw_times, flow_loss, loss_weight
from core.training.guide import Guide
from core.training.latents import LatentPool, black_latent, conditions_of
from core.training.train_dit import few_frames, first_model, train
from core.training.unseen import NOISES
from core.training.vae_files import load_vae


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
    recipes = dit_settings.pool.recipes(dit_settings.recipe)
    source = ClipSource(recipes, dit_settings.seed * 10_000_000, 2, None, CPU, start=500, negatives=True)
    return ClipStream(source, vae, CPU).next()


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


def test_attention_of_few_frames_is_the_same() -> None:
    torch.manual_seed(9)
    q, k, v = torch.randn(3, 5, 6, 9, 16).unbind()
    torch.testing.assert_close(few_frames(q, k, v), F.scaled_dot_product_attention(q, k, v))


def test_channels_count_as_they_are_told(vae: MiniVAE, pool: LatentPool, dit_settings: DiTTraining) -> None:
    model, black, images = tiny_transformer(), black_latent(vae, pool, 9), PatchImageEncoder()

    def loss(channels: Tensor | None) -> Tensor:
        torch.manual_seed(7)
        return flow_loss(model, pool, black, images, dit_settings, channels=channels)

    alone = torch.stack([loss(16 * torch.eye(16)[channel]) for channel in range(16)])
    torch.testing.assert_close(alone.mean(), loss(None))
    assert alone.max() > 1.05 * alone.min()


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

    monkeypatch.setattr(drawing, "make_clips", noted)
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
    few = replace(dit_settings.pool, clips=2, refresh_every=100)
    settings = replace(dit_settings, pool=few, batch=2, steps=3, save_every=2)
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

    assert carry(tmp_path / "next", tmp_path / "again") > 0
    longer, first = replace(settings, steps=24), checkpoint.load(tmp_path / "dit")
    assert first is not None
    _, record = train(longer, tiny_transformer(), taken, tmp_path / "again", None, CPU, math.inf)
    assert record["step"] == 24
    assert record["losses"][:-1] == first[1]["losses"]


def test_a_model_of_unknown_training_cannot_be_gone_on_with(tmp_path: Path, vae: MiniVAE) -> None:
    write_mini(tmp_path / "model", tiny_transformer(), vae, area=64 * 64, frames=9, about={})
    with pytest.raises(BadInput, match="does not say how its transformer was trained"):
        carry(tmp_path / "model", tmp_path / "again")


def test_a_wider_model_begins_with_a_folder_s_weights(tmp_path: Path, vae: MiniVAE) -> None:
    old = tiny_transformer()
    write_mini(tmp_path / "model", old, vae, area=64 * 64, frames=9, about={})
    config = transformer_config(dim=72, num_heads=3, num_layers=2, ffn_dim=96)
    model = first_model(tmp_path / "model", 1, config)
    fresh = first_model(None, 1, config)
    mine, theirs, new = model.state_dict(), old.state_dict(), fresh.state_dict()
    weight = mine["blocks.0.ffn.0.weight"]
    assert (weight[:64, :48] - theirs["blocks.0.ffn.0.weight"]).abs().max() < 0.01
    assert not weight[:64, 48:].any()
    assert torch.equal(weight[64:], new["blocks.0.ffn.0.weight"][64:])
    assert torch.equal(mine["blocks.1.ffn.0.weight"], new["blocks.1.ffn.0.weight"])
    stacked = mine["time_projection.1.weight"].view(6, 72, 72)[:, :48, :48]
    assert (stacked - theirs["time_projection.1.weight"].view(6, 48, 48)).abs().max() < 0.01
    assert model.blocks[0].ffn[0].weight.requires_grad


def test_blocks_beyond_those_of_a_folder_begin_by_adding_nothing(tmp_path: Path, vae: MiniVAE) -> None:
    old = tiny_transformer()
    write_mini(tmp_path / "model", old, vae, area=64 * 64, frames=9, about={})
    deeper = first_model(tmp_path / "model", 1, replace(old.config, num_layers=2))
    same = first_model(tmp_path / "model", 1)
    torch.manual_seed(2)
    x, t = torch.randn(1, 16, 3, 4, 4), torch.tensor([500.0])
    given = [torch.randn(1, n, *size) for n, size in ((16, (3, 4, 4)), (20, (3, 4, 4)), (36, (1, 4, 4)))]
    clip = torch.randn(1, 257, old.config.clip_dim)
    inputs = (x, t, torch.randn(1, 4, old.config.text_dim), *given, given[2], clip, clip)
    torch.testing.assert_close(deeper(*inputs), same(*inputs))
    deeper(*inputs).square().mean().backward()
    assert deeper.blocks[1].ffn[-1].weight.grad.abs().max() > 0


@pytest.fixture(scope="module")
def with_surface(dit_settings: DiTTraining) -> DiTTraining:
    return replace(dit_settings, surface=1.0, steps=24, recipe=replace(dit_settings.recipe, version=2))


def test_a_head_learns_the_surface_and_is_kept_aside(
    vae: MiniVAE, with_surface: DiTTraining, tmp_path: Path
) -> None:
    model, now = tiny_transformer(), counted_seconds()
    _, record = train(with_surface, model, vae, tmp_path / "dit", None, CPU, math.inf, now)
    assert record["losses"][-1] < 0.95 * record["losses"][0]
    assert [found["step"] for found in record["unseen"]] == [24]
    assert set(record["unseen"][0]) == {"step", "rendered", *map(str, NOISES)}
    saved = checkpoint.load(tmp_path / "dit")
    assert saved is not None
    kept = named(saved[0], "surface.")
    assert kept["head.3.weight"].shape == (64, 48)

    over = replace(with_surface, steps=record["step"])
    train(over, tiny_transformer(), vae, tmp_path / "dit", None, CPU, math.inf)
    again = checkpoint.load(tmp_path / "dit")
    assert again is not None
    assert all(torch.equal(value, named(again[0], "surface.")[name]) for name, value in kept.items())


def test_the_surface_s_error_is_added_and_moves_only_the_first_blocks(
    vae: MiniVAE, with_surface: DiTTraining
) -> None:
    recipes = with_surface.pool.recipes(with_surface.recipe)
    source = ClipSource(recipes, 0, 2, None, CPU, negatives=True, surfaces=True)
    pool = ClipStream(source, vae, CPU).next()
    assert pool.surface.shape == pool.video.shape
    torch.manual_seed(3)
    model = SteadyDancerTransformer(replace(tiny_transformer().config, num_layers=3))
    head, black, images = SurfaceHead(48, 16), black_latent(vae, pool, 9), PatchImageEncoder()

    def loss(surface: float, head: SurfaceHead | None) -> Tensor:
        torch.manual_seed(7)
        return flow_loss(model, pool, black, images, replace(with_surface, surface=surface), head=head)

    plain, some = loss(0.0, None), loss(1.0, head)
    torch.testing.assert_close(loss(0.0, head), plain)
    torch.testing.assert_close(loss(2.0, head) - plain, 2 * (some - plain))
    weights = [block.ffn[0].weight for block in model.blocks]
    gradients = torch.autograd.grad(some - plain, weights)
    assert gradients[0].abs().max() > 0
    assert gradients[1].abs().max() > 0
    assert gradients[2].abs().max() < 1e-5


class Repeats(SteadyDancerTransformer):
    """Sees the same clip in everything, and notes what it is shown; of clips it was told, it knows them."""

    def __init__(self, seen: Tensor) -> None:
        super().__init__(transformer_config(dim=48, num_heads=2, num_layers=1, ffn_dim=64))
        self.seen, self.shown = seen, []  # type: ignore[var-annotated]
        self.unused = nn.Parameter(torch.zeros(()))

    def velocity(self, x: Tensor, t: Tensor, *_: Any, **__: Any) -> Tensor:
        self.shown.append((x, t / 1000))
        return (x - self.seen[: len(x)]) / (t.view(-1, 1, 1, 1, 1) / 1000) + self.unused


class Told(SteadyDancerTransformer):
    """Its velocity is the mean of the skeletons' latents, whatever is noisy."""

    def __init__(self) -> None:
        super().__init__(transformer_config(dim=48, num_heads=2, num_layers=1, ffn_dim=64))

    def forward(self, x: Tensor, *_: Any, condition: Tensor, **__: Any) -> Tensor:
        return condition.mean(dim=(1, 2, 3, 4), keepdim=True).expand_as(x)


def test_a_guide_adds_what_guidance_of_its_strength_would(
    vae: MiniVAE, pool: LatentPool, dit_settings: DiTTraining
) -> None:
    batch, black, images = pool.take(torch.tensor([0, 1])), black_latent(vae, pool, 9), PatchImageEncoder()
    guide = Guide(Told(), 3.0)
    sigma, clean = torch.tensor([0.5, 0.9]), batch.video.float()
    means = batch.pose.float().mean(dim=(1, 2, 3, 4)) - black.float().mean()
    assert means.abs().max() > 0.01
    added = guide(clean, sigma, conditions_of(batch, batch.pose, images), black)
    torch.testing.assert_close(added[:, 0, 0, 0, 0], 2 * means)
    # Whoever has no skeleton is not guided away from it.
    nothing = guide(clean, sigma, conditions_of(batch, black.expand_as(batch.pose), images), black)
    assert nothing.abs().max() == 0
    # A model that knows the clips is wrong by what guidance adds, and by nothing else.
    plain = replace(
        dit_settings, moving_weight=0.0, changed_weight=0.0, black_pose=0.0, negative_pose=0.0, rolled=0.0
    )
    knows = Repeats(clean)
    assert flow_loss(knows, batch, black, images, plain).item() < 1e-6
    loss = flow_loss(knows, batch, black, images, plain, guide=guide)
    assert loss.item() == pytest.approx((2 * means).square().mean().item(), rel=1e-3)
    assert not any(weight.requires_grad for weight in guide.model.parameters())


def test_rolled_clips_are_noisy_by_the_model_s_own_steps(
    vae: MiniVAE, pool: LatentPool, dit_settings: DiTTraining
) -> None:
    batch, black, images = (
        pool.take(torch.tensor([0, 1, 0, 1])),
        black_latent(vae, pool, 9),
        PatchImageEncoder(),
    )
    other = torch.zeros_like(batch.video, dtype=torch.float32)
    for seen, wrong in ((batch.video.float(), False), (other, True)):
        model = Repeats(seen)
        torch.manual_seed(4)
        loss = flow_loss(model, batch, black, images, replace(dit_settings, rolled=0.5))
        (first, start), (_, middle), (asked, level) = model.shown
        assert (len(first), len(asked)) == (2, 4)
        assert start.tolist() == [1, 1]
        assert (level[:2] <= middle).all()
        # The noise that the first steps began with is still there, with what the model sees under it.
        s = level.view(-1, 1, 1, 1, 1)
        torch.testing.assert_close(asked[:2], (1 - s[:2]) * seen[:2] + s[:2] * first, atol=1e-4, rtol=1e-4)
        clean = (asked - (1 - s) * batch.video.float()) / s
        assert clean[2:].std() == pytest.approx(1, abs=0.1)
        assert (loss.item() > 0.1) == wrong
        loss.backward()  # type: ignore[no-untyped-call]
    # An error counts as that of the clip: 1 where it is repeated by nothing, whatever the noise.
    alone = flow_loss(
        Repeats(other),
        batch,
        black,
        images,
        replace(dit_settings, rolled=1.0, moving_weight=0.0, changed_weight=0.0),
    )
    assert alone.item() == pytest.approx(batch.video.float().square().mean().item(), rel=1e-3)


def test_clips_of_little_noise_are_not_rolled(
    vae: MiniVAE, pool: LatentPool, dit_settings: DiTTraining
) -> None:
    batch = pool.take(torch.arange(24) % len(pool))
    seen = torch.zeros_like(batch.video, dtype=torch.float32)
    model = Repeats(seen)
    torch.manual_seed(6)
    settings = replace(dit_settings, rolled=1.0, rolled_above=0.6)
    flow_loss(model, batch, black_latent(vae, pool, 9), PatchImageEncoder(), settings)
    (first, _), _, (asked, level) = model.shown
    s = level.view(-1, 1, 1, 1, 1)
    led, true = s * first, (1 - s) * batch.video.float() + s * first
    low = level <= 0.6
    assert 0 < low.sum() < len(low)
    torch.testing.assert_close(asked[low], true[low], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(asked[~low], led[~low], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("times", ["shift", "logit"])
def test_times_lie_between_none_and_all_noise(times: Any, dit_settings: DiTTraining) -> None:
    torch.manual_seed(3)
    drawn = draw_times(replace(dit_settings, times=times), 4000, CPU)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert 0.5 < drawn.mean() < 0.75


def test_what_moves_counts_more(pool: LatentPool, dit_settings: DiTTraining) -> None:
    batch = replace(pool, video=pool.image[:, :, :1].expand_as(pool.video).clone())
    batch.video[:, :, 2, 3, 3] += 3
    weight = loss_weight(batch, replace(dit_settings, moving_weight=0.0))
    assert weight.mean() == pytest.approx(1)
    assert (weight[:, 2, 3, 3] / weight[:, 1, 3, 3]).min() > 2
    assert torch.equal(weight[:, 0], weight[:, 1])
    plain = loss_weight(pool, replace(dit_settings, moving_weight=0.0, changed_weight=0.0))
    assert torch.equal(plain, torch.ones_like(plain))


def test_pools_of_several_shapes_are_kept_and_renewed(
    vae: MiniVAE, dit_settings: DiTTraining, tmp_path: Path
) -> None:
    few = replace(dit_settings.pool, clips=4, refresh_every=2, ratios=(1.0, 0.5))
    recipes = few.recipes(dit_settings.recipe)
    assert [(r.height, r.width) for r in recipes] == [(64, 64), (80, 32)]

    def pools(start: int) -> FreshPools:
        source = ClipSource(recipes, 0, 2, None, CPU, start=start, negatives=True)
        identity = identity_of(vae, dit_settings.recipe, few, recorded=False)
        return FreshPools(ClipStream(source, vae, CPU), few, len(recipes), tmp_path / "kept", identity)

    first = pools(0)
    assert [tuple(pool.video.shape[-2:]) for pool in first.pools] == [(8, 8), (10, 4)]
    assert {first.shape() for _ in range(20)} == {0, 1}
    batch = first.pools[1].random(3)
    assert batch.video.shape == (3, 16, 3, 10, 4)
    again = pools(2)
    before = [pool.video.clone() for pool in again.pools]
    assert all(torch.equal(a, b.video) for a, b in zip(before, first.pools, strict=True))
    again.refresh(0)
    assert all(torch.equal(a, b.video) for a, b in zip(before, again.pools, strict=True))
    again.refresh(1)
    assert not torch.equal(before[0], again.pools[0].video)
    assert torch.equal(before[1], again.pools[1].video)
