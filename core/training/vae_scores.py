"""How well a VAE gives clips back."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from core.engine.models.mini_vae import MiniVAE
from core.training.clips import ClipRecipe, Clips, make_clips
from core.training.motion_bank import Bank


def score(
    vae: MiniVAE, recipe: ClipRecipe, seed: int, count: int, bank: Bank | None, device: torch.device
) -> dict[str, float]:
    """``reconstruction`` of ``count`` clips, 16 at a time."""
    sums: dict[str, float] = {}
    for at in range(0, count, 16):
        part = min(16, count - at)
        clips = make_clips(seed + at, part, recipe, bank, device)
        for name, value in reconstruction(vae, clips).items():
            sums[name] = sums.get(name, 0.0) + value * part / count
    return sums


@torch.no_grad()
def reconstruction(vae: MiniVAE, clips: Clips) -> dict[str, float]:
    """PSNR in decibels of video, person and skeletons; sharpness: Laplacian energy over the original's on
    the person, as the evaluation suite measures it."""
    scores: dict[str, list[float]] = {"psnr": [], "body": [], "pose": [], "sharpness": []}
    for video, pose, mask in zip(clips.video, clips.pose, clips.mask, strict=True):
        errors = []
        for source in (video, pose):
            pictures = source[None].float() / 127.5 - 1
            out = torch.cat(list(vae.decode(vae.encode(pictures))), dim=2)
            errors.append(((out - pictures) / 2).square().mean(dim=1)[0])
            if source is video:
                scores["sharpness"].append(float(sharpness(out[0], pictures[0], mask)))
        for name, error in (
            ("psnr", errors[0].mean()),
            ("body", errors[0][mask].mean()),
            ("pose", errors[1].mean()),
        ):
            scores[name].append(-10 * math.log10(float(error) + 1e-12))
    return {name: sum(values) / len(values) for name, values in scores.items()}


def sharpness(ours: Tensor, true: Tensor, region: Tensor) -> Tensor:
    """Laplacian energy of [3, T, H, W] over the original's, where region [T, H, W] bool is true: a number."""
    energy = [
        (laplacian(video.transpose(0, 1).float()).square().mean(1) * region).sum() for video in (ours, true)
    ]
    return energy[0] / energy[1].clamp_min(1e-6)


def laplacian(pictures: Tensor) -> Tensor:
    """[N, C, H, W] -> same shape, edges replicated."""
    padded = F.pad(pictures, (1, 1, 1, 1), mode="replicate")
    around = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    return around - 4 * pictures
