"""What tiles change with trained weights: the embedded model's autoencoder has the only ones at hand."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.catalogue.entries import mini_folder
from core.engine.memory.tiles import TiledVAE
from core.engine.models.mini import load_mini
from core.evaluation.memory_peaks.meter import Report
from core.evaluation.memory_peaks.pictures import decoded, psnr

SIDE = 384
TILE = 256
FRAMES = 9
SHIFT = 4
OVERLAPS = (0, 16, 32, 64)
LEVELS = 127.5


@torch.no_grad()
def tiles_of_the_embedded_model(report: Report, device: torch.device) -> None:
    """A demo character that slides sideways, four tiles against the whole."""
    vae = load_mini(mini_folder(), device).vae
    video = sliding_character()
    latents = vae.encode(video)
    whole = decoded(vae, latents)
    for overlap in OVERLAPS:
        tiled = TiledVAE(vae, TILE, overlap)
        apart = float((tiled.encode(video) - latents).norm() / latents.norm())
        pictures = decoded(tiled, latents)
        worst = float((pictures - whole).abs().max()) * LEVELS
        figure = f"latents {apart:.1e} relative, pictures {psnr(pictures, whole):.1f} dB, {worst:.1f} levels"
        report.check(f"embedded VAE in tiles that share {overlap} pixels", figure, True)


def sliding_character() -> Tensor:
    """[1, 3, FRAMES, SIDE, SIDE] in [-1, 1]."""
    path = mini_folder().parents[1] / "demo" / "characters" / "Ada.png"
    with Image.open(path) as picture:
        pixels = np.array(picture.convert("RGB").resize((SIDE, SIDE)))
    still = torch.from_numpy(pixels).permute(2, 0, 1).float() / LEVELS - 1
    return torch.stack([torch.roll(still, SHIFT * frame, 2) for frame in range(FRAMES)], dim=1)[None]
