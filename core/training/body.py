"""The drawn person's skeleton: joint rotations to positions, and positions to the 18 joints of OpenPose.

Axes: x forward, y up, z to the person's right; metres. Offsets follow the proportions of the humanoid used by
the DeepMimic motion files, so that their rotations can be applied as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

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
)
R = {name: index for index, name in enumerate(ROTATIONS)}
UPPER = tuple(R[n] for n in ("chest", "neck", "right_shoulder", "right_elbow", "left_shoulder", "left_elbow"))

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
    """World positions, each [B, T, 3], and two frames of axes [B, T, 3, 3] (columns x, y, z)."""

    points: dict[str, Tensor]
    chest_axes: Tensor
    head_axes: Tensor
    root_axes: Tensor


def standard_proportions(batch: int) -> Proportions:
    """The humanoid of the motion files."""
    lengths = (0.236, 0.224, 0.183, 0.275, 0.259, 0.085, 0.422, 0.410, 0.17, 0.07, 0.11)
    return Proportions(*(torch.full((batch,), value) for value in lengths))


def _along(axes: Tensor, x: Tensor | float, y: Tensor | float, z: Tensor | float) -> Tensor:
    """axes [B, T, 3, 3] times a constant vector a person: [B, T, 3]."""
    batch = axes.shape[0]
    parts = [torch.as_tensor(v, dtype=axes.dtype).expand(batch) for v in (x, y, z)]
    return torch.einsum("btij,bj->bti", axes, torch.stack(parts, dim=-1))


def forward_kinematics(rotations: Tensor, root: Tensor, size: Proportions) -> Joints:
    """rotations [B, T, 13, 3, 3] (local), root [B, T, 3] -> world positions.

    The spine is straight from the pelvis to the chest joint; arms hang down at rest.
    """
    axes = {"root": rotations[:, :, R["root"]]}
    axes["chest"] = axes["root"] @ rotations[:, :, R["chest"]]
    axes["neck"] = axes["chest"] @ rotations[:, :, R["neck"]]
    p = {"pelvis": root}
    p["chest"] = root + _along(axes["root"], 0, size.spine, 0)
    p["neck"] = p["chest"] + _along(axes["chest"], 0, size.chest, 0)
    p["head"] = p["neck"] + _along(axes["neck"], 0.02, size.neck + size.head, 0)
    for side, sign in (("right", 1.0), ("left", -1.0)):
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
        p[f"{side}_hand"] = p[f"{side}_wrist"] + _along(elbow, 0, -0.32 * size.forearm, 0)
        p[f"{side}_hip"] = root + _along(axes["root"], 0, 0, sign * size.hip)
        p[f"{side}_knee"] = p[f"{side}_hip"] + _along(hip, 0, -size.thigh, 0)
        p[f"{side}_ankle"] = p[f"{side}_knee"] + _along(knee, 0, -size.shin, 0)
        p[f"{side}_heel"] = p[f"{side}_ankle"] + _along(ankle, -0.03, -0.04, 0)
        p[f"{side}_toe"] = p[f"{side}_ankle"] + _along(ankle, size.foot, -0.05, 0)
    return Joints(p, axes["chest"], axes["neck"], axes["root"])


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


def rotation_x(angle: Tensor) -> Tensor:
    """[...] radians -> [..., 3, 3]."""
    return _rotation(angle, 0)


def rotation_y(angle: Tensor) -> Tensor:
    """[...] radians -> [..., 3, 3]."""
    return _rotation(angle, 1)


def rotation_z(angle: Tensor) -> Tensor:
    """[...] radians -> [..., 3, 3]."""
    return _rotation(angle, 2)


def _rotation(angle: Tensor, axis: int) -> Tensor:
    c, s = angle.cos(), angle.sin()
    matrix = torch.zeros(*angle.shape, 3, 3, dtype=angle.dtype)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[..., axis, axis] = 1
    matrix[..., i, i] = c
    matrix[..., j, j] = c
    matrix[..., i, j] = -s
    matrix[..., j, i] = s
    return matrix


def orthonormal(matrix: Tensor) -> Tensor:
    """Nearest-by-Gram-Schmidt rotation of blended matrices [..., 3, 3] (columns)."""
    x = torch.nn.functional.normalize(matrix[..., 0], dim=-1)
    y = matrix[..., 1] - (x * matrix[..., 1]).sum(-1, keepdim=True) * x
    y = torch.nn.functional.normalize(y, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)


def mirror(rotations: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
    """Left and right exchanged: rotations [..., 13, 3, 3], root [..., 3]."""
    order = list(range(len(ROTATIONS)))
    for name in ("hip", "knee", "ankle", "shoulder", "elbow"):
        left, right = R[f"left_{name}"], R[f"right_{name}"]
        order[left], order[right] = right, left
    flip = torch.tensor([1.0, 1.0, -1.0], dtype=rotations.dtype)
    return rotations[..., order, :, :] * flip[:, None] * flip, root * flip


def quaternion_matrix(q: Tensor) -> Tensor:
    """Quaternions (w, x, y, z) [..., 4] -> [..., 3, 3]."""
    w, x, y, z = torch.nn.functional.normalize(q, dim=-1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).reshape(*q.shape[:-1], 3, 3)
