"""The video autoencoder of Wan 2.1, piece by piece (spec 5): latents, a still picture's latents, pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.engine.interfaces import Check, never
from core.engine.loading.companions import fill, read_tensors
from core.engine.models.wan_vae_net import Past, Step, WanVAEConfig, WanVAENet, layout_of
from core.engine.uninitialised import on_meta
from core.engine.video_pieces import Piece, on_device
from core.errors import BadInput
from core.geometry import TEMPORAL_STRIDE, latent_frames

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
    """``VideoVAE`` around the network, which computes in the dtype of its weights.

    What comes out is float32, and the latents' scaling is computed so. Not for use by two threads at once.

    Args:
        group: latent frames of a clip that go through the network at once, behind the first: more use a large
            GPU better and take more memory. They change bits where other kernels are chosen for them.
    """

    def __init__(self, model: WanVAENet, config: WanVAEConfig, group: int = 1) -> None:
        self.model = model.eval().requires_grad_(False)
        self.group = group
        shape = (1, -1, 1, 1, 1)
        weight = next(model.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        model.settle()
        self._mean = torch.tensor(config.latents_mean or LATENTS_MEAN, device=self.device).view(shape)
        self._std = torch.tensor(config.latents_std or LATENTS_STD, device=self.device).view(shape)

    def encode(self, video: Tensor, check: Check = never) -> Tensor:
        """video [B, 3, 4n+1, 8h, 8w] in [-1, 1], any device -> normalised posterior mean [B, 16, n+1, h, w].

        Picture 0 alone, then groups of four; ``check`` is called before each group. Always float32.

        Raises:
            BadInput: a number of pictures that is not 4n + 1.
        """
        frames = video.shape[2]
        if (frames - 1) % TEMPORAL_STRIDE:
            raise BadInput("The video autoencoder takes 4n + 1 pictures.", value=frames, limit="4n + 1")
        return self.encode_pieces(in_pieces(video), check)

    @torch.no_grad()
    def encode_pieces(self, pieces: Iterable[Piece], check: Check = never) -> Tensor:
        """``encode`` of a video as it comes: one picture, then four a piece."""
        past: Past = {}
        latents: list[Tensor] = []
        waiting: list[Tensor] = []
        for piece in pieces:
            check()
            waiting.append(self._pictures(piece(self.device)))
            if len(waiting) == (self.group if latents else 1):
                latents.append(self._encoded(waiting, past))
                waiting = []
        if waiting:
            latents.append(self._encoded(waiting, past))
        return torch.cat(latents, dim=2)

    @torch.no_grad()
    def encode_still(self, picture: Tensor, frames: int, check: Check = never) -> Tensor:
        """``encode`` of a video that is one picture [B, 3, 8h, 8w] and mid-grey (zero) pictures behind it.

        The grey becomes constant layer by layer, from the first on, as the picture leaves what each of them
        sees; a layer whose output is constant is not run again. The same bits as ``encode`` with ``group`` 1,
        for kernels that compute each frame of output from what it sees.
        """
        steps = [*self.model.encoder.steps(), Step(lambda x, _: self.model.quant_conv(x))]
        constant_from = settled(steps)
        piece = self._pictures(picture[:, :, None])
        grey = torch.zeros_like(piece).repeat(1, 1, TEMPORAL_STRIDE, 1, 1)
        past: Past = {}
        kept, begin = grey, 0
        latents = []
        for index in range(latent_frames(frames)):
            check()
            x = kept if index else piece
            following = sum(constant <= index for constant in constant_from)
            for number in range(begin, len(steps)):
                x = steps[number].run(x, past)
                if number == following - 1:
                    kept = x
            latents.append(self._normalised(x))
            begin = following
        return torch.cat(latents, dim=2)

    def decode(self, latents: Tensor, check: Check = never) -> Iterator[Tensor]:
        """latents [B, 16, n+1, h, w] -> pictures [B, 3, 1, 8h, 8w], then [B, 3, 4, 8h, 8w], in [-1, 1].

        ``group`` latent frames at a time with the causal features of the frames before, so memory does not
        grow with the length. ``check`` is called before each latent frame.
        """
        past: Past = {}
        for start, stop in self._spans(latents.shape[2]):
            for _ in range(start, stop):
                check()
            with torch.no_grad():
                z = latents[:, :, start:stop].to(self.device, torch.float32) * self._std + self._mean
                z = self.model.post_quant_conv(_laid_out(z.to(self.dtype)))
                pictures = self.model.decoder(z, past).float().clamp_(-1, 1)
            yield from torch.split(pictures, TEMPORAL_STRIDE, dim=2)

    def _spans(self, count: int) -> list[tuple[int, int]]:
        """The first latent frame, then groups."""
        starts = range(1, count, self.group)
        return [(0, 1), *((start, min(count, start + self.group)) for start in starts)]

    def _pictures(self, piece: Tensor) -> Tensor:
        """Pictures as the network takes them."""
        return _laid_out(on_device(piece, self.device).to(self.dtype))

    def _encoded(self, pieces: list[Tensor], past: Past) -> Tensor:
        x = pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=2)
        return self._normalised(self.model.quant_conv(self.model.encoder(x, past)))

    def _normalised(self, features: Tensor) -> Tensor:
        mean, _log_variance = features.float().chunk(2, dim=1)
        return (mean - self._mean) / self._std


def in_pieces(video: Tensor) -> Iterator[Piece]:
    """[B, 3, 4n+1, H, W] -> its first picture, then four at a time."""
    for start in (0, *range(1, video.shape[2], TEMPORAL_STRIDE)):
        stop = start + TEMPORAL_STRIDE if start else 1
        yield partial(on_device, video[:, :, start:stop])


def settled(steps: Sequence[Step]) -> list[int]:
    """For each layer the first piece whose output equals that of all later pieces.

    The input is constant from frame 1 on. The output of a layer that looks back over r frames is so r frames
    later; frame j of one that halves the rate sees frames 2j - 2 to 2j. Piece i has frames n(i - 1) + 1 to
    n i, n being four or what the layers have made of it.
    """
    first, frames = 1, TEMPORAL_STRIDE
    pieces = []
    for step in steps:
        first = -(-(first + step.reach) // step.stride)
        frames //= step.stride
        pieces.append(-(-(first - 1) // frames) + 1)
    return pieces


def _laid_out(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=layout_of(x))


def build_wan_vae(
    state: Mapping[str, Tensor],
    device: torch.device,
    source: str,
    dtype: torch.dtype = torch.float32,
    **config: Any,
) -> WanVAE:
    """A VAE filled strictly with Wan-native or diffusers-named tensors, cast to ``dtype``.

    Args:
        config: fields of ``WanVAEConfig`` where they differ from Wan 2.1 (``base_dim``, ``dim_mult``, ...).

    Raises:
        BadCheckpoint: tensors missing, unknown or of other shapes.
    """
    sizes = WanVAEConfig.of(config)
    with on_meta():
        model = WanVAENet(sizes)
    blocks = sizes.num_res_blocks
    renamed = {diffusers_name(key, blocks): value.to(dtype) for key, value in state.items()}
    fill(model, renamed, source)
    return WanVAE(model.to(device), sizes)


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
