"""What bodies cannot do: joints past their range, arms inside the torso, feet that slide while they stand."""

from __future__ import annotations

from dataclasses import fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from core.training.body import SIDES, Joints, Proportions, R, forward_kinematics
from core.training.motion_limbs import bent_limb, leg_length, shortest_turn, within_reach
from core.training.motion_moves import Moves
from core.training.rotations import rotation_vector, rotation_z, to_rotation_vector

# Greatest rotation vectors about forward, up and right (radians), both ways where one number stands.
_RANGES: dict[str, tuple[tuple[float, float], ...]] = {
    "chest": ((-0.55, 0.55), (-0.75, 0.75), (-1.1, 0.5)),
    "neck": ((-0.5, 0.5), (-0.8, 0.8), (-0.75, 0.5)),
    "head": ((-0.35, 0.35), (-0.6, 0.6), (-0.5, 0.4)),
    "right_hand": ((-1.1, 1.2), (-1.5, 1.7), (-0.5, 0.6)),
    "left_hand": ((-1.2, 1.1), (-1.7, 1.5), (-0.5, 0.6)),
    "right_ankle": ((-0.5, 0.5), (-0.6, 0.6), (-1.0, 0.7)),
    "left_ankle": ((-0.5, 0.5), (-0.6, 0.6), (-1.0, 0.7)),
}
_ELBOW, _KNEE = (0.02, 2.55), (-2.55, -0.02)
# Half-width and half-depth of the torso that hands keep out of, with the hand's own thickness.
_BROAD, _DEEP = 0.2, 0.165


def within_ranges(rotations: Tensor) -> Tensor:
    """[B, T, 16, 3, 3] -> the same with spine, neck, hands, elbows and knees inside their ranges."""
    result = rotations.clone()
    for name, ranges in _RANGES.items():
        low, high = torch.tensor(ranges).unbind(-1)
        vector = to_rotation_vector(rotations[:, :, R[name]])
        vector = torch.maximum(torch.minimum(vector, high), low)
        result[:, :, R[name]] = rotation_vector(*vector.unbind(-1))
    for joint, (low_angle, high_angle) in (("elbow", _ELBOW), ("knee", _KNEE)):
        for side, _ in SIDES:
            matrix = rotations[:, :, R[f"{side}_{joint}"]]
            angle = torch.atan2(matrix[..., 1, 0], matrix[..., 0, 0])
            result[:, :, R[f"{side}_{joint}"]] = rotation_z(angle.clamp(low_angle, high_angle))
    return result


def _pushed(point: Tensor, joints: Joints, size: Proportions, side: float) -> Tensor:
    """Points [B, T, 3] moved out of the torso (an elliptical cylinder along the chest) and of the head."""
    axes, p = joints.chest_axes, joints.points
    local = (axes.transpose(-1, -2) @ (point - p["chest"])[..., None])[..., 0]
    x, y, z = local.unbind(-1)
    broad = _BROAD * (size.shoulder / 0.183)[:, None]
    inside = ((x / _DEEP).square() + (z / broad).square()).clamp_min(1e-6).sqrt()
    low, high = -(size.spine + 0.12)[:, None], (size.chest - 0.02)[:, None]
    # The push fades out above the shoulders and below the hips.
    within = ((y - low) / 0.1).clamp(0, 1) * ((high - y) / 0.1).clamp(0, 1)
    factor = 1 + (1 / inside - 1).clamp_min(0) * within
    # What is in the very middle of the body leaves it at its own side.
    out = torch.stack([x * factor, y, z * factor + side * 0.05 * (inside < 0.3) * within], dim=-1)
    away = p["chest"] + (axes @ out[..., None])[..., 0] - p["head"]
    distance = away.norm(dim=-1, keepdim=True).clamp_min(1e-4)
    radius = (1.05 * size.head + 0.06)[:, None, None]
    moved: Tensor = p["head"] + away * (radius / distance).clamp_min(1)
    return moved


def arms_outside(rotations: Tensor, joints: Joints, size: Proportions) -> Tensor:
    """The same [B, T, 16, 3, 3], each whole arm turned about its shoulder until it is outside the torso.

    joints: of these rotations.
    """
    p, chest, result = joints.points, joints.chest_axes, rotations.clone()
    for side, sign in SIDES:
        shoulder = p[f"{side}_shoulder"]
        places = torch.stack([p[f"{side}_hand"], (p[f"{side}_elbow"] + p[f"{side}_wrist"]) / 2], dim=-1)
        places = places - shoulder[..., None]
        turned = chest @ rotations[:, :, R[f"{side}_shoulder"]]
        for part in (0, 1, 0):
            now = places[..., part]
            target = _pushed(shoulder + now, joints, size, sign) - shoulder
            turn = shortest_turn(F.normalize(now, dim=-1), F.normalize(target, dim=-1))
            places, turned = turn @ places, turn @ turned
        result[:, :, R[f"{side}_shoulder"]] = chest.transpose(-1, -2) @ turned
    return result


def soles(joints: Joints) -> Tensor:
    """Heel and toe of the right and the left foot, [B, T, 2, 2, 3]."""
    p = joints.points
    return torch.stack([torch.stack([p[f"{s}_heel"], p[f"{s}_toe"]], dim=2) for s, _ in SIDES], dim=2)


def found_contacts(joints: Joints, ground: Tensor, fps: float) -> Tensor:
    """Which feet stand, [B, T, 2] bool: less than 5 cm above ``ground`` [B], one end slower than 0.45 m/s."""
    points = soles(joints)
    lower = points[..., 1].argmin(dim=3, keepdim=True)[..., None].expand(-1, -1, -1, -1, 3)
    low = points.gather(3, lower)[:, :, :, 0]
    moved = (points[:, 1:] - points[:, :-1])[..., [0, 2]].norm(dim=-1).amin(dim=3) * fps
    slow = torch.minimum(F.pad(moved, (0, 0, 1, 0), value=9.0), F.pad(moved, (0, 0, 0, 1), value=9.0)) < 0.45
    return slow & (low[..., 1] < ground[:, None, None] + 0.05)


def _corrections(points: Tensor, contacts: Tensor) -> Tensor:
    """How far each foot is from where it stands in each contact, [B, T, 2, 3], eased between contacts.

    points [B, T, 2, 3]: where the soles touch, or would; the ground is at y = 0. contacts [B, T, 2].
    """
    batch, frames = contacts.shape[:2]
    began = contacts & ~F.pad(contacts, (0, 0, 1, 0))[:, :-1]
    number = began.long().cumsum(1)
    weight = contacts.float()
    index = number[..., None].expand(-1, -1, -1, 3)
    total = torch.zeros(batch, frames // 2 + 2, 2, 3).scatter_add(1, index, points * weight[..., None])
    count = torch.zeros(batch, frames // 2 + 2, 2).scatter_add(1, number, weight)
    middle = (total / count.clamp_min(1)[..., None]) * torch.tensor([1.0, 0.0, 1.0])
    offset = (middle.gather(1, index) - points) * weight[..., None]
    times = torch.arange(frames).view(1, -1, 1)
    before = torch.where(contacts, times, -1).cummax(1).values
    after = torch.where(contacts, times, frames).flip(1).cummin(1).values.flip(1)
    share = (times - before) / (after - before).clamp_min(1)
    ease = (share * share * (3 - 2 * share))[..., None]
    first, last = (
        offset.gather(1, when.clamp(0, frames - 1)[..., None].expand(-1, -1, -1, 3))
        for when in (before, after)
    )
    # Before the first contact and after the last one a foot keeps the nearest one's correction.
    first = torch.where((before < 0)[..., None], last, first)
    last = torch.where((after >= frames)[..., None], first, last)
    return torch.where(contacts[..., None], offset, torch.lerp(first, last, ease))


def _flat_place(points: Tensor) -> Tensor:
    """Where (x, z) the foot's middle would be were the foot put down on its lower end, [B, T, 2, 2].

    points: heels and toes [B, T, 2, 2, 3]. It stays when a foot rolls from the heel to the toe.
    """
    heel, toe = points.unbind(3)
    along = toe - heel
    flat = along[..., [0, 2]]
    heading = flat / flat.norm(dim=-1, keepdim=True).clamp_min(0.02)
    half = along.norm(dim=-1, keepdim=True) / 2
    on_toe = (along[..., 1:2] < 0).float()
    return torch.lerp(heel[..., [0, 2]] + half * heading, toe[..., [0, 2]] - half * heading, on_toe)


def _low_enough(root: Tensor, axes: Tensor, ankle: Tensor, size: Proportions) -> Tensor:
    """The pelvis [B, T, 3] no higher than legs reach down to ankles [B, T, 2, 3] that are well below it."""
    reach = within_reach(root, axes, ankle, size)
    below = (ankle[..., 1].amax(2) < root[..., 1] - 0.3 * leg_length(size)[:, None])[..., None]
    return torch.where(below, reach, root)


def planted(
    rotations: Tensor, root: Tensor, joints: Joints, size: Proportions, contacts: Tensor
) -> tuple[Tensor, Tensor]:
    """Feet that stand stay there, by inverse kinematics: rotations [B, T, 16, 3, 3] and root [B, T, 3].

    Feet that touch come down to y = 0, others stay above it; the pelvis follows so that legs reach; knees
    bend to the side they did. joints: of these rotations, but for the arms.
    """
    points, p, axes = soles(joints), joints.points, joints.root_axes
    lowest = points[..., 1].amin(dim=3)
    touch = _flat_place(points)
    touch = torch.stack([touch[..., 0], lowest, touch[..., 1]], dim=-1)
    move = _corrections(touch, contacts)
    up = torch.maximum(move[..., 1], -lowest)
    move = torch.stack([move[..., 0], up, move[..., 2]], dim=-1)
    ankle = torch.stack([p["right_ankle"], p["left_ankle"]], dim=2) + move
    pelvis = _low_enough(root, axes, ankle, size)
    result = rotations.clone()
    for number, (side, sign) in enumerate(SIDES):
        hip, knee, foot = (R[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
        thigh = axes @ rotations[:, :, hip]
        feet = thigh @ rotations[:, :, knee] @ rotations[:, :, foot]
        old = F.normalize(p[f"{side}_ankle"] - p[f"{side}_hip"], dim=-1)
        way = ankle[:, :, number] - pelvis - axes[..., 2] * (sign * size.hip)[:, None, None]
        new = F.normalize(way, dim=-1)
        hinge = (shortest_turn(old, new) @ thigh[..., 2:])[..., 0]
        found, bend = bent_limb(way, torch.linalg.cross(-new, hinge), size.thigh, size.shin, -1.0)
        result[:, :, hip] = axes.transpose(-1, -2) @ found
        result[:, :, knee] = rotation_z(bend)
        result[:, :, foot] = (found @ rotation_z(bend)).transpose(-1, -2) @ feet
    return result, pelvis


def upright(rotations: Tensor) -> Tensor:
    """[B] bool: the pelvis never leans more than 70 degrees; rotations [B, T, J, 3, 3]."""
    return rotations[:, :, R["root"], 1, 1].amin(1) > 0.34


def above_ground(rotations: Tensor, root: Tensor, size: Proportions) -> Tensor:
    """The root [B, T, 3] lifted where any point of somebody not on their feet would be under the ground."""
    rows = (~upright(rotations)).nonzero()[:, 0]
    if len(rows) == 0:
        return root
    some = Proportions(*(getattr(size, part.name)[rows] for part in fields(Proportions)))
    points = forward_kinematics(rotations[rows], root[rows], some, with_fingers=False).points
    lift = (-torch.stack(list(points.values())).amin(0)[..., 1]).clamp_min(0)
    return root.index_add(0, rows, lift[..., None] * torch.tensor([0.0, 1.0, 0.0]))


def possible(moves: Moves, size: Proportions) -> Moves:
    """Motion within what joints, the torso and the ground allow, on bodies of these proportions."""
    rotations = within_ranges(moves.rotations)
    joints = forward_kinematics(rotations, moves.root, size, with_fingers=False)
    rotations = arms_outside(rotations, joints, size)
    rotations, root = planted(rotations, moves.root, joints, size, moves.contacts)
    return replace(moves, rotations=rotations, root=above_ground(rotations, root, size))
