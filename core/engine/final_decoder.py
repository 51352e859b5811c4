"""What decodes the result: the model's autoencoder, or the tiny decoder, which is quicker and coarser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.engine.interfaces import Check, ModelBundle, VideoVAE, never
from core.engine.preview_decoders import find_tiny_decoder
from core.engine.tiny_decoder import TinyDecoder, load_tiny_decoder
from core.errors import BadCheckpoint
from core.types import Plan

TINY = "tiny"
_MISSING = "The tiny decoder is not installed, so the video is decoded in full, which takes longer."
_BAD = "The tiny decoder's file cannot be used, so the video is decoded in full, which takes longer."


@dataclass(frozen=True)
class DecodesTiny:
    """``VideoVAE`` that encodes with one autoencoder and decodes with the tiny decoder."""

    vae: VideoVAE
    tiny: TinyDecoder

    def encode(self, video: Tensor, check: Check = never) -> Tensor:
        """See ``VideoVAE``."""
        return self.vae.encode(video, check)

    def decode(self, latents: Tensor, check: Check = never) -> Iterator[Tensor]:
        """See ``VideoVAE``."""
        return self.tiny.decode(latents, check)


def with_final_decoder(
    bundle: ModelBundle, plan: Plan, device: torch.device
) -> tuple[ModelBundle, tuple[str, ...]]:
    """The bundle with the decoder that the plan wants, and notes where that is not to be had."""
    if plan.decoder != TINY:
        return bundle, ()
    path = find_tiny_decoder(plan)
    if path is None:
        return bundle, (_MISSING,)
    on_gpu = device.type == "cuda"
    try:
        tiny = load_tiny_decoder(path, device, torch.float16 if on_gpu else torch.float32)
    except BadCheckpoint:
        return bundle, (_BAD,)
    if on_gpu:
        tiny.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return replace(bundle, vae=DecodesTiny(bundle.vae, tiny)), ()
