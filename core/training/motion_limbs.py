"""Joint rotations from where feet stand and how bodies lean: legs by inverse kinematics, arms by angles.

All angles are radians. Positive: yaw to the person's left, lean forward, roll to the right; both arms alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.training.body import ROTATIONS, SIDES, Proportions
from core.training.motion_curves import at_most
from core.training.motion_moves import Moves
from core.training.rotations import rotation_vector, rotation_x, rotation_y, rotation_z

# abduct to the side, flex forward, twist outward (a bent forearm then points up), elbow, pronate (palm down),
# bend to the palm, wave to the thumb, fist, pointing.
ARM = ("abduct", "flex", "twist", "elbow", "pronate", "bend", "wave", "fist", "pointing")
# Where the sole touches, from the ankle: toe forward of it by the foot's length, heel behind.
TOE_DROP, HEEL_BACK, HEEL_DROP = 0.05, 0.03, 0.04
REACH = 0.992


@dataclass(frozen=True)
class Lower:
    """Pelvis and feet. pelvis [B, T, 3] metres, turn [B, T, 3] (yaw, lean, roll).

    feet [B, T, 2, 3]: right and left, the place under the ankle and how far the flat foot is off the ground;
    foot_yaw, foot_pitch [B, T, 2] (toes up positive: the heel then stays where it is, else the toes do);
    contacts [B, T, 2] bool; beat [B, T]: one a step or a beat of the music.
    """

    pelvis: Tensor
    turn: Tensor
    feet: Tensor
    foot_yaw: Tensor
    foot_pitch: Tensor
    contacts: Tensor
    beat: Tensor


@dataclass(frozen=True)
class Upper:
    """chest, neck, head [B, T, 3] (yaw, lean, roll) and arms [B, T, 2, 9] as ``ARM``; right, left."""

    chest: Tensor
    neck: Tensor
    head: Tensor
    arms: Tensor


def leg_length(size: Proportions) -> Tensor:
    """[B] metres from hip to ankle."""
    return size.thigh + size.shin


def posed(angles: Tensor) -> Tensor:
    """(yaw, lean, roll) [..., 3] -> [..., 3, 3]."""
    yaw, lean, roll = angles.unbind(-1)
    return rotation_y(yaw) @ rotation_z(-lean) @ rotation_x(roll)


def shortest_turn(start: Tensor, end: Tensor) -> Tensor:
    """Unit vectors [..., 3] -> the rotation by the least angle that takes one to the other, [..., 3, 3]."""
    axis = torch.linalg.cross(start, end)
    cosine = (start * end).sum(-1, keepdim=True).clamp(-0.9999, 1)
    # The vector of the rotation is the axis scaled by angle over sine.
    angle = torch.atan2(axis.norm(dim=-1, keepdim=True), cosine)
    vector = axis / axis.norm(dim=-1, keepdim=True).clamp_min(1e-9) * angle
    return rotation_vector(*vector.unbind(-1))


def hanging_front(way: Tensor, forward: Tensor) -> Tensor:
    """Where the front of a limb looks that reaches along ``way``, from where it looks when the limb hangs."""
    u = torch.nn.functional.normalize(way, dim=-1)
    down = torch.tensor([0.0, -1.0, 0.0]).expand_as(u)
    return (shortest_turn(down, u) @ forward[..., None])[..., 0]


def bent_limb(way: Tensor, front: Tensor, upper: Tensor, lower: Tensor, sign: float) -> tuple[Tensor, Tensor]:
    """A limb of two bones that reaches along ``way`` [B, T, 3] (shortened where it is out of reach).

    Args:
        way: from the limb's first joint to its last, metres.
        front: [B, T, 3] unit, where the front of the limb looks; need not be exactly across ``way``.
        upper: [B] length of the first bone.
        lower: [B] length of the second.
        sign: -1 bends backward (knees), 1 forward (elbows).

    Returns:
        The first joint's axes [B, T, 3, 3] in the world, and the angle [B, T] of the hinge about z.
    """
    a, b = upper[:, None], lower[:, None]
    distance = way.norm(dim=-1).clamp_min(1e-6)
    u = way / distance[..., None]
    d = distance.clamp(min=(a - b).abs() + 0.15 * b, max=(a + b) * 0.9995)
    x = torch.nn.functional.normalize(front - (front * u).sum(-1, keepdim=True) * u, dim=-1)
    at_start = ((a * a + d * d - b * b) / (2 * a * d)).clamp(-1, 1).acos()[..., None] * -sign
    hinge = torch.pi - ((a * a + b * b - d * d) / (2 * a * b)).clamp(-1, 1).acos()
    bone = at_start.cos() * u + at_start.sin() * x
    ahead = at_start.cos() * x - at_start.sin() * u
    axes = torch.stack([ahead, -bone, torch.linalg.cross(ahead, -bone)], dim=-1)
    return axes, sign * hinge


def ankles(lower: Lower, size: Proportions) -> tuple[Tensor, Tensor]:
    """Where the ankles are, [B, T, 2, 3], and the feet's axes, [B, T, 2, 3, 3]."""
    axes = rotation_y(lower.foot_yaw) @ rotation_z(lower.foot_pitch)
    flat = rotation_y(lower.foot_yaw)
    length = size.foot.view(-1, 1, 1).expand_as(lower.foot_yaw)
    zero = torch.zeros_like(length)
    toe = torch.stack([length, zero - TOE_DROP, zero], dim=-1)[..., None]
    heel = torch.stack([zero - HEEL_BACK, zero - HEEL_DROP, zero], dim=-1)[..., None]
    pivot = torch.where((lower.foot_pitch < 0)[..., None, None], toe, heel)
    shift = (flat @ pivot - axes @ pivot)[..., 0]
    return lower.feet + shift + torch.tensor([0.0, TOE_DROP, 0.0]), axes


def within_reach(pelvis: Tensor, axes: Tensor, ankle: Tensor, size: Proportions) -> Tensor:
    """The pelvis [B, T, 3] no higher than legs reach to both ankles [B, T, 2, 3]."""
    hips = torch.stack([size.hip, -size.hip], dim=-1)[:, None, :, None] * axes[:, :, None, :, 2]
    away = ankle - hips
    length = (REACH * leg_length(size))[:, None, None]
    aside = (away - pelvis[:, :, None])[..., [0, 2]].square().sum(-1)
    most = away[..., 1] + (length * length - aside).clamp_min((0.35 * leg_length(size).max()) ** 2).sqrt()
    height = at_most(at_most(most[..., 0], most[..., 1], 0.006), pelvis[..., 1], 0.006)
    return torch.stack([pelvis[..., 0], height, pelvis[..., 2]], dim=-1)


def legs(
    pelvis: Tensor, axes: Tensor, ankle: Tensor, feet: Tensor, size: Proportions, toes_lead: float = 0.5
) -> dict[str, Tensor]:
    """Local rotations [B, T, 3, 3] of hips, knees and ankles by name.

    Args:
        pelvis: [B, T, 3].
        axes: the pelvis's, [B, T, 3, 3].
        ankle: [B, T, 2, 3] right, left.
        feet: the feet's axes, [B, T, 2, 3, 3].
        size: of the people.
        toes_lead: share of the foot's heading in the knee's.
    """
    found = {}
    for number, (side, sign) in enumerate(SIDES):
        hip = pelvis + axes[..., 2] * (sign * size.hip)[:, None, None]
        toes = feet[:, :, number, :, 0] * torch.tensor([1.0, 0.0, 1.0])
        front = torch.lerp(axes[..., 0], toes, toes_lead) + axes[..., 2] * (0.12 * sign)
        front = torch.nn.functional.normalize(front, dim=-1)
        way = ankle[:, :, number] - hip
        thigh, bend = bent_limb(way, hanging_front(way, front), size.thigh, size.shin, -1.0)
        knee = rotation_z(bend)
        found[f"{side}_hip"] = axes.transpose(-1, -2) @ thigh
        found[f"{side}_knee"] = knee
        found[f"{side}_ankle"] = (thigh @ knee).transpose(-1, -2) @ feet[:, :, number]
    return found


def arm_rotations(arms: Tensor) -> dict[str, Tensor]:
    """Local rotations of shoulders, elbows and hands from angles [B, T, 2, 9]."""
    found = {}
    for number, (side, sign) in enumerate(SIDES):
        abduct, flex, twist, elbow, pronate, bend, wave, *_ = arms[:, :, number].unbind(-1)
        swing = rotation_vector(-sign * abduct, torch.zeros_like(flex), flex)
        found[f"{side}_shoulder"] = swing @ rotation_y(-sign * twist)
        found[f"{side}_elbow"] = rotation_z(elbow.clamp(0.02, 2.55))
        found[f"{side}_hand"] = (
            rotation_y(sign * pronate.clamp(-1.4, 1.6))
            @ rotation_x(sign * bend.clamp(-1.1, 1.2))
            @ rotation_z(wave.clamp(-0.5, 0.6))
        )
    return found


def assembled(lower: Lower, upper: Upper, size: Proportions) -> Moves:
    """Bodies of these proportions that stand, lean and hold their arms so."""
    axes = posed(lower.turn)
    ankle, feet = ankles(lower, size)
    pelvis = within_reach(lower.pelvis, axes, ankle, size)
    local = {"root": axes, "chest": posed(upper.chest), "neck": posed(upper.neck), "head": posed(upper.head)}
    local |= legs(pelvis, axes, ankle, feet, size) | arm_rotations(upper.arms)
    return Moves(
        torch.stack([local[name] for name in ROTATIONS], dim=2),
        pelvis,
        lower.contacts,
        upper.arms[..., 7].clamp(0, 1),
        upper.arms[..., 8].clamp(0, 1),
    )
