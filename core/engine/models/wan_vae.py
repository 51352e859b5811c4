"""The video autoencoder of Wan 2.1 through diffusers' AutoencoderKLWan, chunk by chunk (spec 5)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan, WanCausalConv3d
from torch import Tensor, nn

from core.engine.interfaces import Check, never
from core.engine.loading.companions import fill, read_tensors
from core.errors import BadInput
from core.geometry import TEMPORAL_STRIDE

# Per-channel mean and standard deviation of Wan 2.1's latents; latent = (posterior mean - M) / S.
LATENTS_MEAN = (
    *(-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508),
    *(0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921),
)
LATENTS_STD = (
    *(2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743),
    *(3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160),
)

RESIDUAL = {"residual.0": "norm1", "residual.2": "conv1", "residual.3": "norm2", "residual.6": "conv2"}
HEAD = {"head.0": "norm_out", "head.2": "conv_out"}


class WanVAE:
    """``VideoVAE`` around a diffusers model, which computes in the dtype of its weights.

    What comes out is float32, and the latents' scaling is computed so. Not for use by two threads at once.
    """

    def __init__(self, model: AutoencoderKLWan) -> None:
        self.model = model.eval().requires_grad_(False)
        shape = (1, -1, 1, 1, 1)
        weight = next(model.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        self._mean = torch.tensor(model.config.latents_mean, device=self.device).view(shape)
        self._std = torch.tensor(model.config.latents_std, device=self.device).view(shape)

    @torch.no_grad()
    def encode(self, video: Tensor, check: Check = never) -> Tensor:
        """video [B, 3, 4n+1, 8h, 8w] in [-1, 1], any device -> normalised posterior mean [B, 16, n+1, h, w].

        Picture 0 alone, then groups of four; ``check`` is called before each group. Always float32.

        Raises:
            BadInput: a number of pictures that is not 4n + 1.
        """
        frames = video.shape[2]
        if (frames - 1) % TEMPORAL_STRIDE:
            raise BadInput("The video autoencoder takes 4n + 1 pictures.", value=frames, limit="4n + 1")
        encoder, cache = self.model.encoder, _feature_cache(self.model.encoder)
        starts = [0, *range(1, frames, TEMPORAL_STRIDE)]
        chunks = []
        for start in starts:
            check()
            stop = start + TEMPORAL_STRIDE if start else 1
            pictures = video[:, :, start:stop].to(self.device, self.dtype)
            features = encoder(pictures, feat_cache=cache, feat_idx=[0])
            mean, _log_variance = self.model.quant_conv(features).float().chunk(2, dim=1)
            chunks.append((mean - self._mean) / self._std)
        return torch.cat(chunks, dim=2)

    def decode(self, latents: Tensor, check: Check = never) -> Iterator[Tensor]:
        """latents [B, 16, n+1, h, w] -> pictures [B, 3, 1, 8h, 8w], then [B, 3, 4, 8h, 8w], in [-1, 1].

        One latent frame at a time with the causal features of the frames before, so memory does not grow
        with the length. ``check`` is called before each latent frame.
        """
        decoder, cache = self.model.decoder, _feature_cache(self.model.decoder)
        for index in range(latents.shape[2]):
            check()
            with torch.no_grad():
                z = latents[:, :, index : index + 1].to(self.device, torch.float32) * self._std + self._mean
                features = self.model.post_quant_conv(z.to(self.dtype))
                pictures = decoder(features, feat_cache=cache, feat_idx=[0], first_chunk=index == 0)
                pictures = pictures.float().clamp(-1, 1)
            yield pictures


def build_wan_vae(
    state: Mapping[str, Tensor],
    device: torch.device,
    source: str,
    dtype: torch.dtype = torch.float32,
    **config: Any,
) -> WanVAE:
    """A VAE filled strictly with Wan-native or diffusers-named tensors, cast to ``dtype``.

    Args:
        config: of AutoencoderKLWan where it differs from Wan 2.1 (``base_dim``, ``dim_mult``, ...).

    Raises:
        BadCheckpoint: tensors missing, unknown or of other shapes.
    """
    config = {"latents_mean": list(LATENTS_MEAN), "latents_std": list(LATENTS_STD)} | config
    with torch.device("meta"):
        model = AutoencoderKLWan(**config)
    blocks = int(model.config.num_res_blocks)
    renamed = {diffusers_name(key, blocks): value.to(dtype) for key, value in state.items()}
    fill(model, renamed, source)
    return WanVAE(model.to(device))


def load_wan_vae(
    path: Path, device: torch.device, dtype: torch.dtype = torch.float32, **config: Any
) -> WanVAE:
    """The VAE of Wan 2.1 from a safetensors file; raises ``BadCheckpoint``."""
    return build_wan_vae(read_tensors(path, dtype), device, path.name, dtype, **config)


def diffusers_name(key: str, num_res_blocks: int) -> str:
    """The diffusers name of a Wan-native (``WanVAE_``) key; a diffusers name stays as it is."""
    if key.startswith("conv1."):
        return key.replace("conv1.", "quant_conv.", 1)
    if key.startswith("conv2."):
        return key.replace("conv2.", "post_quant_conv.", 1)
    key = re.sub(r"^(encoder|decoder)\.conv1\.", r"\1.conv_in.", key)
    key = re.sub(r"\.(head\.[02])\.", lambda found: f".{HEAD[found[1]]}.", key)
    key = re.sub(r"\.middle\.([012])\.", _middle_block, key)
    key = re.sub(r"^encoder\.downsamples\.", "encoder.down_blocks.", key)
    key = re.sub(r"^decoder\.upsamples\.(\d+)\.", lambda found: _up_block(int(found[1]), num_res_blocks), key)
    key = re.sub(r"\.(residual\.[0236])\.", lambda found: f".{RESIDUAL[found[1]]}.", key)
    return key.replace(".shortcut.", ".conv_shortcut.")


def _middle_block(found: re.Match[str]) -> str:
    index = int(found[1])
    return ".mid_block.attentions.0." if index == 1 else f".mid_block.resnets.{index // 2}."


def _up_block(index: int, num_res_blocks: int) -> str:
    """Native names count layers; a stage has num_res_blocks + 1 residual blocks, then an upsampler."""
    stage, layer = divmod(index, num_res_blocks + 2)
    if layer == num_res_blocks + 1:
        return f"decoder.up_blocks.{stage}.upsamplers.0."
    return f"decoder.up_blocks.{stage}.resnets.{layer}."


def _feature_cache(part: nn.Module) -> list[Tensor | str | None]:
    """One empty slot per causal convolution, which the layers fill in their order."""
    return [None] * sum(isinstance(module, WanCausalConv3d) for module in part.modules())
