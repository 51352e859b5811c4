"""A pool of clips encoded once: what a step of transformer training is made of."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from core.engine.interfaces import VideoVAE
from core.engine.models.mini_encoders import TEXT_DIM, TEXT_LEN, PatchImageEncoder, WordHashEncoder
from core.training.clips import Clips

SMALL = 128
# Root mean square over channels at which a place counts half as changed; noise of the encoder is far below.
_HALFWAY = 0.5
# Spread of the change by which a channel's visibility is measured; the channels' own is 1.
_PROBE = 0.3


@dataclass
class LatentPool:
    """Encoded clips, all on one device.

    video, pose, negative, image: latents [N, 16, T, h, w] bf16 (image = reference, then mid-grey pictures);
    reference, first_pose: uint8 [N, 3, 128, 128]; text [N, 16, 64]; moving [N, T, h, w] bool (where the
    person is in any of the frame's pictures, or was in the reference); surface: latents of the person by
    places, [N, 0] where they are not drawn.
    """

    video: Tensor
    pose: Tensor
    negative: Tensor
    image: Tensor
    reference: Tensor
    first_pose: Tensor
    text: Tensor
    moving: Tensor
    surface: Tensor

    def __len__(self) -> int:
        return len(self.video)

    def join(self, other: LatentPool) -> LatentPool:
        """Both pools in one."""
        return LatentPool(*(torch.cat([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)))

    def replace(self, at: int, other: LatentPool) -> None:
        """Overwrite ``len(other)`` entries from ``at`` on (``at`` is wrapped by the caller)."""
        for f in fields(self):
            getattr(self, f.name)[at : at + len(other)] = getattr(other, f.name)

    def random(self, count: int) -> LatentPool:
        """A batch of random entries."""
        return self.take(torch.randint(len(self), (count,), device=self.video.device))

    def take(self, index: Tensor) -> LatentPool:
        """A batch."""
        return LatentPool(*(getattr(self, f.name)[index] for f in fields(self)))


@dataclass(frozen=True)
class Conditions:
    """Inputs of the transformer but for x and t, named as its arguments."""

    text: Tensor
    condition: Tensor
    y: Tensor
    ref_x: Tensor
    ref_c: Tensor
    clip_x: Tensor
    clip_c: Tensor


def encode_clips(clips: Clips, vae: VideoVAE) -> LatentPool:
    """Encode a batch of clips (with negatives) on the VAE's device."""
    device = clips.video.device
    assert clips.negative is not None, "the pool needs negative poses"
    video = _pictures(clips.video)
    image = torch.zeros_like(video)
    image[:, :, 0] = video[:, :, 0]
    words = WordHashEncoder()
    text = torch.zeros(len(video), TEXT_LEN, TEXT_DIM)
    for row, prompt in zip(text, clips.captions, strict=True):
        tokens = words.encode(prompt)
        row[: len(tokens)] = tokens
    return LatentPool(
        video=vae.encode(video).bfloat16(),
        pose=vae.encode(_pictures(clips.pose)).bfloat16(),
        negative=vae.encode(_pictures(clips.negative)).bfloat16(),
        image=vae.encode(image).bfloat16(),
        reference=_small(clips.video[:, :, 0]),
        first_pose=_small(clips.pose[:, :, 0]),
        text=text.to(device, torch.bfloat16),
        moving=_moving(clips.mask),
        surface=_surface(clips, vae),
    )


def changed(latents: Tensor, reference: Tensor) -> Tensor:
    """How far each place of a video is from its reference, 0..1, smoothed over 3x3 places.

    latents [B, 16, T, h, w]; reference [B, 16, 1, h, w], both of about unit size -> [B, T, h, w] float32.
    """
    far = (latents.float() - reference.float()).square().mean(dim=1).sqrt()
    smooth = F.avg_pool2d(far, 3, stride=1, padding=1, count_include_pad=False)
    return smooth / (smooth + _HALFWAY)


def _pictures(frames: Tensor) -> Tensor:
    return frames.float() / 127.5 - 1


def _small(pictures: Tensor) -> Tensor:
    small = F.interpolate(pictures.float(), (SMALL, SMALL), mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).to(torch.uint8)


def _surface(clips: Clips, vae: VideoVAE) -> Tensor:
    if clips.surface is None:
        return torch.zeros(len(clips.video), 0, device=clips.video.device)
    return vae.encode(_pictures(clips.surface)).bfloat16()


def _moving(mask: Tensor) -> Tensor:
    """mask [B, F, H, W] -> [B, T, h, w]."""
    padded = torch.cat([mask[:, :1].expand(-1, 3, -1, -1), mask], dim=1).float()
    grown = F.max_pool3d(padded[:, None], (4, 8, 8))[:, 0]
    return torch.maximum(grown, grown[:, :1]) > 0


def black_latent(vae: VideoVAE, like: LatentPool, frames: int) -> Tensor:
    """The latent of a black skeleton video (nobody there), [16, T, h, w]."""
    height, width = like.video.shape[-2] * 8, like.video.shape[-1] * 8
    nothing = torch.full((1, 3, frames, height, width), -1.0, device=like.video.device)
    return vae.encode(nothing)[0].bfloat16()


@torch.no_grad()
def visibility(vae: VideoVAE, latents: Tensor) -> Tensor:
    """How much a change of each channel changes the decoded pictures: mean squares, [C], of mean 1.

    Channels have equal spread whatever they show: those of whole areas change a picture 70 times as much as
    those of fine detail within four pictures.

    Args:
        vae: decodes.
        latents: [N, C, T, h, w] of clips.
    """
    drawn = torch.Generator(latents.device).manual_seed(0)
    noise = _PROBE * torch.randn(latents[:, 0].shape, generator=drawn, device=latents.device)
    plain = torch.cat(list(vae.decode(latents)), dim=2)
    shown = []
    for channel in range(latents.shape[1]):
        changed_one = latents.clone()
        changed_one[:, channel] += noise
        shown.append((torch.cat(list(vae.decode(changed_one)), dim=2) - plain).square().mean())
    each = torch.stack(shown)
    return each / each.mean()


def conditions_of(batch: LatentPool, condition: Tensor, images: PatchImageEncoder) -> Conditions:
    """Conditions as the product's pipeline builds them (spec 3.3).

    ``condition`` is the batch's pose, its negative or black; the reference tokens and both picture vectors
    stay those of the positive pose, as upstream's negative branch has it.
    """
    image = batch.image.float()
    mask = torch.zeros_like(image[:, :4])
    mask[:, :, 0] = 1
    reference, pose = image[:, :, :1], batch.pose[:, :, :1].float()
    ones = torch.ones_like(reference[:, :4])
    return Conditions(
        text=batch.text.float(),
        condition=condition.float(),
        y=torch.cat([mask, image], dim=1),
        ref_x=torch.cat([reference, ones, reference], dim=1),
        ref_c=torch.cat([pose, 0 * ones, pose], dim=1),
        clip_x=images.encode_batch(batch.reference.float() / 127.5 - 1),
        clip_c=images.encode_batch(batch.first_pose.float() / 127.5 - 1),
    )
