"""The video autoencoder: seconds and peaks whole and in tiles, and what tiles and 16 bits change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from core.engine.interfaces import VideoVAE
from core.engine.memory.tiles import TiledVAE
from core.engine.models.wan_vae import WanVAE
from core.engine.models.wan_vae_net import WanVAEConfig, WanVAENet
from core.evaluation.memory_peaks.forwards import Clip
from core.evaluation.memory_peaks.meter import Report, Row, measure
from core.evaluation.memory_peaks.pictures import decoded, psnr, smooth_video
from core.evaluation.memory_peaks.predicted import predict_vae
from core.geometry import VAE_STRIDE, latent_frames

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SHORT = 9  # pictures in comparisons


@dataclass(frozen=True)
class Autoencoder:
    """Measures one autoencoder with random weights.

    Args:
        sizes: fields of WanVAEConfig where they differ from Wan 2.1.
    """

    report: Report
    device: torch.device
    sizes: dict[str, Any]

    def peaks(self, clip: Clip, dtype: str, tile: int | None) -> None:
        """Encode and decode a clip; pictures come from and go to host memory."""
        vae = self._tiled(dtype, tile)
        way = f"{dtype}, {'whole' if tile is None else f'tiles of {tile}'}"
        generator = torch.Generator().manual_seed(3)
        video = torch.rand((1, 3, clip.frames, clip.height, clip.width), generator=generator) * 2 - 1
        height, width = clip.height // VAE_STRIDE, clip.width // VAE_STRIDE
        latents = torch.randn((1, 16, latent_frames(clip.frames), height, width), generator=generator)
        works: dict[str, Callable[[], object]] = {
            "VAE encode": lambda: vae.encode(video),
            "VAE decode": lambda: [chunk.cpu() for chunk in vae.decode(latents)],
        }
        for what, work in works.items():
            seen = measure(work, self.device)
            predicted = predict_vae(clip.size, tile, dtype, decode=what == "VAE decode")
            self.report.add(
                Row(
                    what,
                    way,
                    clip.name,
                    seen.seconds,
                    seen.held_bytes,
                    seen.peak_bytes,
                    seen.reserved_bytes,
                    predicted,
                )
            )

    def differences(self, clip: Clip, tiles: tuple[int, ...]) -> None:
        """16 bits and tiles against whole float32, on a smooth random clip of a few pictures."""
        plain = self._model("float32")
        video = smooth_video(Clip(clip.width, clip.height, min(SHORT, clip.frames)))
        latents = plain.encode(video)
        pictures = decoded(plain, latents)
        ways: dict[str, VideoVAE] = {f"tiles of {tile}": TiledVAE(plain, tile) for tile in tiles}
        ways |= {dtype: self._model(dtype) for dtype in ("bfloat16", "float16")}
        for way, vae in ways.items():
            encoded, tried = vae.encode(video), decoded(vae, latents)
            apart = (encoded - latents).norm() / latents.norm()
            finite = bool(torch.isfinite(tried).all() and torch.isfinite(encoded).all())
            self.report.check(
                f"VAE {way} against whole float32, {clip.width}x{clip.height}",
                f"latents {apart:.2e} relative, pictures {psnr(tried, pictures):.1f} dB",
                finite,
            )

    def _tiled(self, dtype: str, tile: int | None) -> VideoVAE:
        whole = self._model(dtype)
        return whole if tile is None else TiledVAE(whole, tile)

    def _model(self, dtype: str) -> WanVAE:
        config = WanVAEConfig.of(self.sizes)
        torch.manual_seed(5)
        with self.device:
            model = WanVAENet(config)
        return WanVAE(model.to(DTYPES[dtype]), config)
