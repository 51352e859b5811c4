"""The drawn person's skeleton."""

from __future__ import annotations

import torch
from torch import Tensor

from core.training.body import (
    R,
    forward_kinematics,
    mirror,
    openpose_points,
    orthonormal,
    quaternion_matrix,
    rotation_x,
    rotation_y,
    rotation_z,
    standard_proportions,
)

BATCH, FRAMES = 2, 6


def random_motion() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    rotations = quaternion_matrix(torch.randn(BATCH, FRAMES, 13, 4, generator=generator))
    return rotations, torch.randn(BATCH, FRAMES, 3, generator=generator)


def test_limbs_keep_their_length() -> None:
    size = standard_proportions(BATCH)
    points = forward_kinematics(*random_motion(), size).points
    for first, second, length in (
        ("right_shoulder", "right_elbow", size.upper_arm),
        ("left_elbow", "left_wrist", size.forearm),
        ("right_hip", "right_knee", size.thigh),
        ("left_knee", "left_ankle", size.shin),
        ("pelvis", "chest", size.spine),
    ):
        distance = (points[first] - points[second]).norm(dim=-1)
        assert torch.allclose(distance, length[:, None].expand_as(distance), atol=1e-5)


def test_mirrored_motion_exchanges_the_sides() -> None:
    rotations, root = random_motion()
    size = standard_proportions(BATCH)
    points = forward_kinematics(rotations, root, size).points
    mirrored = forward_kinematics(*mirror(rotations, root), size).points
    flip = torch.tensor([1.0, 1.0, -1.0])
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "toe"):
        assert torch.allclose(mirrored[f"right_{joint}"], points[f"left_{joint}"] * flip, atol=1e-5)
    assert torch.allclose(mirrored["head"], points["head"] * flip, atol=1e-5)


def test_mirroring_twice_changes_nothing() -> None:
    rotations, root = random_motion()
    again = mirror(*mirror(rotations, root))
    assert torch.equal(again[0], rotations)
    assert torch.equal(again[1], root)


def test_rotations_agree_with_quaternions() -> None:
    angle = torch.tensor([0.3, -1.2])
    half = angle / 2
    zero = torch.zeros(2)
    for axis, rotate in enumerate((rotation_x, rotation_y, rotation_z)):
        parts = [half.cos(), zero, zero, zero]
        parts[axis + 1] = half.sin()
        assert torch.allclose(rotate(angle), quaternion_matrix(torch.stack(parts, dim=-1)), atol=1e-6)


def test_blends_become_rotations() -> None:
    rotations, _ = random_motion()
    blended = orthonormal(torch.lerp(rotations[0], rotations[1], 0.3))
    identity = (blended.transpose(-1, -2) @ blended - torch.eye(3)).abs().amax()
    assert identity < 1e-5
    assert torch.allclose(torch.linalg.det(blended), torch.ones(blended.shape[:2]), atol=1e-5)


def test_knees_and_elbows_bend_the_way_people_do() -> None:
    rotations = torch.eye(3).repeat(1, 1, 13, 1, 1)
    rotations[:, :, R["right_elbow"]] = rotation_z(torch.tensor(1.0))
    rotations[:, :, R["right_knee"]] = rotation_z(torch.tensor(-1.0))
    points = forward_kinematics(rotations, torch.zeros(1, 1, 3), standard_proportions(1)).points
    assert points["right_wrist"][0, 0, 0] > points["right_elbow"][0, 0, 0]
    assert points["right_ankle"][0, 0, 0] < points["right_knee"][0, 0, 0]


def test_openpose_order() -> None:
    rotations, root = random_motion()
    size = standard_proportions(BATCH)
    joints = forward_kinematics(rotations, root, size)
    points = openpose_points(joints, size)
    assert points.shape == (BATCH, FRAMES, 18, 3)
    for index, name in ((2, "right_shoulder"), (4, "right_wrist"), (7, "left_wrist"), (13, "left_ankle")):
        assert torch.equal(points[:, :, index], joints.points[name])
    assert torch.allclose(points[:, :, 1], (points[:, :, 2] + points[:, :, 5]) / 2)
