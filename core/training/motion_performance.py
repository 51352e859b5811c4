"""Torso, head and arms in time with the beat: patterns chosen apart, each later than what bears it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.training.motion_curves import drift, keyed, minimum_jerk
from core.training.motion_gestures import (
    REST,
    Table,
    arm_table,
    gestures,
    head_table,
    heads,
    torso_table,
    torsos,
)
from core.training.motion_limbs import ARM, Upper
from core.training.randomness import Draws
from core.types import FPS

# How much later than the pelvis, in beats, each of an arm's angles is: shoulder, elbow, hand.
_ARM_LAG = torch.tensor([0.0, 0.0, 0.3, 0.5, 0.7, 1.0, 1.0, 0.8, 0.8])

# Least time from one key to the next, and of it in motion, seconds.
_KEY_S, _MOVE_S = 0.16, 0.26


@dataclass(frozen=True)
class Performance:
    """Numbers of patterns, [B] each; arms have two gestures, the second from beat ``change`` on.

    right_arm, left_arm [B, 2] numbers of ``gestures``; own [B] bool: each arm does what it likes, else both
    do the right arm's; swapped [B] bool: right and left exchanged; energy [B] scales the gestures; slow [B]
    stretches them in time; phase [B] in beats.
    """

    right_arm: Tensor
    left_arm: Tensor
    own: Tensor
    swapped: Tensor
    change: Tensor
    torso: Tensor
    head: Tensor
    energy: Tensor
    slow: Tensor
    phase: Tensor


def gesture_number(name: str) -> int:
    """Of an arm gesture by its name."""
    return list(gestures()).index(name)


def sample_performance(draws: Draws, batch: int) -> Performance:
    """Random patterns."""
    arms = draws.integer(len(gestures()), batch, 2)
    left = draws.integer(len(gestures()), batch, 2)
    keep = draws.chance(0.55, batch)
    arms[:, 1] = torch.where(keep, arms[:, 0], arms[:, 1])
    left[:, 1] = torch.where(keep, left[:, 0], left[:, 1])
    return Performance(
        arms,
        left,
        draws.chance(0.3, batch),
        draws.chance(0.5, batch),
        draws.integer(4, batch) + 1.5,
        draws.integer(len(torsos()), batch),
        draws.integer(len(heads()), batch),
        draws.uniform(0.7, 1.12, batch),
        torch.where(draws.chance(0.2, batch), 2.0, 1.0),
        draws.integer(4, batch).float(),
    )


def _played(table: Table, pick: Tensor, beat: Tensor, lag: Tensor, slow: Tensor) -> Tensor:
    """Patterns [B] at ``beat`` [B, T], each channel later by ``lag`` [C] times the pattern's: [B, T, C]."""
    rate = table.count[pick] / (table.beats[pick] * slow)
    key_s = _beat_s(beat) / rate
    # What would be too fast for an arm takes twice the time; holds leave enough of it to move.
    rate = torch.where(key_s < _KEY_S, rate / 2, rate)
    key_s = key_s.clamp_min(_KEY_S)
    hold = torch.minimum(table.hold[pick], (1 - _MOVE_S / key_s).clamp_min(0))
    later = (beat[..., None] - lag * table.lag[pick][:, None, None]) * rate[:, None, None]
    return keyed(table.keys[pick], later, hold[:, None, None], table.count[pick])


def _beat_s(beat: Tensor) -> Tensor:
    """Mean length of the beats [B, T] in seconds, [B]."""
    frames = beat.shape[1]
    return ((frames - 1) / FPS) / (beat[:, -1] - beat[:, 0]).clamp_min(0.1)


def _arms(performance: Performance, beat: Tensor) -> Tensor:
    """[B, T, 2, 9]."""
    table = arm_table()
    lag = (0.25 + _ARM_LAG).repeat(2)
    change = minimum_jerk((beat - beat[:, :1] - performance.change[:, None]) / 0.8)[..., None, None]
    halves = []
    for number in range(2):
        first, second = performance.right_arm[:, number], performance.left_arm[:, number]
        both, other = (
            _played(table, pick, beat, lag, performance.slow).view(*beat.shape, 2, len(ARM))
            for pick in (first, second)
        )
        alone = performance.own | table.one[first]
        # An arm that is left free takes the right arm's part of the other gesture.
        left = torch.where(alone[:, None, None], other[:, :, 0], both[:, :, 1])
        halves.append(torch.stack([both[:, :, 0], left], dim=2))
    arms = torch.lerp(halves[0], halves[1], change)
    return torch.where(performance.swapped[:, None, None, None], arms.flip(2), arms)


def performed(draws: Draws, performance: Performance, beat: Tensor, micro: float = 1.0) -> Upper:
    """Torso, head and arms at ``beat`` [B, T]; breath and unrest are ``micro`` times their usual size."""
    batch, frames = beat.shape
    here = beat + performance.phase[:, None]
    later = torch.zeros(3)
    chest = _played(torso_table(), performance.torso, here - 0.06, later, performance.slow)
    nod = _played(head_table(), performance.head, here - 0.14, later, performance.slow)
    energy = performance.energy[:, None, None]
    rest = torch.tensor(REST) * torch.tensor([torch.pi / 180] * 7 + [1.0, 1.0])
    arms = _arms(performance, here)
    arms = torch.cat([torch.lerp(rest[:7], arms[..., :7], energy[..., None]), arms[..., 7:]], dim=-1)
    unrest = micro * drift(draws, batch, frames, 24)
    breath = micro * 0.02 * drift(draws, batch, frames, 1, slow_hz=0.3)
    chest = chest * energy + unrest[..., :3] * 0.025 + breath * torch.tensor([0.0, -1.0, 0.0])
    nod = nod + unrest[..., 3:6] * 0.05
    arms = arms + unrest[..., 6:20].view(batch, frames, 2, 7) * 0.045 @ torch.eye(7, len(ARM))
    arms[..., 7:] = arms[..., 7:].clamp(0, 1)
    return Upper(chest, 0.55 * nod, 0.45 * nod, arms)
