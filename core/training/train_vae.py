"""Train the embedded model's VAE: ``python -m core.training.train_vae --out DIR [--motion-source WHEEL]``.

Encoder and decoder for faithful pictures; ``core.training.sharpen_vae`` then makes the decoder's pictures
sharp. Resumes from ``DIR`` where a checkpoint lies there. Clips are drawn once into a pool; every step cuts
crops of 17 pictures out of it, four fifths video (mostly around the person) and one fifth skeletons.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.engine.models.mini_vae import MiniVAE, MiniVAEConfig
from core.training import checkpoint, sizes
from core.training.clips import ClipRecipe
from core.training.clock import Clock, Ending
from core.training.command import ending, log, run, training_motion, training_parser
from core.training.loop import LossRecord, Updater
from core.training.motion_bank import Bank
from core.training.replay import Replay
from core.training.vae_pool import Crops, Pool, cut, draw_pool, measure_latents, set_linear_path
from core.training.vae_scores import score


@dataclass(frozen=True)
class VAETraining:
    """Settings of a VAE run; those of the shipped weights are in its config.json."""

    seed: int = 1
    crops: Crops = field(default_factory=Crops)
    steps: int = 60000
    seconds: float = 300.0
    muon_lr: float = 3e-3
    adam_lr: float = 1e-3
    noise: float = 0.03
    pca_clips: int = 96
    pca_patches: int = 1500
    log_every: int = 200
    save_every: int = 2000
    unseen: int = 32
    recipe: ClipRecipe = field(
        default_factory=lambda: ClipRecipe(256, 256, sizes.FRAMES, misaligned=0.0, version=2)
    )

    def score_recipe(self) -> ClipRecipe:
        """Clips that are in no pool."""
        return replace(self.recipe, augment=False)


def gradients_l1(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Weighted L1 between horizontal and vertical differences."""
    rows = ((a.diff(dim=-2) - b.diff(dim=-2)).abs() * weight[..., 1:, :]).mean()
    columns = ((a.diff(dim=-1) - b.diff(dim=-1)).abs() * weight[..., 1:]).mean()
    return rows + columns


def picture_loss(out: Tensor, pictures: Tensor, weight: Tensor) -> Tensor:
    """L1 + 6 MSE + 0.5 gradient L1."""
    difference = out - pictures
    loss = (difference.abs() * weight).mean() + 6 * (difference.square() * weight).mean()
    return loss + 0.5 * gradients_l1(out, pictures, weight)


def loss_of(vae: MiniVAE, pictures: Tensor, weight: Tensor, noise: float) -> Tensor:
    """``picture_loss`` through noisy latents, and a light pull of the latents towards unit size."""
    latents = vae.encode_raw(pictures)
    noisy = latents + noise * torch.randn_like(latents)
    out = vae.decode_raw(noisy).float()
    return picture_loss(out, pictures, weight) + 1e-3 * latents.float().square().mean()


def train(
    settings: VAETraining,
    config: MiniVAEConfig,
    out: Path,
    bank: Bank | None,
    device: torch.device,
    piece_seconds: float,
    now: Callable[[], float] = time.monotonic,
    *,
    ends: Ending = "run",
    workers: int = 0,
) -> tuple[MiniVAE, dict[str, Any]]:
    """Train, or go on training, for one piece; leaves a checkpoint in ``out``.

    Returns:
        The model and its record: step, seconds, finished, losses (means of ``log_every`` steps) and scores.

    Raises:
        BadCheckpoint: the checkpoint in ``out`` is damaged.
        EngineError: the loss is not finite.
    """
    saved = checkpoint.load(out)
    progress: dict[str, Any] = {"step": 0, "seconds": 0.0, "losses": []} if saved is None else saved[1]
    torch.manual_seed(settings.seed + progress["step"])
    clock = Clock(
        settings.steps, settings.seconds, piece_seconds, progress["step"], progress["seconds"], now, ends
    )
    pool = draw_pool(settings.crops, settings.recipe, settings.seed * 100_000, bank, device, workers)
    log(f"pool of {len(pool.video)} clips after {clock.seconds - progress['seconds']:.0f} s")
    vae = MiniVAE(config).to(device)
    if saved is None:
        generator = torch.Generator().manual_seed(settings.seed)
        set_linear_path(vae, pool, settings.pca_clips, settings.pca_patches, generator)
    else:
        vae.load_state_dict(saved[0])

    def save(step: int) -> None:
        progress.update(step=step, seconds=clock.seconds, finished=clock.finished)
        progress.update(config=config.to_dict(), settings=asdict(settings))
        checkpoint.save(out, vae.state_dict(), progress)

    _run_steps(vae, settings, pool, clock, progress["losses"], save)
    measure_latents(vae, pool)
    progress["scores"] = score(
        vae, settings.score_recipe(), settings.seed * 100_000 - 1000, settings.unseen, bank, device
    )
    save(clock.step)
    log(f"vae {json.dumps(progress['scores'])} after {clock.step} steps, {clock.seconds:.0f} s")
    return vae, progress


def _run_steps(
    vae: MiniVAE,
    settings: VAETraining,
    pool: Pool,
    clock: Clock,
    losses: list[float],
    save: Callable[[int], None],
) -> None:
    """The steps of one piece, with a checkpoint every ``save_every``; leaves the model in evaluation mode."""
    vae.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.backends.cudnn.benchmark = True
    updater = Updater(vae, (settings.muon_lr, settings.adam_lr), 0.99, 0.5, clock)
    record = LossRecord(losses, settings.log_every)
    replay = step_on(pool, vae, settings, updater)
    for step in clock.steps():
        updater.schedule()
        loss = replay()
        if record.add(step, loss):
            log(f"vae step {step + 1} loss {losses[-1]:.4f} {clock.seconds:.0f} s")
        if (step + 1) % settings.save_every == 0:
            save(step + 1)
    torch.backends.cudnn.benchmark = False
    vae.eval()


def step_on(pool: Pool, vae: MiniVAE, settings: VAETraining, updater: Updater) -> Replay:
    """A step on random crops."""
    device = pool.video.device
    compiled = torch.compile(loss_of, dynamic=False) if device.type == "cuda" else loss_of

    def step() -> Tensor:
        pictures, weight = cut(pool, settings.crops)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = compiled(vae, pictures, weight, settings.noise)
        updater.descend(loss)
        return loss.detach()

    return Replay(step, device)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    options = training_parser(__doc__, VAETraining.seconds).parse_args(arguments)
    settings = replace(VAETraining(), seconds=options.seconds)

    def work() -> None:
        bank, ends = training_motion(options.motion_source), ending(options)
        train(
            settings, sizes.VAE, options.out, bank, options.device, options.piece_seconds, ends=ends,
            workers=options.workers,
        )  # fmt: skip

    return run(work)


if __name__ == "__main__":
    sys.exit(main())
