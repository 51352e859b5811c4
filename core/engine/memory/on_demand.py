"""Encoders and autoencoders that are read from their files at first use and can be let go of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from torch import Tensor

from core.engine.interfaces import Check, ImageEncoder, VideoVAE, never
from core.engine.video_pieces import Piece, encode_pieces, encode_still

Loaded = TypeVar("Loaded")


class OnDemand(Generic[Loaded]):
    """A part of the model with its loader; a ``Part`` of ``core.engine.memory.residency``."""

    def __init__(self, load: Callable[[], Loaded]) -> None:
        self._load = load
        self._loaded: Loaded | None = None

    def get(self) -> Loaded:
        """The part, read now if it is not there."""
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def bring(self) -> None:
        """It comes at its first use, when the parts used before it in the same phase have left."""

    def release(self) -> None:
        """Drop it; the next use reads it again."""
        self._loaded = None


class OnDemandVAE(OnDemand[VideoVAE]):
    """A ``VideoVAE`` that is read at first use."""

    def encode(self, video: Tensor, check: Check = never) -> Tensor:
        """See ``VideoVAE``."""
        return self.get().encode(video, check)

    def encode_pieces(self, pieces: Iterable[Piece], check: Check = never) -> Tensor:
        """See ``EncodesPieces``."""
        return encode_pieces(self.get(), pieces, check)

    def encode_still(self, picture: Tensor, frames: int, check: Check = never) -> Tensor:
        """See ``EncodesStill``."""
        return encode_still(self.get(), picture, frames, check)

    def decode(self, latents: Tensor, check: Check = never) -> Iterator[Tensor]:
        """See ``VideoVAE``."""
        yield from self.get().decode(latents, check)


class OnDemandImageEncoder(OnDemand[ImageEncoder]):
    """An ``ImageEncoder`` that is read at first use."""

    def encode(self, image: Tensor) -> Tensor:
        """See ``ImageEncoder``."""
        return self.get().encode(image)
