"""How close a generated clip is to the true one: the measures of the embedded model's evaluation table.

All take uint8 video and work on any device. They cover pictures 1 to F-1 (picture 0 is given to the model),
except ``psnr_frame0``. Lengths in pixels are meant for a picture of 192 rows and scale with the height, so
that figures of models of other sizes can be compared; distances are reported in pixels of that height too.
``flicker_body``, ``flicker_scene`` and ``colour`` are differences in grey levels of 255, best at 0.

The body region is the true person's mask, dilated by 2 pixels, united with the person's place in picture 0.
Peak signal-to-noise ratios stop at 100 dB, which an identical clip scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from core.evaluation.regions import colour_distance
from core.training.clips import Clips

BASE_HEIGHT = 192
DILATION = 2
PATCH_RADIUS = 5
SEARCH = 14
PCK_PIXELS = 4.0
# Two hundredths of the height; suite 1 was measured with a little more.
PCK_SHARE_PIXELS = 0.02 * BASE_HEIGHT
SILHOUETTE_THRESHOLD = 25 / 255
# Nose, elbows, wrists, knees and ankles in OpenPose order: they move most and have texture around them.
JOINTS = (0, 3, 4, 6, 7, 9, 10, 12, 13)
# Breaks the ties of flat patches in favour of "has not moved"; far below any visible difference.
_CENTRE_PREFERENCE = 1e-9
_SMALLEST_MSE = 1e-10
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Truth:
    """The true clips.

    video: uint8 [B, 3, F, H, W]; mask: bool [B, F, H, W], the person; joints: [B, F, 18, 2] pixels (x, y);
    shown: bool [B, F, 18]; background: uint8 [B, 3, H, W], the scene without the person.
    """

    video: Tensor
    mask: Tensor
    joints: Tensor
    shown: Tensor
    background: Tensor

    @classmethod
    def of(cls, clips: Clips, device: torch.device | str = "cpu") -> Truth:
        """What the measures need of a batch of clips."""
        parts = (clips.video, clips.mask, clips.joints, clips.shown, clips.background)
        return cls(*(part.to(device) for part in parts))

    @cached_property
    def body(self) -> Tensor:
        """The body region of pictures 1 to F-1, bool [B, F-1, H, W]."""
        radius = scaled(DILATION, self.mask.shape[-2])
        grown = F.max_pool2d(self.mask.float(), 2 * radius + 1, stride=1, padding=radius) > 0
        return grown[:, 1:] | grown[:, :1]


def scaled(pixels: int, height: int) -> int:
    """A length for 192 rows at this height, at least one pixel."""
    return max(1, round(pixels * height / BASE_HEIGHT))


def measure(
    generated: Tensor, truth: Truth, pck_pixels: float = PCK_PIXELS, *, shadows: bool = False
) -> dict[str, Tensor]:
    """All measures of generated clips uint8 [B, 3, F, H, W]: name -> [B]; F at least 4.

    Names: psnr, psnr_body, psnr_frame0 (dB), ssim, iou, joint_error (pixels of a 192-row picture), pck (share
    of joints within ``pck_pixels`` of such a picture), sharpness_body, sharpness, flicker (ratios to the
    truth), flicker_body, flicker_scene, colour (grey levels).

    Args:
        shadows: people cast shadows, so that their scene is what the true pictures show around them.

    Raises:
        ValueError: another shape or dtype than the truth's, or too few frames.
    """
    shapes = tuple(generated.shape), tuple(truth.video.shape)
    if shapes[0] != shapes[1] or generated.dtype != torch.uint8 or shapes[0][2] < 4:
        raise ValueError(f"generated {shapes[0]} of {generated.dtype}, truth {shapes[1]}")
    ours, true = _frames(generated), _frames(truth.video)
    body = truth.body
    everywhere = torch.ones_like(body)
    errors = joint_errors(generated, truth)
    scene = (truth.background[:, None].float() / 255).expand_as(true)
    if shadows:
        scene = torch.where(truth.mask[:, :, None], scene, true)
    return {
        "psnr": psnr(ours[:, 1:], true[:, 1:], everywhere),
        "psnr_body": psnr(ours[:, 1:], true[:, 1:], body),
        "ssim": ssim(_luma(ours[:, 1:]), _luma(true[:, 1:])),
        "psnr_frame0": psnr(ours[:, :1], true[:, :1], everywhere[:, :1]),
        "iou": iou(ours[:, 1:], scene[:, 1:], truth.mask[:, 1:]),
        "joint_error": errors.nanmean(dim=(1, 2)),
        "pck": share_within(errors, pck_pixels),
        "sharpness_body": _ratio(laplacian_energy, ours[:, 1:], true[:, 1:], body),
        "sharpness": _ratio(laplacian_energy, ours[:, 1:], true[:, 1:], everywhere),
        "flicker": _ratio(flicker_energy, ours[:, 1:], true[:, 1:], everywhere),
        **flicker_errors(ours[:, 1:], true[:, 1:], body),
        "colour": colour_distance(
            ours[:, 1:], true[:, 1:], truth.joints[:, 1:], truth.mask[:, 1:], truth.background
        ),
    }


def _frames(video: Tensor) -> Tensor:
    """uint8 [B, 3, F, H, W] -> float [B, F, 3, H, W] in 0..1."""
    return video.transpose(1, 2).float() / 255


def _luma(frames: Tensor) -> Tensor:
    """[B, F, 3, H, W] -> [B, F, H, W]."""
    weights = torch.tensor(_LUMA, device=frames.device).view(3, 1, 1)
    return (frames * weights).sum(dim=2)


def psnr(ours: Tensor, true: Tensor, region: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB over a region: [B, F, 3, H, W] twice, [B, F, H, W] -> [B]."""
    squared = (ours - true).square().mean(dim=2) * region
    mse: Tensor = squared.sum(dim=(1, 2, 3)) / region.sum(dim=(1, 2, 3)).clamp_min(1)
    return -10 * mse.clamp_min(_SMALLEST_MSE).log10()


def ssim(ours: Tensor, true: Tensor) -> Tensor:
    """Structural similarity of luma [B, F, H, W] -> [B]; Gaussian window 11, sigma 1.5 (Wang et al. 2004)."""
    moments = torch.stack([ours, true, ours * ours, true * true, ours * true])
    mean_a, mean_b, square_a, square_b, product = _blur(moments)
    c1, c2 = 0.01**2, 0.03**2
    covariance = product - mean_a * mean_b
    variances = (square_a - mean_a * mean_a) + (square_b - mean_b * mean_b)
    similarity: Tensor = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    similarity /= (mean_a * mean_a + mean_b * mean_b + c1) * (variances + c2)
    return similarity.mean(dim=(1, 2, 3))


def _blur(x: Tensor) -> Tensor:
    """Valid Gaussian smoothing of the last two axes; by matrices, exact enough on a GPU too."""
    height, width = x.shape[-2:]
    return _gaussian(height, x.device) @ x @ _gaussian(width, x.device).T


def _gaussian(size: int, device: torch.device) -> Tensor:
    """[size - 10, size]: each row the window at its place."""
    taps = torch.exp(-0.5 * ((torch.arange(11) - 5) / 1.5).square())
    band = torch.zeros(size - 10, size)
    for row in range(size - 10):
        band[row, row : row + 11] = taps / taps.sum()
    return band.to(device)


def iou(ours: Tensor, scene: Tensor, mask: Tensor) -> Tensor:
    """Overlap of the true mask and the silhouette: where a picture differs from the empty scene in a channel.

    ours, scene [B, F, 3, H, W] in 0..1; mask [B, F, H, W] -> [B].
    """
    silhouette = (ours - scene).abs().amax(dim=2) > SILHOUETTE_THRESHOLD
    both = (silhouette & mask).sum(dim=(1, 2, 3))
    return both / (silhouette | mask).sum(dim=(1, 2, 3)).clamp_min(1)


def laplacian_energy(frames: Tensor, region: Tensor) -> Tensor:
    """Squared Laplacian of luma, summed over a region: [B, F, 3, H, W], [B, F, H, W] -> [B]."""
    x = _luma(frames)
    inner = x[..., 1:-1, 1:-1]
    around = x[..., :-2, 1:-1] + x[..., 2:, 1:-1] + x[..., 1:-1, :-2] + x[..., 1:-1, 2:]
    return ((around - 4 * inner).square() * region[..., 1:-1, 1:-1]).sum(dim=(1, 2, 3))


def flicker_energy(frames: Tensor, region: Tensor) -> Tensor:
    """Absolute second difference in time, summed: little in smooth motion, much in flicker. As above."""
    return (second_differences(frames).abs().mean(dim=2) * region[:, 1:-1]).sum(dim=(1, 2, 3))


def second_differences(frames: Tensor) -> Tensor:
    """[B, F, ...] -> [B, F-2, ...]."""
    return frames[:, 2:] - 2 * frames[:, 1:-1] + frames[:, :-2]


def flicker_errors(ours: Tensor, true: Tensor, body: Tensor) -> dict[str, Tensor]:
    """Mean absolute difference to the truth's second differences, where the person is and where nobody is.

    Nobody: in none of the three pictures. ours, true [B, F, 3, H, W] in 0..1, body [B, F, H, W] -> [B] each.
    """
    error = 255 * (second_differences(ours) - second_differences(true)).abs().mean(dim=2)
    near = body[:, :-2] | body[:, 1:-1] | body[:, 2:]

    def mean_over(region: Tensor) -> Tensor:
        return (error * region).sum(dim=(1, 2, 3)) / region.sum(dim=(1, 2, 3)).clamp_min(1)

    return {"flicker_body": mean_over(near), "flicker_scene": mean_over(~near)}


def _ratio(energy: Callable[[Tensor, Tensor], Tensor], ours: Tensor, true: Tensor, region: Tensor) -> Tensor:
    """energy(ours) / energy(true) of each clip; the floor keeps two still or blank clips at 1."""
    floor = 1e-6
    return (energy(ours, region) + floor) / (energy(true, region) + floor)


def joint_errors(generated: Tensor, truth: Truth) -> Tensor:
    """How far the surroundings of each joint lie from where they should be.

    The 11x11 patch of the true picture at a joint is searched within 14 pixels in the generated picture
    (least squared difference). uint8 [B, 3, F, H, W] -> [B, F-1, 9] in pixels of a 192-row picture, NaN where
    the joint is hidden (face points on the far side of the head).
    """
    batch, _, frames, height, _ = generated.shape
    radius, search = scaled(PATCH_RADIUS, height), scaled(SEARCH, height)
    centres = truth.joints[:, 1:, JOINTS].floor().long()
    shown = truth.shown[:, 1:, JOINTS]
    errors = [
        _search(
            _windows(generated[b, :, 1:], centres[b], radius + search),
            _windows(truth.video[b, :, 1:], centres[b], radius),
            search,
        )
        for b in range(batch)
    ]
    distance = torch.stack(errors).view(batch, frames - 1, len(JOINTS)) * (BASE_HEIGHT / height)
    return torch.where(shown, distance, torch.full_like(distance, math.nan))


def _windows(video: Tensor, centres: Tensor, radius: int) -> Tensor:
    """Squares around points, the edge repeated outside: uint8 [3, F, H, W], [F, J, 2] -> [F*J, 3, s, s]."""
    _, frames, height, width = video.shape
    offsets = torch.arange(-radius, radius + 1, device=video.device)
    x = (centres[..., 0].reshape(-1, 1) + offsets).clamp(0, width - 1)
    y = (centres[..., 1].reshape(-1, 1) + offsets).clamp(0, height - 1)
    frame = torch.arange(frames, device=video.device).repeat_interleave(centres.shape[1])
    picked = video.permute(1, 2, 3, 0)[frame[:, None, None], y[:, :, None], x[:, None, :]]
    return picked.permute(0, 3, 1, 2).double() / 255 - 0.5


def _search(windows: Tensor, patches: Tensor, search: int) -> Tensor:
    """Distance [N] from the centre to where the patch [N, 3, p, p] fits its window [N, 3, s, s] best, pixels.

    |w - p|^2 = |w|^2 - 2 w.p + constant; the product for all shifts at once through the Fourier transform.
    """
    size, side = windows.shape[-1], 2 * search + 1
    spectrum = torch.fft.rfft2(windows) * torch.fft.rfft2(patches, s=(size, size)).conj()
    product = torch.fft.irfft2(spectrum.sum(dim=1), s=(size, size))[:, :side, :side]
    energy = F.avg_pool2d(windows.square().sum(dim=1), patches.shape[-1], stride=1) * patches[0, 0].numel()
    away = torch.arange(-search, search + 1, device=windows.device, dtype=windows.dtype)
    distance = (away[:, None].square() + away.square()).sqrt()
    misfit = energy - 2 * product + _CENTRE_PREFERENCE * distance
    return distance.flatten()[misfit.flatten(1).argmin(dim=1)]


def share_within(errors: Tensor, limit: float) -> Tensor:
    """Share of the joints that are shown whose error is at most ``limit``: [B, F, J] -> [B]."""
    seen = ~errors.isnan()
    return ((errors <= limit) & seen).sum(dim=(1, 2)) / seen.sum(dim=(1, 2)).clamp_min(1)
