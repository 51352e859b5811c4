"""Time curves that motions are made of: eased keys, bumps, slow drifts, and blends of them."""

from __future__ import annotations

import torch
from torch import Tensor

from core.training.randomness import Draws
from core.types import FPS

GRAVITY = 9.81


def seconds(frames: int) -> Tensor:
    """[1, T]."""
    return torch.arange(frames)[None] / FPS


def minimum_jerk(share: Tensor) -> Tensor:
    """0..1 -> 0..1 along the smoothest path of a reaching hand (Flash and Hogan 1985); clamped outside."""
    u = share.clamp(0, 1)
    return u * u * u * (10 + u * (6 * u - 15))


def bump(share: Tensor) -> Tensor:
    """0 at 0 and 1, 1 in the middle, flat at both ends; 0 outside."""
    u = share.clamp(0, 1)
    return 16 * (u * (1 - u)).square()


def eased(position: Tensor, hold: Tensor) -> tuple[Tensor, Tensor]:
    """Where between keys: the number of the key before, and the eased share of the next one.

    Args:
        position: in keys, any shape.
        hold: share of each interval, 0..1, in which the key before rests; of ``position``'s shape.
    """
    index = position.floor()
    return index.long(), minimum_jerk((position - index - hold) / (1 - hold).clamp_min(0.05))


def keyed(keys: Tensor, position: Tensor, hold: Tensor, period: Tensor) -> Tensor:
    """Values of repeating keys.

    Args:
        keys: [B, K, C].
        position: [B, T, C] in keys; a channel that lags has its own.
        hold: [B, 1, 1].
        period: [B] the first so many keys repeat.

    Returns:
        [B, T, C].
    """
    index, share = eased(position, hold.expand_as(position))
    length = period.view(-1, 1, 1)
    before, after = keys.gather(1, index % length), keys.gather(1, (index + 1) % length)
    return torch.lerp(before, after, share)


def drift(draws: Draws, batch: int, frames: int, channels: int, *, slow_hz: float = 0.35) -> Tensor:
    """Slow wandering [B, T, C] of about unit size: two sines each, as people never stand quite still."""
    total = torch.zeros(batch, frames, channels)
    for octave in (1.0, 2.3):
        rate = octave * slow_hz * draws.uniform(0.6, 1.5, batch, 1, channels)
        phase = draws.uniform(0, 1, batch, 1, channels)
        total = total + (2 * torch.pi * (rate * seconds(frames)[..., None] + phase)).sin() / octave
    return total * 0.9


def at_least(value: Tensor, least: Tensor, softness: float) -> Tensor:
    """A maximum without a corner, at most 0.7 softness above the larger one."""
    return torch.logaddexp(value / softness, least / softness) * softness


def at_most(value: Tensor, most: Tensor, softness: float) -> Tensor:
    """A minimum without a corner."""
    return -at_least(-value, -most, softness)
