"""Legs and arms by inverse kinematics, and time curves."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from core.training.body import forward_kinematics, standard_proportions
from core.training.motion_curves import eased, minimum_jerk
from core.training.motion_limbs import Lower, Upper, assembled, bent_limb, hanging_front, shortest_turn
from core.training.motion_limits import found_contacts, planted
from core.training.motion_performance import gesture_number
from core.training.randomness import Draws
from core.training.rotations import rotation_vector, rotation_z, to_rotation_vector

FRAMES = 5


def standing(batch: int = 2) -> tuple[Lower, Upper]:
    shape = (batch, FRAMES)
    feet = torch.zeros(*shape, 2, 3)
    feet[..., 2] = torch.tensor([0.1, -0.1])
    pelvis = torch.tensor([0.02, 0.84, 0.0]).expand(*shape, 3)
    none = torch.zeros(*shape, 3)
    lower = Lower(
        pelvis, none, feet, torch.zeros(*shape, 2), torch.zeros(*shape, 2),
        torch.ones(*shape, 2, dtype=torch.bool), torch.zeros(shape),
    )  # fmt: skip
    return lower, Upper(none, none, none, torch.zeros(*shape, 2, 9))


def test_legs_reach_where_feet_stand() -> None:
    size = standard_proportions(2)
    lower, upper = standing()
    feet = lower.feet + 0.1 * Draws(2).normal(2, FRAMES, 2, 3) * torch.tensor([1.0, 0.0, 1.0])
    points = assembled(replace(lower, feet=feet), upper, size).joints(size).points
    for number, side in enumerate(("right", "left")):
        ankle = points[f"{side}_ankle"]
        assert torch.allclose(ankle, feet[:, :, number] + torch.tensor([0.0, 0.05, 0.0]), atol=2e-3)
        assert points[f"{side}_toe"][..., 1].abs().max() < 1e-4


def test_the_pelvis_comes_down_to_feet_far_apart() -> None:
    size = standard_proportions(2)
    lower, upper = standing()
    points = assembled(replace(lower, feet=lower.feet * 5), upper, size).joints(size).points
    assert points["pelvis"][..., 1].max() < 0.8
    assert points["right_ankle"][..., 1].max() < 0.06


@pytest.mark.parametrize("pitch", [-0.8, 0.5])
def test_a_foot_rolls_over_its_toe_or_its_heel(pitch: float) -> None:
    size = standard_proportions(2)
    lower, upper = standing()
    flat = assembled(lower, upper, size).joints(size).points
    rolled = assembled(replace(lower, foot_pitch=torch.full_like(lower.foot_pitch, pitch)), upper, size)
    kept = "right_toe" if pitch < 0 else "right_heel"
    assert torch.allclose(rolled.joints(size).points[kept], flat[kept], atol=1e-4)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_two_bones_end_where_they_should(sign: float) -> None:
    way = torch.nn.functional.normalize(Draws(3).normal(1, 50, 3), dim=-1) * Draws(4).uniform(
        0.3, 0.5, 1, 50, 1
    )
    way = way[:, way[0, :, 1] < 0.3]
    upper, lower = torch.tensor([0.28]), torch.tensor([0.26])
    forward = torch.tensor([1.0, 0.0, 0.0]).expand_as(way)
    axes, bend = bent_limb(way, hanging_front(way, forward), upper, lower, sign)
    assert (bend * sign >= 0).all()
    end = -axes[..., 1] * 0.28 - (axes @ rotation_z(bend))[..., 1] * 0.26
    assert torch.allclose(end, way, atol=1e-4)


def test_the_shortest_turn_turns_one_into_the_other() -> None:
    first, second = torch.nn.functional.normalize(Draws(5).normal(2, 40, 3), dim=-1)
    assert torch.allclose((shortest_turn(first, second) @ first[..., None])[..., 0], second, atol=1e-3)


def test_rotation_vectors_there_and_back() -> None:
    vector = Draws(6).normal(60, 3)
    vector = vector / vector.norm(dim=-1, keepdim=True) * Draws(7).uniform(0, 3.0, 60, 1)
    assert torch.allclose(to_rotation_vector(rotation_vector(*vector.unbind(-1))), vector, atol=1e-3)


def test_sliding_feet_are_planted() -> None:
    """Somebody carried along without a step: contacts say that they stand."""
    size = standard_proportions(2)
    lower, upper = standing()
    moves = assembled(lower, upper, size)
    root = moves.root + torch.linspace(-0.1, 0.1, FRAMES)[None, :, None] * torch.tensor([1.0, 0.0, 0.0])
    joints = forward_kinematics(moves.rotations, root, size)
    rotations, moved = planted(moves.rotations, root, joints, size, moves.contacts)
    after = forward_kinematics(rotations, moved, size).points["right_toe"]
    assert (after - after[:, :1]).norm(dim=-1).max() < 0.01
    assert not found_contacts(joints, torch.zeros(2), 16.0).any()
    assert found_contacts(moves.joints(size), torch.zeros(2), 16.0).all()


def test_reaching_begins_and_ends_at_rest() -> None:
    share = minimum_jerk(torch.linspace(-0.2, 1.2, 141))
    assert share.min() == 0
    assert share.max() == pytest.approx(1, abs=1e-6)
    step = share.diff()
    assert step.min() > -1e-6
    assert step.max() < 0.02
    index, eased_share = eased(torch.tensor([2.1, 2.9]), torch.tensor([0.3, 0.3]))
    assert index.tolist() == [2, 2]
    assert eased_share[0] == 0
    assert eased_share[1] > 0.9


def test_gestures_are_found_by_name() -> None:
    assert gesture_number("rest") == 0
    with pytest.raises(ValueError, match="not in list"):
        gesture_number("none such")
