"""What a transformer leaves wrong on clips that nothing is trained on, by how much noise it was given.

``python -m core.training.unseen [--model FOLDER] [--clips N]`` prints it for a model folder.

At noise 1 nothing shows but the reference and the skeletons, so the figure there is how well the motion is
drawn out of them; at little noise it is how well fine detail is restored. The last line is the error of clips
that were rendered in 8 Euler steps from pure noise. Unlike the training's loss these figures depend on no
weights that a run may change, so that runs and pieces can be compared.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from core.engine.models.mini import load_mini
from core.engine.models.mini_encoders import PatchImageEncoder
from core.engine.models.mini_vae import MiniVAE
from core.engine.models.transformer import SteadyDancerTransformer
from core.geometry import VAE_STRIDE, latent_size
from core.training.clips import ClipRecipe, make_clips
from core.training.command import run
from core.training.flow import DiTTraining
from core.training.latents import LatentPool, conditions_of, encode_clips, visibility

NOISES = (1.0, 0.9, 0.75, 0.5, 0.25)
# A render with Euler steps of this shift is measured, too.
_STEPS, _SHIFT = 8, 3.0
# Neither a suite nor a training draws from here; each batch adds its number.
_SEED = 6_900_000_000
# Clips drawn at a time, and how many of them measure how much each channel shows.
_BATCH, _SEEN = 8, 4


@dataclass(frozen=True)
class Unseen:
    """Encoded clips and the noise [N, 16, T, h, w] that is added; shown [16] as ``visibility`` says."""

    pool: LatentPool
    noise: Tensor
    shown: Tensor


def draw_unseen(vae: MiniVAE, recipe: ClipRecipe, count: int, device: torch.device) -> Unseen:
    """``count`` clips at the recipe's size, moved as suite 2's are but without recorded motion."""
    held_out = replace(recipe, augment=False, misaligned=0.3, bridged=0.0, own=1.0)
    parts = [
        encode_clips(
            make_clips(_SEED + at, min(_BATCH, count - at), held_out, None, device, negatives=True), vae
        )
        for at in range(0, count, _BATCH)
    ]
    pool = parts[0]
    for part in parts[1:]:
        pool = pool.join(part)
    drawn = torch.Generator().manual_seed(_SEED)
    noise = torch.randn(pool.video.shape, generator=drawn).to(device)
    return Unseen(pool, noise, visibility(vae, pool.video[:_SEEN].float()))


@torch.no_grad()
def errors(
    model: SteadyDancerTransformer, unseen: Unseen, noises: Sequence[float] = NOISES
) -> dict[float, float]:
    """By noise: the squared error of the clip that the model sees in a noisy one, over that of the reference.

    Where the person is or was, from the second latent picture on, channels counting as they show.
    """
    device = unseen.noise.device
    images, pool = PatchImageEncoder(device), unseen.pool
    rope = model.positions(pool.video[:1])
    totals, floor = dict.fromkeys(noises, 0.0), 0.0
    for at in range(0, len(pool), _BATCH):
        batch = pool.take(torch.arange(at, min(at + _BATCH, len(pool)), device=device))
        noise, clean = unseen.noise[at : at + _BATCH], batch.video.float()
        place = (batch.moving.float()[:, None] * unseen.shown.view(1, -1, 1, 1, 1))[:, :, 1:]
        given = vars(conditions_of(batch, batch.pose, images))
        floor += float((place * (clean - clean[:, :, :1]).square()[:, :, 1:]).sum())
        for level in noises:
            noisy, times = (1 - level) * clean + level * noise, torch.full((len(batch),), 1000 * level)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                velocity = model(noisy, times.to(device), **given, rope=rope).float()
            wrong = (noisy - level * velocity - clean).square()
            totals[level] += float((place * wrong[:, :, 1:]).sum())
    return {level: round(total / floor, 5) for level, total in totals.items()}


@torch.no_grad()
def rendered_error(model: SteadyDancerTransformer, unseen: Unseen, steps: int = _STEPS) -> float:
    """The same error of clips rendered from pure noise with Euler steps."""
    device, images, pool = unseen.noise.device, PatchImageEncoder(unseen.noise.device), unseen.pool
    rope = model.positions(pool.video[:1])
    left = torch.linspace(1, 0, steps + 1)
    levels = (_SHIFT * left / (1 + (_SHIFT - 1) * left)).tolist()
    total, floor = 0.0, 0.0
    for at in range(0, len(pool), _BATCH):
        batch = pool.take(torch.arange(at, min(at + _BATCH, len(pool)), device=device))
        x, clean = unseen.noise[at : at + _BATCH], batch.video.float()
        given = vars(conditions_of(batch, batch.pose, images))
        for level, following in itertools.pairwise(levels):
            times = torch.full((len(batch),), 1000 * level, device=device)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                x = x + (following - level) * model(x, times, **given, rope=rope).float()
        place = (batch.moving.float()[:, None] * unseen.shown.view(1, -1, 1, 1, 1))[:, :, 1:]
        total += float((place * (x - clean).square()[:, :, 1:]).sum())
        floor += float((place * (clean - clean[:, :, :1]).square()[:, :, 1:]).sum())
    return round(total / floor, 5)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=Path("resources/models/mini"))
    parser.add_argument("--clips", type=int, default=DiTTraining.unseen)
    options = parser.parse_args(arguments)

    def work() -> None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        bundle = load_mini(options.model, device)
        assert isinstance(bundle.transformer, SteadyDancerTransformer)
        assert isinstance(bundle.vae, MiniVAE)
        height, width = (side * VAE_STRIDE for side in latent_size(1, 1, bundle.spec.native_area))
        recipe = replace(DiTTraining().recipe, height=height, width=width, frames=bundle.spec.native_frames)
        unseen = draw_unseen(bundle.vae, recipe, options.clips, device)
        for level, error in errors(bundle.transformer, unseen).items():
            print(f"noise {level:4.2f}   {error:.4f}")
        print(f"rendered     {rendered_error(bundle.transformer, unseen):.4f}")

    return run(work)


if __name__ == "__main__":
    sys.exit(main())
