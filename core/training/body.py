"""The drawn person's skeleton: joint rotations to positions, and positions to the 18 joints of OpenPose.

Axes: x forward, y up, z to the person's right; metres. Offsets follow the proportions of the humanoid used by
the DeepMimic motion files, so that their rotations can be applied as they are. Recorded motion turns
``RECORDED`` joints; our own motion turns the head and the hands as well.

A hand's axes, with the arm hanging: x to the thumb, -y along the fingers, z to the person's right; the palm
looks to the person's middle.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.training.rotations import (
    orthonormal,
    quaternion_matrix,
    rotation_x,
    rotation_y,
    rotation_z,
)

__all__ = [
    "FACE",
    "RECORDED",
    "ROTATIONS",
    "SIDES",
    "UPPER",
    "Joints",
    "Proportions",
    "R",
    "forward_kinematics",
    "mirror",
    "openpose_points",
    "orthonormal",
    "quaternion_matrix",
    "rotation_x",
    "rotation_y",
    "rotation_z",
    "standard_proportions",
]

ROTATIONS = (
    "root",
    "chest",
    "neck",
    "right_hip",
    "right_knee",
    "right_ankle",
    "right_shoulder",
    "right_elbow",
    "left_hip",
    "left_knee",
    "left_ankle",
    "left_shoulder",
    "left_elbow",
    "head",
    "right_hand",
    "left_hand",
)
# Of these the first ones are in the motion files; the head and the hands then stay straight.
RECORDED = 13
R = {name: index for index, name in enumerate(ROTATIONS)}
UPPER = tuple(R[n] for n in ("chest", "neck", "right_shoulder", "right_elbow", "left_shoulder", "left_elbow"))
SIDES = (("right", 1.0), ("left", -1.0))

# OpenPose-18 order: nose neck rshoulder relbow rwrist lshoulder lelbow lwrist rhip rknee rankle lhip lknee
# lankle reye leye rear lear.
FACE = (0, 14, 15, 16, 17)


@dataclass(frozen=True)
class Proportions:
    """Bone lengths of a batch of people, each [B], metres."""

    spine: Tensor
    chest: Tensor
    shoulder: Tensor
    upper_arm: Tensor
    forearm: Tensor
    hip: Tensor
    thigh: Tensor
    shin: Tensor
    foot: Tensor
    neck: Tensor
    head: Tensor

    def height(self) -> Tensor:
        """Standing height [B], metres, roughly."""
        return self.thigh + self.shin + self.spine + self.chest + self.neck + 2 * self.head + 0.06


@dataclass(frozen=True)
class Joints:
    """World positions, each [B, T, 3], and frames of axes [B, T, 3, 3] (columns x, y, z).

    ``hand_axes`` are by side ("right", "left"), ``fingers`` by "{side}_{name}" as ``_fingers`` names them;
    ``hand_pose`` [B, T, 2] (right, left) is 0 open .. 1 fist, ``pointing`` 0 .. 1 a straight index finger.
    """

    points: dict[str, Tensor]
    chest_axes: Tensor
    head_axes: Tensor
    root_axes: Tensor
    hand_axes: dict[str, Tensor]
    fingers: dict[str, Tensor]
    hand_pose: Tensor
    pointing: Tensor


def standard_proportions(batch: int) -> Proportions:
    """The humanoid of the motion files."""
    lengths = (0.236, 0.224, 0.183, 0.275, 0.259, 0.085, 0.422, 0.410, 0.17, 0.07, 0.11)
    return Proportions(*(torch.full((batch,), value) for value in lengths))


def _along(axes: Tensor, x: Tensor | float, y: Tensor | float, z: Tensor | float) -> Tensor:
    """axes [B, T, 3, 3] times a constant vector a person: [B, T, 3]."""
    batch = axes.shape[0]
    parts = [(axes[..., i], v) for i, v in enumerate((x, y, z)) if not (isinstance(v, int) and v == 0)]
    if len(parts) == 1 and isinstance(parts[0][1], Tensor):
        return parts[0][0] * parts[0][1][:, None, None]
    vector = [torch.as_tensor(v, dtype=axes.dtype).expand(batch) for v in (x, y, z)]
    return torch.einsum("btij,bj->bti", axes, torch.stack(vector, dim=-1))


RELAXED_HAND = 0.35


def forward_kinematics(
    rotations: Tensor,
    root: Tensor,
    size: Proportions,
    hand_pose: Tensor | None = None,
    pointing: Tensor | None = None,
    *,
    with_fingers: bool = True,
) -> Joints:
    """rotations [B, T, 13 or 16, 3, 3] (local), root [B, T, 3] -> world positions.

    The spine is straight from the pelvis to the chest joint; arms hang down at rest. Hands are relaxed
    unless ``hand_pose`` and ``pointing`` [B, T, 2] say otherwise; ``fingers`` is empty if not wanted.
    """
    recorded = rotations.shape[2] == RECORDED
    axes = {"root": rotations[:, :, R["root"]]}
    axes["chest"] = axes["root"] @ rotations[:, :, R["chest"]]
    axes["neck"] = axes["chest"] @ rotations[:, :, R["neck"]]
    p = {"pelvis": root}
    p["chest"] = root + _along(axes["root"], 0, size.spine, 0)
    p["neck"] = p["chest"] + _along(axes["chest"], 0, size.chest, 0)
    if recorded:
        head_axes = axes["neck"]
        p["head"] = p["neck"] + _along(axes["neck"], 0.02, size.neck + size.head, 0)
    else:
        head_axes = axes["neck"] @ rotations[:, :, R["head"]]
        p["head"] = p["neck"] + _along(axes["neck"], 0, size.neck, 0) + _along(head_axes, 0.02, size.head, 0)
    hands: dict[str, Tensor] = {}
    for side, sign in SIDES:
        shoulder = axes["chest"] @ rotations[:, :, R[f"{side}_shoulder"]]
        elbow = shoulder @ rotations[:, :, R[f"{side}_elbow"]]
        hip = axes["root"] @ rotations[:, :, R[f"{side}_hip"]]
        knee = hip @ rotations[:, :, R[f"{side}_knee"]]
        ankle = knee @ rotations[:, :, R[f"{side}_ankle"]]
        p[f"{side}_shoulder"] = p["chest"] + _along(
            axes["chest"], -0.02, size.chest + 0.0, sign * size.shoulder
        )
        p[f"{side}_elbow"] = p[f"{side}_shoulder"] + _along(shoulder, 0, -size.upper_arm, 0)
        p[f"{side}_wrist"] = p[f"{side}_elbow"] + _along(elbow, 0, -size.forearm, 0)
        hands[side] = elbow if recorded else elbow @ rotations[:, :, R[f"{side}_hand"]]
        p[f"{side}_hand"] = p[f"{side}_wrist"] + _along(hands[side], 0, -0.32 * size.forearm, 0)
        p[f"{side}_hip"] = root + _along(axes["root"], 0, 0, sign * size.hip)
        p[f"{side}_knee"] = p[f"{side}_hip"] + _along(hip, 0, -size.thigh, 0)
        p[f"{side}_ankle"] = p[f"{side}_knee"] + _along(knee, 0, -size.shin, 0)
        p[f"{side}_heel"] = p[f"{side}_ankle"] + _along(ankle, -0.03, -0.04, 0)
        p[f"{side}_toe"] = p[f"{side}_ankle"] + _along(ankle, size.foot, -0.05, 0)
    pose = torch.full((*root.shape[:2], 2), RELAXED_HAND) if hand_pose is None else hand_pose
    point = torch.zeros_like(pose) if pointing is None else pointing
    fingers = _fingers(p, hands, size, pose, point) if with_fingers else {}
    return Joints(p, axes["chest"], head_axes, axes["root"], hands, fingers, pose, point)


def _fingers(
    p: dict[str, Tensor], hands: dict[str, Tensor], size: Proportions, pose: Tensor, point: Tensor
) -> dict[str, Tensor]:
    """Per side: knuckles, middle, tips (four fingers); index_knuckle, index_middle, index; thumb_base, thumb.

    Lengths are shares of the forearm's; fingers curl towards the palm, the index less when pointing.
    """
    unit, found = size.forearm, {}
    for number, (side, sign) in enumerate(SIDES):
        hand, wrist = hands[side], p[f"{side}_wrist"]
        fist = pose[..., number]
        for name, curl, forward in (
            ("", fist, 0.0),
            ("index_", fist * (1 - point[..., number]), 0.14),
        ):
            first, second = 0.12 + 1.4 * curl, 0.22 + 3.0 * curl
            knuckles = wrist + _along(hand, forward * unit, -0.36 * unit, 0)
            middle = knuckles + _curled(hand, first, sign, 0.2 * unit)
            found[f"{side}_{name}knuckle{'' if name else 's'}"] = knuckles
            found[f"{side}_{name}middle"] = middle
            found[f"{side}_{name.rstrip('_') or 'tips'}"] = middle + _curled(hand, second, sign, 0.17 * unit)
        base = wrist + _along(hand, 0.11 * unit, -0.14 * unit, 0)
        found[f"{side}_thumb_base"] = base
        open_tip = _along(hand, 0.17 * unit, -0.2 * unit, -sign * 0.03 * unit)
        shut_tip = _along(hand, 0.02 * unit, -0.18 * unit, -sign * 0.16 * unit)
        found[f"{side}_thumb"] = base + torch.lerp(open_tip, shut_tip, fist[..., None])
    return found


def _curled(hand: Tensor, angle: Tensor, sign: float, length: Tensor) -> Tensor:
    """[B, T, 3]: a phalanx turned by ``angle`` [B, T] from straight down towards the palm."""
    along, to_palm = -angle.cos()[..., None] * hand[..., 1], -sign * angle.sin()[..., None] * hand[..., 2]
    return (along + to_palm) * length[:, None, None]


def openpose_points(joints: Joints, size: Proportions) -> Tensor:
    """[B, T, 18, 3] world positions in OpenPose order; the neck is the middle of the shoulders."""
    p, head = joints.points, joints.head_axes
    r = size.head
    nose = p["head"] + _along(head, r, 0, 0)
    eyes = [p["head"] + _along(head, 0.85 * r, 0.25 * r, sign * 0.4 * r) for sign in (1.0, -1.0)]
    ears = [p["head"] + _along(head, 0.0, 0.1 * r, sign * r) for sign in (1.0, -1.0)]
    neck = (p["right_shoulder"] + p["left_shoulder"]) / 2
    order = [nose, neck]
    order += [p[f"right_{n}"] for n in ("shoulder", "elbow", "wrist")]
    order += [p[f"left_{n}"] for n in ("shoulder", "elbow", "wrist")]
    order += [p[f"right_{n}"] for n in ("hip", "knee", "ankle")]
    order += [p[f"left_{n}"] for n in ("hip", "knee", "ankle")]
    return torch.stack([*order, eyes[0], eyes[1], ears[0], ears[1]], dim=2)


def mirror(rotations: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
    """Left and right exchanged: rotations [..., 13 or 16, 3, 3], root [..., 3]."""
    order = list(range(rotations.shape[-3]))
    for name in ("hip", "knee", "ankle", "shoulder", "elbow", "hand")[: 5 if len(order) == RECORDED else 6]:
        left, right = R[f"left_{name}"], R[f"right_{name}"]
        order[left], order[right] = right, left
    flip = torch.tensor([1.0, 1.0, -1.0], dtype=rotations.dtype)
    return rotations[..., order, :, :] * flip[:, None] * flip, root * flip
