"""Sizes of the networks of a catalogue's architecture: parameters, tokens, operations. Pure arithmetic.

Counts are those of the SteadyDancer specification: 16,396,718,736 parameters at the real sizes (within 0.01
%).
"""

from __future__ import annotations

from dataclasses import dataclass

from core.catalogue.catalogue import Architecture
from core.catalogue.planning.coefficients import VAE_REAL_PARAMETERS, VAE_REAL_WIDTH
from core.geometry import PATCH, VAE_STRIDE, latent_frames
from core.types import Size

REFERENCE_FRAMES = 2  # latent frames appended to the video's
CLIP_TOKENS = 257
LATENT_CHANNELS = 16
IMAGE_CHANNELS = 36


@dataclass(frozen=True)
class ModelSizes:
    """Sizes that memory and time follow from.

    Attributes:
        dim, ffn_dim, layers: width, feed-forward width and blocks of the transformer.
        block_parameters: of one block; other_parameters: of the transformer outside its blocks.
        context_tokens: tokens that cross-attention looks at.
        vae_width: of the video autoencoder, 1.0 for the real one.
    """

    dim: int
    ffn_dim: int
    layers: int
    block_parameters: int
    other_parameters: int
    context_tokens: int
    text_parameters: int
    text_linear_parameters: int
    image_parameters: int
    vae_width: float

    @property
    def transformer_parameters(self) -> int:
        """All of the transformer's."""
        return self.layers * self.block_parameters + self.other_parameters

    @property
    def largest_linear(self) -> int:
        """Weights of the largest linear layer of a block."""
        return self.dim * max(self.dim, self.ffn_dim)

    @property
    def vae_parameters(self) -> int:
        """The autoencoder's, which grow with the square of its width."""
        return int(VAE_REAL_PARAMETERS * self.vae_width**2)

    def linear_operations(self, tokens: int) -> float:
        """Of the blocks' linear layers in one forward: a multiplication and an addition are two."""
        per_token = 6 * self.dim**2 + 2 * self.dim * self.ffn_dim
        return 2.0 * tokens * self.layers * per_token

    def attention_operations(self, tokens: int) -> float:
        """Of dense self-attention and cross-attention in one forward."""
        return 4.0 * tokens * (tokens + self.context_tokens) * self.dim * self.layers


def model_sizes(architecture: Architecture) -> ModelSizes:
    """The sizes of an architecture; what it leaves out has Wan 2.1's value."""
    given = architecture.transformer
    dim, ffn = int(given["dim"]), int(given["ffn_dim"])
    text_len, clip = int(given.get("text_len", 512)), int(given.get("clip_dim", 1280))
    text_linear, text_table = _text(architecture.text_encoder)
    return ModelSizes(
        dim=dim,
        ffn_dim=ffn,
        layers=int(given["num_layers"]),
        block_parameters=10 * dim**2 + 2 * dim * ffn + 24 * dim + ffn,
        other_parameters=_other(dim, int(given.get("text_dim", 4096)), clip, int(given.get("freq_dim", 256))),
        context_tokens=text_len + CLIP_TOKENS,
        text_parameters=text_linear + text_table,
        text_linear_parameters=text_linear,
        image_parameters=_image(architecture.image_encoder),
        vae_width=float(architecture.vae.get("base_dim", VAE_REAL_WIDTH)) / VAE_REAL_WIDTH,
    )


def token_count(size: Size, frames: int) -> int:
    """Tokens of a forward at an area budget: the video's latent frames and two reference frames."""
    a_frame = max(1, size.area // (VAE_STRIDE * PATCH) ** 2)
    return (latent_frames(frames) + REFERENCE_FRAMES) * a_frame


def _other(dim: int, text_dim: int, clip: int, freq: int) -> int:
    """Time, text and image embeddings, patch embeddings and head."""
    time = freq * dim + dim**2 + 6 * dim**2 + 8 * dim
    text = text_dim * dim + dim**2 + 2 * dim
    image = clip**2 + clip * dim + 3 * clip + 3 * dim
    patch_inputs = 2 * IMAGE_CHANNELS + 3 * LATENT_CHANNELS  # main tokens, reference picture, first pose
    return time + text + image + (4 * patch_inputs + 3) * dim + (4 * LATENT_CHANNELS + 2) * dim


def _text(given: dict[str, int]) -> tuple[int, int]:
    """Parameters of the text encoder's layers and of its table of words."""
    if not given:
        return 0, 0
    dim = int(given["dim"])
    a_layer = 4 * dim * int(given["dim_attn"]) + 3 * dim * int(given["dim_ffn"])
    return int(given["num_layers"]) * a_layer, int(given["vocab_size"]) * dim


def _image(given: dict[str, int]) -> int:
    if not given:
        return 0
    width, hidden = int(given["hidden_size"]), int(given["intermediate_size"])
    return int(given["num_hidden_layers"]) * (4 * width**2 + 2 * width * hidden)
