"""Videos that an autoencoder is given in pieces or as a still picture, where it can take them so.

Any ``VideoVAE`` works: one that cannot is given the whole video.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol, runtime_checkable

import torch
from torch import Tensor

from core.engine.interfaces import Check, VideoVAE, never

CPU: Final = torch.device("cpu")
Piece = Callable[[torch.device], Tensor]
"""Makes pictures [B, 3, n, 8h, 8w] in [-1, 1], float32, on a device: one for the first piece, then four."""


@runtime_checkable
class EncodesPieces(Protocol):
    """A ``VideoVAE`` that takes a video as it comes."""

    def encode_pieces(self, pieces: Iterable[Piece], check: Check = never) -> Tensor:
        """``encode`` of the pieces in a row."""
        ...


@runtime_checkable
class EncodesStill(Protocol):
    """A ``VideoVAE`` that knows when the features of a grey video repeat."""

    def encode_still(self, picture: Tensor, frames: int, check: Check = never) -> Tensor:
        """``encode`` of one picture [B, 3, 8h, 8w] and mid-grey behind it, ``frames`` = 4n + 1 in all."""
        ...


def encode_pieces(vae: VideoVAE, pieces: Iterable[Piece], check: Check = never) -> Tensor:
    """Normalised latents [B, 16, n+1, h, w]; see ``VideoVAE.encode``."""
    if isinstance(vae, EncodesPieces):
        return vae.encode_pieces(pieces, check)
    return vae.encode(torch.cat([piece(CPU) for piece in pieces], dim=2), check)


def encode_still(vae: VideoVAE, picture: Tensor, frames: int, check: Check = never) -> Tensor:
    """Normalised latents [B, 16, n+1, h, w] of ``picture`` [B, 3, 8h, 8w] and mid-grey (0) after it."""
    if isinstance(vae, EncodesStill):
        return vae.encode_still(picture, frames, check)
    video = picture.new_zeros(*picture.shape[:2], frames, *picture.shape[2:])
    video[:, :, 0] = picture
    return vae.encode(video, check)


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copied there; to a GPU without waiting for what it does now."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
