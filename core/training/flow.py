"""What the transformer learns: velocities of flow matching, weighted towards the person and what moves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from core.engine.models.embeddings import PATCH, unpatchify
from core.engine.models.mini_encoders import PatchImageEncoder
from core.engine.models.rope import RopeTable
from core.engine.models.transformer import BlockRun, SteadyDancerTransformer
from core.training import sizes
from core.training.clip_latents import PoolSettings
from core.training.clips import ClipRecipe
from core.training.guide import Guide
from core.training.latents import LatentPool, changed, conditions_of

# Levels of noise from which a velocity towards a clip is asked for after own steps.
_LEAST = 0.02


@dataclass(frozen=True)
class DiTTraining:
    """Settings of a transformer run; those of the shipped weights are in its config.json.

    times: how a clip's time is drawn: "shift" is u uniform, t = shift u / (1 + (shift - 1) u); "logit" is
    the logistic of a normal number around ``logit_mean`` with spread ``logit_spread``. The loss counts 1,
    plus ``moving_weight`` where the person is or was, plus up to ``changed_weight`` by how far a place is
    from the reference. A channel counts by how much it shows in pictures, to the power of ``visible``:
    channels of fine detail have the largest errors and show least. The share ``rolled`` of a batch gets its
    noise as in a render, by the model's own steps, unless it is less than ``rolled_above``. ``guided``:
    velocities are learned as condition guidance of this strength would have them
    (``core.training.guide``); 1: plain. After ``surface_after`` blocks a head that is used in training
    alone says where on the body each place is (``core.training.surface``); its error counts ``surface``,
    0: no such head. With every checkpoint the error on ``unseen`` clips is measured
    (``core.training.unseen``); 0: never.
    """

    seed: int = 2
    pool: PoolSettings = field(default_factory=PoolSettings)
    save_every: int = 1000
    batch: int = 64
    steps: int = 200000
    seconds: float = 2400.0
    muon_lr: float = 1.5e-3
    adam_lr: float = 1e-3
    ema: float = 0.998
    times: Literal["shift", "logit"] = "shift"
    shift: float = 3.0
    logit_mean: float = 0.4
    logit_spread: float = 1.0
    black_pose: float = 0.06
    negative_pose: float = 0.05
    no_prompt: float = 0.2
    moving_weight: float = 2.0
    changed_weight: float = 4.0
    visible: float = 0.75
    rolled: float = 0.0
    rolled_above: float = 0.0
    guided: float = 1.0
    surface: float = 0.0
    surface_after: int = 2
    log_every: int = 100
    unseen: int = 32
    recipe: ClipRecipe = field(
        default_factory=lambda: ClipRecipe(
            256, 256, sizes.FRAMES, misaligned=0.2, bridged=0.35, own=0.4, version=2
        )
    )


def flow_loss(
    model: SteadyDancerTransformer,
    batch: LatentPool,
    black: Tensor,
    images: PatchImageEncoder,
    settings: DiTTraining,
    rope: RopeTable | None = None,
    channels: Tensor | None = None,
    head: SurfaceHead | None = None,
    guide: Guide | None = None,
) -> Tensor:
    """Weighted mean squared error of the velocity, one random time a clip; ``rope`` as the model takes it.

    Args:
        channels: [16] of mean 1, how much each channel counts; None: all the same.
        head: adds its error on the surface.
        guide: says how velocities are guided.
    """
    count, device = len(batch), batch.video.device
    condition = choose_condition(batch, black, settings)
    words = torch.rand(count, device=device) >= settings.no_prompt
    text = batch.text.clone()
    text[:, 1:] *= words[:, None, None]
    given = conditions_of(replace(batch, text=text), condition, images)
    sigma = draw_times(settings, count, device)
    s = sigma.view(-1, 1, 1, 1, 1)
    clean = batch.video.float()
    noise = torch.randn_like(clean)
    noisy = (1 - s) * clean + s * noise
    rolled = round(settings.rolled * count)
    own = torch.arange(count, device=device) < rolled
    own = (own & (sigma > settings.rolled_above)).view(-1, 1, 1, 1, 1)
    if rolled:
        parts = {name: value[:rolled] for name, value in vars(given).items()}
        led = _rolled(model, noise[:rolled], sigma[:rolled], parts, rope)
        noisy = torch.where(own, torch.cat([led, noisy[rolled:]]), noisy)
    tap = None if head is None else _Tap(settings.surface_after)
    prepared = model.prepare(**vars(given), rope=rope)
    velocity = model.velocity(noisy, 1000 * sigma, prepared, tap)
    weight = loss_weight(batch, settings)[:, None]
    if channels is not None:
        weight = weight * channels.view(1, -1, 1, 1, 1)
    # From where its steps led the model; as errors of the clip, since velocities would have no limit.
    target = torch.where(own, (noisy - clean) / s.clamp_min(_LEAST), noise - clean)
    if guide is not None:
        target = target + guide(noisy, sigma, given, black, rope)
    weight = torch.where(own, weight * s.square(), weight)
    loss: Tensor = ((velocity.float() - target).square() * weight).mean()
    if head is None or tap is None:
        return loss
    # The reference's tokens come first among those behind the video's.
    surface = torch.cat([batch.surface, batch.surface[:, :, :1]], dim=2).float()
    said: Tensor = head(tap.tokens, surface.shape[2:])
    weight = torch.cat([weight, weight[:, :, :1]], dim=2)
    return loss + settings.surface * ((said - surface).square() * weight).mean()


@torch.no_grad()
def _rolled(
    model: SteadyDancerTransformer,
    noise: Tensor,
    sigma: Tensor,
    given: dict[str, Tensor],
    rope: RopeTable | None,
) -> Tensor:
    """Where two of the model's steps lead from pure noise to ``sigma`` [B], by way of a random level."""
    middle = sigma + (1 - sigma) * torch.rand_like(sigma)
    at, x = torch.ones_like(sigma), noise
    for level in (middle, sigma):
        velocity = model(x, 1000 * at, **given, rope=rope).float()
        x, at = x + (level - at).view(-1, 1, 1, 1, 1) * velocity, level
    return x


class _Tap:
    """Runs all blocks and keeps the tokens after the first ``blocks`` of them."""

    def __init__(self, blocks: int) -> None:
        self._blocks = blocks
        self.tokens = torch.empty(0)

    def __call__(self, _e: Tensor, _e0: Tensor, tokens: Tensor, run: BlockRun) -> Tensor:
        """As ``Around``."""
        first = min(self._blocks, run.count)
        self.tokens = run(tokens, 0, first)
        return run(self.tokens, first, run.count)


class SurfaceHead(nn.Module):
    """Reads latents of the surface out of tokens on their way."""

    def __init__(self, dim: int, channels: int) -> None:
        super().__init__()
        self.head = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, channels * PATCH * PATCH)
        )

    def forward(self, tokens: Tensor, size: torch.Size) -> Tensor:
        """tokens [B, L, D], the first of which are a latent's of this size (T, h, w) -> [B, C, T, h, w]."""
        grid = size[0], size[1] // PATCH, size[2] // PATCH
        values = self.head(tokens[:, : grid[0] * grid[1] * grid[2]]).float()
        return unpatchify(torch.unflatten(values, 1, grid))


def draw_times(settings: DiTTraining, count: int, device: torch.device) -> Tensor:
    """Noise levels [count] in 0..1."""
    if settings.times == "logit":
        normal = torch.randn(count, device=device)
        return torch.sigmoid(settings.logit_mean + settings.logit_spread * normal)
    u = torch.rand(count, device=device)
    return settings.shift * u / (1 + (settings.shift - 1) * u)


def loss_weight(batch: LatentPool, settings: DiTTraining) -> Tensor:
    """How much each place counts, [B, T, h, w] with mean 1."""
    weight = 1 + settings.moving_weight * batch.moving.float()
    weight = weight + settings.changed_weight * changed(batch.video, batch.image[:, :, :1])
    return weight / weight.mean()


def choose_condition(batch: LatentPool, black: Tensor, settings: DiTTraining) -> Tensor:
    """The pose latents, some replaced by black and some by the negative pose."""
    lot = torch.rand(len(batch), device=batch.video.device).view(-1, 1, 1, 1, 1)
    negative = lot < settings.black_pose + settings.negative_pose
    condition = torch.where(negative, batch.negative, batch.pose)
    return torch.where(lot < settings.black_pose, black, condition)
