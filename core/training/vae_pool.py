"""What the VAE is trained on: clips in memory, crops of them, and how much each pixel counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.engine.models.mini_vae import MiniVAE, group_pictures
from core.training.clips import ClipRecipe
from core.training.drawing import ClipSource
from core.training.motion_bank import Bank

# A change of this much from one picture to the next counts fully as motion.
_MOVES = 0.25
_INK = 40


@dataclass(frozen=True)
class Crops:
    """How crops are cut; shares and weights as used by ``cut``.

    pool clips are drawn ``clips_a_draw`` at a time; a batch has ``crops`` squares of ``crop`` pixels and
    ``frames`` pictures, ``pose_share`` of them skeletons. A pixel counts 1, plus ``body`` near the person (or
    on a limb of a skeleton), plus ``motion`` where the picture changes.
    """

    pool: int = 3072
    clips_a_draw: int = 64
    crops: int = 32
    pose_share: float = 0.2
    crop: int = 128
    frames: int = 17
    body: float = 4.0
    motion: float = 3.0


@dataclass(frozen=True)
class Pool:
    """uint8 clips: video and pose [N, 3, T, H, W], mask [N, T, H, W], and the middle of
    the person's joints [N, T, 2] (y, x)."""

    video: Tensor
    pose: Tensor
    mask: Tensor
    centre: Tensor


def draw_pool(
    crops: Crops, recipe: ClipRecipe, seed: int, bank: Bank | None, device: torch.device, workers: int = 0
) -> Pool:
    """Draw the training clips."""
    count = math.ceil(crops.pool / crops.clips_a_draw)
    with ClipSource((recipe,), seed, crops.clips_a_draw, bank, device, workers=workers) as source:
        # Written where they stay: a list of batches and their concatenation would take twice the memory.
        kept: dict[str, Tensor] = {}
        for number, clips in enumerate(source.batches(count)):
            centre = clips.joints.mean(dim=2).flip(-1).to(clips.mask.device)
            parts = {"video": clips.video, "pose": clips.pose, "mask": clips.mask, "centre": centre}
            for name, part in parts.items():
                if name not in kept:
                    kept[name] = part.new_empty(count * len(part), *part.shape[1:])
                kept[name][number * len(part) : (number + 1) * len(part)] = part
    return Pool(**kept)


def cut(pool: Pool, crops: Crops, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Random crops: pictures [B, 3, T, c, c] in [-1, 1] and weights [B, 1, T, c, c] with mean 1.

    ``generator`` is of the pool's device; None: the device's own.
    """
    count, total, height, width = pool.mask.shape
    device, poses = pool.mask.device, round(crops.crops * crops.pose_share)
    number = (crops.crops,)
    clip = torch.randint(count, number, generator=generator, device=device)
    start = torch.randint(total - crops.frames + 1, number, generator=generator, device=device)
    jitter = torch.randn(crops.crops, 2, generator=generator, device=device) * crops.crop / 5
    corner = (pool.centre[clip, start] + jitter - crops.crop / 2).round().long()
    y, x = corner[:, 0].clamp(0, height - crops.crop), corner[:, 1].clamp(0, width - crops.crop)
    side, time = torch.arange(crops.crop, device=device), torch.arange(crops.frames, device=device)
    place = (
        clip[:, None, None, None],
        (start[:, None] + time)[:, :, None, None],
        (y[:, None] + side)[:, None, :, None],
        (x[:, None] + side)[:, None, None, :],
    )

    def shown(source: Tensor, these: slice) -> Tensor:
        number, at, rows, columns = (part[these] for part in place)
        return source[number, :, at, rows, columns].movedim(-1, 1)

    skeletons, videos = slice(poses), slice(poses, None)
    drawn = shown(pool.pose, skeletons)
    near = torch.cat([drawn.amax(1) > _INK, pool.mask[tuple(part[videos] for part in place)]])
    pictures = torch.cat([drawn, shown(pool.video, videos)]).float() / 127.5 - 1
    return pictures, weights(pictures, near, crops)


def weights(pictures: Tensor, near: Tensor, crops: Crops) -> Tensor:
    """pictures [B, 3, T, H, W], near [B, T, H, W] bool -> [B, 1, T, H, W] with mean 1."""
    grown = F.max_pool2d(near.float(), 5, stride=1, padding=2)[:, None]
    change = pictures.diff(dim=2).abs().amax(dim=1, keepdim=True)
    change = torch.cat([change[:, :, :1], change], dim=2)
    moving = (F.avg_pool3d(change, (1, 5, 5), stride=1, padding=(0, 2, 2)) / _MOVES).clamp(max=1)
    weight = 1 + crops.body * grown + crops.motion * moving
    return weight / weight.mean()


def set_linear_path(vae: MiniVAE, pool: Pool, clips: int, patches: int, generator: torch.Generator) -> None:
    """The whitened PCA of 4x8x8 patches becomes the linear path of encoder and decoder.

    Args:
        vae: changed in place.
        pool: clips to measure.
        clips: how many videos and how many skeleton videos are measured.
        patches: of each.
        generator: chooses them.
    """
    rows = []
    for source in (pool.video, pool.pose):
        for clip in torch.randint(len(source), (clips,), generator=generator).tolist():
            groups, _ = group_pictures(source[clip][None].float() / 127.5 - 1)
            every = F.pixel_unshuffle(groups, 8).permute(0, 2, 3, 1).flatten(0, 2)
            keep = torch.randint(len(every), (patches,), generator=generator)
            rows.append(every[keep.to(every.device)])
    values = torch.cat(rows).double()
    mean = values.mean(0)
    spread, vectors = torch.linalg.eigh((values - mean).T @ (values - mean) / len(values))
    channels = vae.config.latent_channels
    root = spread[-channels:].clamp_min(1e-8).sqrt()
    basis = vectors[:, -channels:]
    with torch.no_grad():
        vae.encoder.linear.weight.copy_((basis / root).T[:, :, None, None])
        vae.encoder.linear.bias.copy_(-(basis / root).T @ mean)  # type: ignore[union-attr]
        vae.decoder.linear.weight.copy_((basis * root)[:, :, None, None])
        vae.decoder.linear.bias.copy_(mean)  # type: ignore[union-attr]


@torch.no_grad()
def measure_latents(vae: MiniVAE, pool: Pool) -> None:
    """Mean and standard deviation of each channel of the video latents, constants as in the Wan VAE."""
    latents = torch.cat([vae.encode_raw(clip[None].float() / 127.5 - 1) for clip in pool.video[:256]])
    vae.latents_mean.copy_(latents.mean(dim=(0, 2, 3, 4)))
    vae.latents_std.copy_(latents.std(dim=(0, 2, 3, 4)))
