"""Recorded motion made many: other speeds and tempi, larger, smaller, turned and disturbed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.training.body import (
    RECORDED,
    ROTATIONS,
    Joints,
    Proportions,
    R,
    forward_kinematics,
    orthonormal,
    standard_proportions,
)
from core.training.motion_bank import BANK_FPS, Bank
from core.training.motion_curves import drift
from core.training.motion_limbs import leg_length
from core.training.motion_limits import found_contacts, upright
from core.training.motion_moves import Moves
from core.training.randomness import Draws
from core.training.rotations import rotation_vector, rotation_y, to_rotation_vector
from core.types import FPS

_HINGES = tuple(R[f"{side}_{joint}"] for side in ("right", "left") for joint in ("knee", "elbow"))
_LIMBS = tuple(
    R[f"{side}_{joint}"] for side in ("right", "left") for joint in ("shoulder", "elbow", "hip", "knee")
)

# How often a clip in which somebody lies, rolls or flips is taken, against one of somebody on their feet.
_LYING = 0.4


@dataclass(frozen=True)
class Alteration:
    """How far recorded clips are changed; all zero (``speed`` 1 to 1) plays them as they are.

    speed: range of tempi; warp: how uneven a tempo may be, below 1; amplitude: swings are scaled within 1
    plus or minus this; turn: rad/s added to the heading; disturb: radians at the joints of most clips.
    """

    speed: tuple[float, float] = (0.6, 1.4)
    warp: float = 0.35
    amplitude: float = 0.25
    turn: float = 0.35
    disturb: float = 0.2


AS_RECORDED = Alteration((1.0, 1.0), 0.0, 0.0, 0.0, 0.0)


def _times(draws: Draws, batch: int, frames: int, alteration: Alteration) -> Tensor:
    """Seconds of recording from the piece's beginning, [B, T]: a tempo each, speeding up and slowing down."""
    pace = draws.uniform(*alteration.speed, batch, 1) / FPS
    uneven = 1 + alteration.warp * drift(draws, batch, frames, 1, slow_hz=0.6)[..., 0].clamp(-1.5, 1.5) / 1.5
    step = pace * uneven
    return F.pad(step, (1, 0))[:, :-1].cumsum(1)


def _played(draws: Draws, bank: Bank, times: Tensor) -> tuple[Tensor, Tensor]:
    """A random piece of a random clip each, to and fro where it is too short: rotations and roots."""
    all_rotations, all_roots = [], []
    share = torch.tensor([1.0 if upright(r[None]).all() else _LYING for r in bank.rotations]).cumsum(0)
    picks = torch.searchsorted(share / share[-1], draws.uniform(0, 1, len(times)), right=True)
    picks = picks.clamp(max=len(bank.names) - 1)
    phases = draws.uniform(0, 1, len(times))
    for pick, phase, time in zip(picks.tolist(), phases, times, strict=True):
        rotations, roots = bank.rotations[pick], bank.roots[pick]
        last = len(rotations) - 1
        # Begin where the piece still fits, if it fits at all.
        spare = last - float(time[-1]) * BANK_FPS
        at = phase * (spare if spare > 0 else 2 * last) + time * BANK_FPS
        at = last - (at % (2 * last) - last).abs()
        low = at.floor().long().clamp(0, last - 1)
        weight = at - low
        blended = torch.lerp(rotations[low], rotations[low + 1], weight[:, None, None, None])
        all_rotations.append(blended)
        all_roots.append(torch.lerp(roots[low], roots[low + 1], weight[:, None]))
    return orthonormal(torch.stack(all_rotations)), torch.stack(all_roots)


def _amplified(draws: Draws, rotations: Tensor, amount: float) -> Tensor:
    """Limbs that swing more or less about their middle pose of the clip."""
    part = rotations[:, :, _LIMBS]
    middle = orthonormal(part.mean(1, keepdim=True) + 1e-4 * torch.eye(3))
    swing = to_rotation_vector(middle.transpose(-1, -2) @ part)
    swing = swing * (1 + amount * draws.uniform(-1, 1, len(rotations), 1, len(_LIMBS), 1))
    result = rotations.clone()
    result[:, :, _LIMBS] = middle @ rotation_vector(*swing.unbind(-1))
    return result


def disturbed(draws: Draws, rotations: Tensor, strength: float) -> Tensor:
    """A fixed and a slowly swinging offset at every joint but the root, for most clips; hinges stay."""
    batch, frames, joints = rotations.shape[:3]
    size = strength * draws.chance(0.7, batch, 1, 1).float() * draws.uniform(0.2, 1.0, batch, 1, 1)
    fixed = draws.normal(batch, 1, joints * 3).clamp(-2, 2)
    swing = drift(draws, batch, frames, joints * 3, slow_hz=0.5) * draws.normal(batch, 1, joints * 3).clamp(
        -2, 2
    )
    offset = ((0.55 * fixed + 0.55 * swing) * size).view(batch, frames, joints, 3)
    offset[:, :, R["root"]] = 0
    offset[:, :, _HINGES, :2] = 0
    return rotations @ rotation_vector(*offset.unbind(-1))


def _with_hands(rotations: Tensor) -> Tensor:
    """[B, T, 13, 3, 3] -> [B, T, 16, 3, 3] with the head and the hands straight."""
    more = torch.eye(3).expand(*rotations.shape[:2], len(ROTATIONS) - RECORDED, 3, 3)
    return torch.cat([rotations, more], dim=2)


def recorded(
    draws: Draws, bank: Bank, batch: int, frames: int, size: Proportions, alteration: Alteration
) -> Moves:
    """Clips of the bank on bodies of these proportions, not yet planted."""
    times = _times(draws, batch, frames, alteration)
    rotations, root = _played(draws, bank, times)
    standard = standard_proportions(batch)
    joints = forward_kinematics(rotations, root, standard, with_fingers=False)
    ground = _ground(joints)
    contacts = found_contacts(joints, ground, FPS)
    rotations = _with_hands(_amplified(draws, rotations, alteration.amplitude))
    turn = alteration.turn * draws.uniform(-1, 1, batch, 1) * (torch.arange(frames)[None] - frames / 2) / FPS
    yaw = rotation_y(turn)
    rotations[:, :, R["root"]] = yaw @ rotations[:, :, R["root"]]
    rotations = disturbed(draws, rotations, alteration.disturb)
    scale = (leg_length(size) / leg_length(standard))[:, None, None]
    root = (root - ground[:, None, None] * torch.tensor([0.0, 1.0, 0.0])) * scale
    middle = root.mean(1, keepdim=True) * torch.tensor([1.0, 0.0, 1.0])
    root = (yaw @ (root - middle)[..., None])[..., 0]
    hands = _hands(draws, batch, frames)
    return Moves(rotations, root, contacts, hands, torch.zeros_like(hands))


def _ground(joints: Joints) -> Tensor:
    """[B]: the height of the lowest foot in the clip."""
    p = joints.points
    feet = torch.stack([p[f"{s}_{n}"][..., 1] for s in ("right", "left") for n in ("heel", "toe")])
    return feet.amin((0, 2))


def _hands(draws: Draws, batch: int, frames: int) -> Tensor:
    """How closed each hand is [B, T, 2]: anything from flat to a fist, changing slowly."""
    middle = draws.uniform(0.05, 0.7, batch, 1, 2)
    middle = torch.where(draws.chance(0.15, batch, 1, 1), 1.0, middle)
    return (middle + 0.12 * drift(draws, batch, frames, 2)).clamp(0, 1)
