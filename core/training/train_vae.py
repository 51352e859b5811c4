"""Train the embedded model's VAE: ``python -m core.training.train_vae --out DIR [--motion-source WHEEL]``.

Resumes from ``DIR`` where a checkpoint lies there. Clips are drawn once into a pool; every step cuts crops of
17 pictures out of it, three quarters video (mostly around the person) and one quarter skeletons.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from core.engine.models.mini_vae import MiniVAE, MiniVAEConfig, group_pictures
from core.training import checkpoint
from core.training.clips import ClipRecipe, Clips, make_clips
from core.training.clock import Clock
from core.training.command import log, run, training_motion, training_parser
from core.training.loop import LossRecord, Updater
from core.training.motion import Bank


@dataclass(frozen=True)
class VAETraining:
    """Settings of a VAE run; the defaults made the shipped weights."""

    seed: int = 1
    pool: int = 1536
    clips_a_draw: int = 64
    crops: int = 32
    pose_share: float = 0.25
    crop: int = 128
    frames: int = 17
    steps: int = 20000
    seconds: float = 240.0
    muon_lr: float = 3e-3
    adam_lr: float = 1e-3
    noise: float = 0.06
    body_weight: float = 3.0
    pca_clips: int = 96
    pca_patches: int = 1500
    log_every: int = 200
    save_every: int = 1000
    unseen: int = 16
    recipe: ClipRecipe = field(default_factory=lambda: ClipRecipe(misaligned=0.0))


@dataclass(frozen=True)
class Pool:
    """uint8 clips: video and pose [N, 3, T, H, W], mask [N, T, H, W], and the middle of
    the person's joints [N, T, 2] (y, x; on the CPU)."""

    video: Tensor
    pose: Tensor
    mask: Tensor
    centre: Tensor


def draw_pool(settings: VAETraining, bank: Bank | None, device: torch.device) -> Pool:
    """Draw the training clips."""
    drawn = []
    for number in range(math.ceil(settings.pool / settings.clips_a_draw)):
        drawn.append(
            make_clips(settings.seed * 100_000 + number, settings.clips_a_draw, settings.recipe, bank, device)
        )

    def joined(name: str) -> Tensor:
        return torch.cat([getattr(clips, name) for clips in drawn])

    centre = joined("joints").mean(dim=2).flip(-1)
    return Pool(joined("video"), joined("pose"), joined("mask"), centre)


def cut(pool: Pool, settings: VAETraining, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random crops: pictures [B, 3, 17, c, c] in [-1, 1] and weights [B, 1, 17, c, c]."""
    device = pool.video.device
    count, total, height, width = pool.mask.shape
    poses = round(settings.crops * settings.pose_share)
    pictures, weights = [], []
    picks = torch.randint(count, (settings.crops,), generator=generator).tolist()
    starts = torch.randint(total - settings.frames + 1, (settings.crops,), generator=generator).tolist()
    jitter = torch.randn(settings.crops, 2, generator=generator) * settings.crop / 5
    for index, (clip, start) in enumerate(zip(picks, starts, strict=True)):
        corner = (pool.centre[clip, start] + jitter[index] - settings.crop / 2).round().int().tolist()
        y = min(max(corner[0], 0), height - settings.crop)
        x = min(max(corner[1], 0), width - settings.crop)
        window = (
            slice(start, start + settings.frames),
            slice(y, y + settings.crop),
            slice(x, x + settings.crop),
        )
        source = pool.pose if index < poses else pool.video
        pictures.append(source[clip][(slice(None), *window)])
        ink = source[clip][(slice(None), *window)].amax(0) > 40 if index < poses else pool.mask[clip][window]
        weights.append(ink)
    stacked = torch.stack(pictures).float() / 127.5 - 1
    weight = 1 + settings.body_weight * torch.stack(weights).float()[:, None]
    return stacked, (weight / weight.mean()).to(device)


def set_linear_path(vae: MiniVAE, pool: Pool, settings: VAETraining, generator: torch.Generator) -> None:
    """The whitened PCA of 4x8x8 patches becomes the linear path of encoder and decoder."""
    patches = []
    for source in (pool.video, pool.pose):
        for clip in torch.randint(len(source), (settings.pca_clips,), generator=generator).tolist():
            groups, _ = group_pictures(source[clip][None].float() / 127.5 - 1)
            rows = F.pixel_unshuffle(groups, 8).permute(0, 2, 3, 1).flatten(0, 2)
            keep = torch.randint(len(rows), (settings.pca_patches,), generator=generator)
            patches.append(rows[keep.to(rows.device)])
    rows = torch.cat(patches).double()
    mean = rows.mean(0)
    values, vectors = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
    channels = vae.config.latent_channels
    root = values[-channels:].clamp_min(1e-8).sqrt()
    basis = vectors[:, -channels:]
    with torch.no_grad():
        vae.encoder.linear.weight.copy_((basis / root).T[:, :, None, None])
        vae.encoder.linear.bias.copy_(-(basis / root).T @ mean)  # type: ignore[union-attr]
        vae.decoder.linear.weight.copy_((basis * root)[:, :, None, None])
        vae.decoder.linear.bias.copy_(mean)  # type: ignore[union-attr]


def gradients_l1(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Weighted L1 between horizontal and vertical differences."""
    rows = ((a.diff(dim=-2) - b.diff(dim=-2)).abs() * weight[..., 1:, :]).mean()
    columns = ((a.diff(dim=-1) - b.diff(dim=-1)).abs() * weight[..., 1:]).mean()
    return rows + columns


def loss_of(vae: MiniVAE, pictures: Tensor, weight: Tensor, noise: float) -> Tensor:
    """L1 + 2 MSE + 0.5 gradient L1 on the pictures, and a light pull of the latents towards unit size."""
    latents = vae.encode_raw(pictures)
    noisy = latents + noise * torch.randn_like(latents)
    out = vae.decode_raw(noisy).float()
    difference = out - pictures
    picture_loss = (difference.abs() * weight).mean() + 2 * (difference.square() * weight).mean()
    return picture_loss + 0.5 * gradients_l1(out, pictures, weight) + 1e-3 * latents.float().square().mean()


@torch.no_grad()
def measure_latents(vae: MiniVAE, pool: Pool) -> None:
    """Mean and standard deviation of each channel of the video latents, constants as in the Wan VAE."""
    latents = torch.cat([vae.encode_raw(clip[None].float() / 127.5 - 1) for clip in pool.video[:256]])
    vae.latents_mean.copy_(latents.mean(dim=(0, 2, 3, 4)))
    vae.latents_std.copy_(latents.std(dim=(0, 2, 3, 4)))


def score(vae: MiniVAE, settings: VAETraining, bank: Bank | None, device: torch.device) -> dict[str, float]:
    """``reconstruction`` of clips that are in no pool."""
    recipe = replace(settings.recipe, augment=False)
    return reconstruction(vae, make_clips(settings.seed * 100_000 - 1, settings.unseen, recipe, bank, device))


@torch.no_grad()
def reconstruction(vae: MiniVAE, clips: Clips) -> dict[str, float]:
    """PSNR in decibels of video, person and skeletons; sharpness: Laplacian energy over the original's."""
    scores: dict[str, list[float]] = {"psnr": [], "body": [], "pose": [], "sharpness": []}
    for video, pose, mask in zip(clips.video, clips.pose, clips.mask, strict=True):
        errors = []
        for source in (video, pose):
            pictures = source[None].float() / 127.5 - 1
            out = torch.cat(list(vae.decode(vae.encode(pictures))), dim=2)
            errors.append(((out - pictures) / 2).square().mean(dim=1)[0])
            if source is video:
                energy = [
                    laplacian(p).square().mean(1)[mask].mean()
                    for p in (out[0].transpose(0, 1), pictures[0].transpose(0, 1))
                ]
                scores["sharpness"].append(float(energy[0] / energy[1]))
        for name, error in (
            ("psnr", errors[0].mean()),
            ("body", errors[0][mask].mean()),
            ("pose", errors[1].mean()),
        ):
            scores[name].append(-10 * math.log10(float(error) + 1e-12))
    return {name: sum(values) / len(values) for name, values in scores.items()}


def laplacian(pictures: Tensor) -> Tensor:
    """[N, C, H, W] -> same shape, edges replicated."""
    padded = F.pad(pictures, (1, 1, 1, 1), mode="replicate")
    around = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    return around - 4 * pictures


def train(
    settings: VAETraining,
    config: MiniVAEConfig,
    out: Path,
    bank: Bank | None,
    device: torch.device,
    piece_seconds: float,
    now: Callable[[], float] = time.monotonic,
) -> tuple[MiniVAE, dict[str, Any]]:
    """Train, or go on training, for one piece; leaves a checkpoint in ``out``.

    Returns:
        The model and its record: step, seconds, finished, losses (means of ``log_every`` steps) and scores.

    Raises:
        BadCheckpoint: the checkpoint in ``out`` is damaged.
    """
    torch.manual_seed(settings.seed)
    saved = checkpoint.load(out)
    progress: dict[str, Any] = {"step": 0, "seconds": 0.0, "losses": []} if saved is None else saved[1]
    clock = Clock(settings.steps, settings.seconds, piece_seconds, progress["step"], progress["seconds"], now)
    pool = draw_pool(settings, bank, device)
    log(f"pool of {len(pool.video)} clips after {clock.seconds - progress['seconds']:.0f} s")
    vae = MiniVAE(config).to(device)
    generator = torch.Generator().manual_seed(settings.seed + progress["step"])
    if saved is None:
        set_linear_path(vae, pool, settings, generator)
    else:
        vae.load_state_dict(saved[0])

    def save(step: int) -> None:
        progress.update(step=step, seconds=clock.seconds, finished=clock.finished)
        progress.update(config=config.to_dict(), settings=asdict(settings))
        checkpoint.save(out, vae.state_dict(), progress)

    _run_steps(vae, settings, pool, generator, clock, progress["losses"], save)
    measure_latents(vae, pool)
    progress["scores"] = score(vae, settings, bank, device)
    save(clock.step)
    log(f"vae {json.dumps(progress['scores'])} after {clock.step} steps, {clock.seconds:.0f} s")
    return vae, progress


def _run_steps(
    vae: MiniVAE,
    settings: VAETraining,
    pool: Pool,
    generator: torch.Generator,
    clock: Clock,
    losses: list[float],
    save: Callable[[int], None],
) -> None:
    """The steps of one piece, with a checkpoint every ``save_every``; leaves the model in evaluation mode."""
    device = pool.video.device
    vae.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.backends.cudnn.benchmark = True
    updater = Updater(vae, (settings.muon_lr, settings.adam_lr), 0.99, 0.5, clock)
    record = LossRecord(losses, settings.log_every)
    for step in clock.steps():
        pictures, weight = cut(pool, settings, generator)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = loss_of(vae, pictures, weight, settings.noise)
        updater.update(loss)
        if record.add(step, loss):
            log(f"vae step {step + 1} loss {losses[-1]:.4f} {clock.seconds:.0f} s")
        if (step + 1) % settings.save_every == 0:
            save(step + 1)
    torch.backends.cudnn.benchmark = False
    vae.eval()


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    options = training_parser(__doc__, VAETraining.seconds).parse_args(arguments)
    settings = replace(VAETraining(), seconds=options.seconds)

    def work() -> None:
        bank = training_motion(options.motion_source)
        train(settings, MiniVAEConfig(), options.out, bank, options.device, options.piece_seconds)

    return run(work)


if __name__ == "__main__":
    sys.exit(main())
