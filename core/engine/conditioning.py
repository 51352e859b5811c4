"""From pictures and a prompt to everything the transformer is conditioned on (spec 3).

Deliberate differences to the reference implementation: the mask is built for the clip's own length, the
reference and first-pose latents are taken from the two long encodes that contain them (the VAE is causal and
encodes picture 0 alone, so they are equal), and skeleton frames do not pass through a video codec.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.engine.encodings import Encodings, Part, pictures_hash
from core.engine.interfaces import Hooks, ModelBundle, Releasable
from core.engine.pictures import Picture, PosePieces, pil_resize, pose_video, resize, to_unit
from core.engine.video_pieces import encode_pieces, encode_still
from core.errors import BadImage, BadInput, BadSetting
from core.geometry import PATCH, TEMPORAL_STRIDE, VAE_STRIDE, latent_frames, latent_size
from core.types import Progress

MASK_CHANNELS = 4
LATENT_CHANNELS = 16

__all__ = [
    "Conditions",
    "Picture",
    "build_conditions",
    "first_frame_mask",
    "latent_shape",
    "pose_video",
    "reference_frame",
    "resize",
    "to_unit",
]


@dataclass(frozen=True)
class Conditions:
    """What one render is conditioned on; every tensor float32, without a batch axis.

    Attributes:
        text, text_null: prompt and negative prompt [n, text_dim], n their true numbers of tokens.
        y: mask and reference video [20, T, H, W].
        ref_x: reference picture [36, 1, H, W].
        ref_c: first pose picture [36, 1, H, W], of which the transformer uses the first 16 channels.
        condition: pose video [16, T, H, W]; condition_null: the negative one, None without guidance.
        clip_x, clip_c: features of the reference and of the first pose picture [257, clip_dim].
    """

    text: Tensor
    text_null: Tensor
    y: Tensor
    ref_x: Tensor
    ref_c: Tensor
    condition: Tensor
    condition_null: Tensor | None
    clip_x: Tensor
    clip_c: Tensor

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """(16, T, H, W)."""
        return tuple(self.condition.shape)

    @property
    def has_negative(self) -> bool:
        """Whether condition guidance is possible."""
        return self.condition_null is not None


def build_conditions(
    bundle: ModelBundle,
    reference_u8: Picture,
    pose_u8: Picture,
    pose_negative_u8: Picture | None,
    prompt: str,
    negative_prompt: str | None,
    area: int,
    hooks: Hooks,
    encodings: Encodings | None = None,
    *,
    text_guided: bool = True,
) -> Conditions:
    """Encode everything a render needs. Long: ``hooks.check`` is called between frames and VAE chunks.

    Args:
        bundle: the model; encoders that can release their weights do so after their last use.
        reference_u8: [H, W, 3] RGB at its own size, which decides the ratio.
        pose_u8: [F, h, w, 3] RGB skeletons, F = 4n + 1.
        pose_negative_u8: the same shape with the augmented skeletons, or None.
        prompt: text; negative_prompt: text, where None and "" mean the model's own default.
        area: pixels of the output, at most; see ``core.geometry.latent_size``.
        encodings: the cache to take from and add to; None computes everything.
        text_guided: whether the negative prompt is used at all; else ``text_null`` is ``text``.

    Raises:
        BadInput: a frame count that is not 4n + 1, unequal pose videos, a picture too narrow for the area.
    """
    height, width = _output_size(reference_u8, area)
    frames = _checked_frames(pose_u8, pose_negative_u8)
    encoder = _Encoder(bundle, encodings or Encodings(), hooks, reference_u8)
    text = encoder.text(prompt)
    text_null = text
    if text_guided:
        text_null = encoder.text(negative_prompt or bundle.spec.default_negative_prompt)
    _release(bundle.text_encoder)
    hooks.check()
    clip_x = encoder.picture(reference_u8)
    clip_c = encoder.picture(pose_u8[0], resized=True)
    _release(bundle.image_encoder)

    size = (height * VAE_STRIDE, width * VAE_STRIDE)
    chunks = _Chunks(hooks, (2 if pose_negative_u8 is None else 3) * latent_frames(frames))
    image_latents = encoder.reference_video(frames, size, chunks)
    condition = encoder.pose_video(pose_u8, size, chunks)
    condition_null = None
    if pose_negative_u8 is not None:
        condition_null = encoder.pose_video(pose_negative_u8, size, chunks)
    mask = first_frame_mask(latent_frames(frames), height, width).to(image_latents.device)
    return Conditions(
        text=text,
        text_null=text_null,
        y=torch.cat([mask, image_latents]),
        ref_x=reference_frame(image_latents[:, :1], known=True),
        ref_c=reference_frame(condition[:, :1], known=False),
        condition=condition,
        condition_null=condition_null,
        clip_x=clip_x,
        clip_c=clip_c,
    )


def latent_shape(reference_u8: Picture, frames: int, area: int) -> tuple[int, ...]:
    """(16, T, H, W) of a video of ``frames`` pictures; arguments and errors as for ``build_conditions``."""
    return (LATENT_CHANNELS, latent_frames(frames), *_output_size(reference_u8, area))


def first_frame_mask(latent_frames: int, height: int, width: int) -> Tensor:
    """[4, T, H, W]: 1 where a picture is given, that is in latent frame 0 (spec 3.3, for any length)."""
    mask = torch.zeros(MASK_CHANNELS, latent_frames, height, width)
    mask[:, 0] = 1
    return mask


def reference_frame(latent: Tensor, *, known: bool) -> Tensor:
    """latent [16, 1, H, W] -> [36, 1, H, W]: latent, mask of ones (known) or zeros, the same latent."""
    mask = torch.full((MASK_CHANNELS, *latent.shape[1:]), float(known), device=latent.device)
    return torch.cat([latent, mask, latent])


def _output_size(reference: Picture, area: int) -> tuple[int, int]:
    """Latent height and width, at least one token each."""
    image_height, image_width = reference.shape[:2]
    height, width = latent_size(image_width, image_height, area)
    if min(height, width) < PATCH:
        smallest = PATCH * VAE_STRIDE
        raise BadImage(
            f"The reference picture is too narrow for a video of {area} pixels.",
            value=f"{image_width}x{image_height}",
            limit=f"both sides of the video at least {smallest} pixels",
            action="Crop the picture to a more usual shape or choose a larger size.",
        )
    return height, width


def _checked_frames(poses: Picture, negative: Picture | None) -> int:
    """F of the pose video."""
    frames = len(poses)
    if frames < 1 or (frames - 1) % TEMPORAL_STRIDE:
        raise BadSetting(
            "The number of frames must be one more than a multiple of four.", value=frames, limit="4n + 1"
        )
    if negative is not None and len(negative) != frames:
        raise BadInput("Both pose videos must have the same length.", value=len(negative), limit=frames)
    return frames


@dataclass(frozen=True)
class _Encoder:
    """Encodes what belongs to one reference, or takes it from the cache; every result float32."""

    bundle: ModelBundle
    encodings: Encodings
    hooks: Hooks
    reference: Picture

    def text(self, prompt: str) -> Tensor:
        """[n, text_dim]."""
        return self._get("text_encoder", lambda: (prompt,), lambda: self.bundle.text_encoder.encode(prompt))[
            0
        ]

    def picture(self, picture: Picture, *, resized: bool = False) -> Tensor:
        """[257, clip_dim] of a picture, brought to the reference's own size where it is ``resized``."""

        def encode() -> Tensor:
            shown = pil_resize(picture, self.reference) if resized else picture
            return self.bundle.image_encoder.encode(to_unit(shown))

        size = self.reference.shape[:2] if resized else None
        features, _ = self._get("image_encoder", lambda: (pictures_hash(picture), str(size)), encode)
        self.hooks.check()
        return features

    def reference_video(self, frames: int, size: tuple[int, int], chunks: _Chunks) -> Tensor:
        """[16, T, H, W] of the reference and the mid-grey after it."""

        def encode() -> Tensor:
            picture = resize(to_unit(self.reference), size)
            return encode_still(self.bundle.vae, picture[None], frames, chunks.check)

        return self._video(
            lambda: ("reference", pictures_hash(self.reference), str((frames, size))),
            encode,
            chunks,
            latent_frames(frames),
        )

    def pose_video(self, poses: Picture, size: tuple[int, int], chunks: _Chunks) -> Tensor:
        """[16, T, H, W] of skeletons."""
        check = self.hooks.check

        def encode() -> Tensor:
            with PosePieces(poses, self.reference, size, check) as pieces:
                return encode_pieces(self.bundle.vae, pieces, chunks.check)

        return self._video(
            lambda: ("pose", pictures_hash(poses, check), str((self.reference.shape[:2], size))),
            encode,
            chunks,
            latent_frames(len(poses)),
        )

    def _video(
        self,
        content: Callable[[], tuple[str, ...]],
        encode: Callable[[], Tensor],
        chunks: _Chunks,
        count: int,
    ) -> Tensor:
        latents, found = self._get("vae", content, lambda: encode()[0])
        if found:
            chunks.skip(count)
        return latents

    def _get(
        self, part: Part, content: Callable[[], tuple[str, ...]], encode: Callable[[], Tensor]
    ) -> tuple[Tensor, bool]:
        return self.encodings.get(part, content, lambda: encode().float())


def _release(encoder: Any) -> None:
    if isinstance(encoder, Releasable):
        encoder.release()


class _Chunks:
    """Reports how many of all VAE chunks have begun, or were there already."""

    def __init__(self, hooks: Hooks, chunks: int) -> None:
        self._hooks, self._chunks = hooks, chunks
        self._begun = 0

    def check(self) -> None:
        """A chunk begins."""
        self._report()
        self._begun += 1

    def skip(self, count: int) -> None:
        """So many need not be encoded."""
        self._begun += count
        self._report()

    def _report(self) -> None:
        self._hooks.check()
        step = min(self._begun, self._chunks)
        self._hooks.on_progress(Progress(phase="encode", step=step, steps=self._chunks))
