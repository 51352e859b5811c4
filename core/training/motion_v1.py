"""The first recipe's motion, which suite 1 and the first weights were made with; it must not change.

Every call that takes ``draws`` moves it on: their order is part of what a seed means.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.training.body import RECORDED, UPPER, R, mirror, orthonormal, rotation_x, rotation_y, rotation_z
from core.training.motion_bank import BANK_FPS, Bank
from core.training.randomness import Draws
from core.types import FPS


def _from_bank(draws: Draws, bank: Bank, frames: int, speed: Tensor) -> tuple[Tensor, Tensor]:
    """One clip a speed: a random piece, played to and fro when it is shorter than needed."""
    all_rotations, all_roots = [], []
    picks = draws.integer(len(bank.names), len(speed)).tolist()
    phases = draws.uniform(0, 1, len(speed))
    for pick, phase, rate in zip(picks, phases, speed, strict=True):
        rotations, roots = bank.rotations[pick], bank.roots[pick]
        last = len(rotations) - 1
        at = phase * 2 * last + torch.arange(frames) * (BANK_FPS / FPS * rate)
        at = last - (at % (2 * last) - last).abs()
        low = at.floor().long().clamp(0, last - 1)
        weight = at - low
        blended = torch.lerp(rotations[low], rotations[low + 1], weight[:, None, None, None])
        all_rotations.append(orthonormal(blended))
        all_roots.append(torch.lerp(roots[low], roots[low + 1], weight[:, None]))
    return torch.stack(all_rotations), torch.stack(all_roots)


def _key_poses(draws: Draws, batch: int, keys: int) -> Tensor:
    """Plausible dance poses [B, K, 13, 3, 3]: arms down, out, up, bent; legs standing, stepping, kicking."""

    def draw(low: float, high: float) -> Tensor:
        return draws.uniform(low, high, batch, keys)

    poses = torch.eye(3).repeat(batch, keys, RECORDED, 1, 1)
    poses[:, :, R["root"]] = rotation_y(draw(-0.5, 0.5)) @ rotation_z(draw(-0.12, 0.08))
    poses[:, :, R["chest"]] = (
        rotation_y(draw(-0.4, 0.4)) @ rotation_x(draw(-0.25, 0.25)) @ rotation_z(draw(-0.25, 0.1))
    )
    poses[:, :, R["neck"]] = (
        rotation_y(draw(-0.5, 0.5)) @ rotation_x(draw(-0.2, 0.2)) @ rotation_z(draw(-0.2, 0.2))
    )
    for side, sign in (("right", -1.0), ("left", 1.0)):
        level = draws.integer(4, batch, keys)
        lift = torch.tensor([0.15, 0.8, 1.5, 2.5])[level] + draw(-0.2, 0.3)
        forward = draw(-0.3, 1.0) * (level < 3)
        poses[:, :, R[f"{side}_shoulder"]] = (
            rotation_z(forward) @ rotation_x(sign * lift) @ rotation_y(draw(-0.9, 0.9))
        )
        poses[:, :, R[f"{side}_elbow"]] = rotation_z(
            draw(0.0, 1.0) + draws.chance(0.4, batch, keys) * draw(0.2, 1.1)
        )
        bend = draw(0.0, 0.5) + draws.chance(0.2, batch, keys) * draw(0.3, 0.9)
        spread = draw(0.02, 0.3)
        poses[:, :, R[f"{side}_hip"]] = rotation_z(bend) @ rotation_x(sign * spread)
        poses[:, :, R[f"{side}_knee"]] = rotation_z(-bend * draw(0.8, 1.6))
        poses[:, :, R[f"{side}_ankle"]] = rotation_z(bend * draw(0.1, 0.5))
    return poses


def _dance(draws: Draws, batch: int, frames: int) -> tuple[Tensor, Tensor]:
    """Key poses on the beat with eased transitions and a sway: rotations [B, T, 13, 3, 3], root [B, T, 3]."""
    seconds = torch.arange(frames) / FPS
    period = draws.uniform(0.35, 0.9, batch, 1)
    beat = seconds / period + draws.uniform(0, 1, batch, 1)
    keys = int(frames / FPS / 0.35) + 4
    poses = _key_poses(draws, batch, keys)
    index = beat.floor().long()
    hold = draws.uniform(0.0, 0.45, batch, 1)
    ease = ((beat - index - hold / 2) / (1 - hold)).clamp(0, 1)
    ease = ease * ease * (3 - 2 * ease)
    rows = torch.arange(batch)[:, None]
    rotations = orthonormal(
        torch.lerp(poses[rows, index], poses[rows, index + 1], ease[..., None, None, None])
    )
    sway = draws.uniform(0.0, 0.25, batch, 1) * (beat * torch.pi).sin()
    bounce = draws.uniform(0.0, 0.05, batch, 1) * (beat * 2 * torch.pi).sin()
    return rotations, torch.stack([0.3 * sway, 0.9 + bounce, sway], dim=-1)


def _walk(draws: Draws, batch: int, frames: int) -> tuple[Tensor, Tensor]:
    """A walk or run cycle, on the spot or travelling."""
    seconds = torch.arange(frames) / FPS
    rate = draws.uniform(0.7, 1.7, batch, 1)
    phase = 2 * torch.pi * (seconds * rate + draws.uniform(0, 1, batch, 1))
    stride = draws.uniform(0.25, 0.75, batch, 1)
    arms = draws.uniform(0.2, 1.0, batch, 1)
    bend = draws.uniform(0.1, 1.2, batch, 1)
    rotations = torch.eye(3).repeat(batch, frames, RECORDED, 1, 1)
    rotations[:, :, R["root"]] = rotation_y(0.15 * phase.sin()) @ rotation_z(
        draws.uniform(-0.2, 0.0, batch, 1).expand(-1, frames)
    )
    rotations[:, :, R["chest"]] = rotation_y(-0.3 * stride * phase.sin())
    for side, sign in (("right", 1.0), ("left", -1.0)):
        swing = sign * phase.sin()
        lift = (sign * phase.cos()).clamp_min(0)
        rotations[:, :, R[f"{side}_hip"]] = rotation_z(stride * swing + 0.1)
        rotations[:, :, R[f"{side}_knee"]] = rotation_z(-0.15 - (0.5 + bend) * stride * lift)
        rotations[:, :, R[f"{side}_shoulder"]] = rotation_z(-arms * swing) @ rotation_x(
            torch.full_like(swing, -sign * 0.12)
        )
        rotations[:, :, R[f"{side}_elbow"]] = rotation_z(bend * (0.6 + 0.2 * -swing))
    travel = draws.uniform(-0.2, 1.0, batch, 1) * rate * stride * 1.2 * seconds
    return rotations, torch.stack([travel, 0.9 + 0.03 * (2 * phase).cos(), torch.zeros_like(travel)], dim=-1)


def generated(draws: Draws, batch: int, frames: int) -> tuple[Tensor, Tensor]:
    """Our own motions: dances and walks, rotations [B, T, 13, 3, 3] and root [B, T, 3]."""
    dance = _dance(draws, batch, frames)
    walk = _walk(draws, batch, frames)
    walks = draws.chance(0.25, batch)
    return torch.where(walks[:, None, None, None, None], walk[0], dance[0]), torch.where(
        walks[:, None, None], walk[1], dance[1]
    )


def _perturbed(draws: Draws, rotations: Tensor) -> Tensor:
    """Static and slowly swinging offsets at every joint but the root, for seven clips in ten."""
    batch, frames, joints = rotations.shape[:3]
    strength = 0.25 * draws.chance(0.7, batch, 1, 1).float() * draws.uniform(0.2, 1.0, batch, 1, 1)
    seconds = torch.arange(frames)[None, :, None] / FPS
    result = rotations
    for rotate in (rotation_x, rotation_y, rotation_z):
        static = draws.normal(batch, 1, joints)
        swing = (
            draws.normal(batch, 1, joints)
            * (
                2
                * torch.pi
                * (
                    draws.uniform(0.3, 1.5, batch, 1, joints) * seconds
                    + draws.uniform(0, 1, batch, 1, joints)
                )
            ).sin()
        )
        angle = strength * (0.6 * static + 0.6 * swing)
        angle[:, :, R["root"]] = 0
        result = result @ rotate(angle)
    return result


def sample_motion(
    draws: Draws, bank: Bank | None, batch: int, frames: int, *, augment: bool = True
) -> tuple[Tensor, Tensor]:
    """Rotations [B, T, 13, 3, 3] and root positions [B, T, 3], metres, 16 fps.

    With a bank, six clips in ten come from it, half of those with the upper body of another clip; without
    augmentation (evaluation) the bank's clips are used as they are but for mirroring. Without a bank all are
    generated.
    """
    own = generated(draws, batch, frames)
    if bank is None:
        return own
    speed = draws.uniform(0.6, 1.4, batch) if augment else torch.ones(batch)
    rotations, root = _from_bank(draws, bank, frames, speed)
    if augment:
        other, _ = _from_bank(draws, bank, frames, speed)
        upper = torch.where(draws.chance(0.5, batch)[:, None, None, None, None], other, own[0])
        mixed = rotations.clone()
        mixed[:, :, UPPER] = upper[:, :, UPPER]
        rotations = torch.where(draws.chance(0.45, batch)[:, None, None, None, None], mixed, rotations)
        use_own = draws.chance(0.35, batch)
        rotations = torch.where(use_own[:, None, None, None, None], own[0], rotations)
        root = torch.where(use_own[:, None, None], own[1], root)
        rotations = _perturbed(draws, rotations)
    flipped = mirror(rotations, root)
    flip = draws.chance(0.5, batch)
    return torch.where(flip[:, None, None, None, None], flipped[0], rotations), torch.where(
        flip[:, None, None], flipped[1], root
    )
