"""The second recipe's motion: feet that stand, joints in their ranges, speeds of people, parts held out."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.training.body import Joints, Proportions, R, forward_kinematics, standard_proportions
from core.training.looks import sample_proportions
from core.training.motion import EVALUATION_MIX, MotionMix, Moves, load_bank, replanted, sample_moves
from core.training.motion_gestures import gestures
from core.training.motion_limits import soles
from core.training.motion_mix import combination, held_apart
from core.training.motion_performance import sample_performance
from core.training.randomness import Draws
from core.training.rotations import to_rotation_vector

CLIPS, FRAMES = 24, 33
NONE = {part.name: 0.0 for part in fields(MotionMix) if part.name in
        ("walk", "dance", "jump", "recorded", "recorded_below", "recorded_above")}  # fmt: skip
OWN = ("walk", "dance", "jump")
# 99th percentiles, m/s and m/s^2, of 64 clips of recorded motion on the standard body, 16 frames a second.
RECORDED_SPEED = {"right_wrist": 6.7, "right_ankle": 8.0, "head": 3.9, "pelvis": 4.0, "right_knee": 6.2}
RECORDED_ACCELERATION = {"right_wrist": 74, "right_ankle": 103, "head": 49, "pelvis": 41, "right_knee": 56}


def people(seed: int = 4, count: int = CLIPS) -> Proportions:
    return sample_proportions(Draws(seed), count)


def only(kind: str, seed: int = 6, size: Proportions | None = None) -> tuple[Moves, Joints]:
    size = size or people()
    moves = sample_moves(Draws(seed), None, CLIPS, FRAMES, size, MotionMix(**{**NONE, kind: 1.0}))  # type: ignore[arg-type]
    return moves, moves.joints(size)


def stance_speed(moves: Moves, joints: Joints) -> Tensor:
    """Speeds, m/s, of the slower end of each foot between two frames in which it stands."""
    points = soles(joints)
    speed = (points[:, 1:] - points[:, :-1]).norm(dim=-1).amin(3) * 16
    return speed[moves.contacts[:, 1:] & moves.contacts[:, :-1]]


@pytest.mark.parametrize("kind", OWN)
def test_feet_that_stand_do_not_slide(kind: str) -> None:
    moves, joints = only(kind)
    speed = stance_speed(moves, joints)
    assert len(speed) > 100
    # A heel that strikes has not quite come to a stop.
    assert speed.quantile(0.9) < 0.03
    assert speed.quantile(0.99) < 0.25
    assert moves.contacts.any(2).float().mean() > 0.6


@pytest.mark.parametrize("kind", OWN)
def test_nobody_is_under_the_ground_or_floats(kind: str) -> None:
    moves, joints = only(kind)
    lowest = torch.stack(list(joints.points.values())).amin(0)[..., 1]
    assert lowest.min() > -1e-3
    standing = moves.contacts.any(2)
    assert lowest[standing].max() < 0.03


@pytest.mark.parametrize("kind", OWN)
def test_speeds_are_those_of_people(kind: str) -> None:
    _, joints = only(kind)
    for name, limit in RECORDED_SPEED.items():
        points = joints.points[name]
        speed = (points[:, 1:] - points[:, :-1]).norm(dim=-1) * 16
        change = (points[:, 2:] - 2 * points[:, 1:-1] + points[:, :-2]).norm(dim=-1) * 256
        assert speed.quantile(0.99) < limit
        assert change.quantile(0.99) < 1.25 * RECORDED_ACCELERATION[name]


def test_every_clip_moves() -> None:
    _, joints = only("dance")
    points = torch.stack(
        [joints.points[f"{s}_{n}"] for s in ("right", "left") for n in ("wrist", "ankle")], 2
    )
    assert (points.amax(1) - points.amin(1)).amax((1, 2)).median() > 0.3


@pytest.mark.parametrize("kind", OWN)
def test_knees_and_elbows_bend_one_way_and_necks_a_little(kind: str) -> None:
    moves, _ = only(kind)
    for side in ("right", "left"):
        knee, elbow = moves.rotations[:, :, R[f"{side}_knee"]], moves.rotations[:, :, R[f"{side}_elbow"]]
        assert torch.atan2(knee[..., 1, 0], knee[..., 0, 0]).max() <= 1e-5
        assert torch.atan2(elbow[..., 1, 0], elbow[..., 0, 0]).min() >= -1e-5
        for hinge in (knee, elbow):
            assert (hinge[..., 2, 2] - 1).abs().max() < 1e-4
    assert to_rotation_vector(moves.rotations[:, :, R["neck"]]).norm(dim=-1).max() < 1.2
    product = moves.rotations @ moves.rotations.transpose(-1, -2)
    assert torch.allclose(product, torch.eye(3).expand_as(product), atol=1e-4)


def test_hands_keep_out_of_the_torso() -> None:
    size = people()
    moves, joints = only("dance", size=size)
    for side in ("right", "left"):
        away = joints.points[f"{side}_hand"] - joints.points["chest"]
        x, y, z = (joints.chest_axes.transpose(-1, -2) @ away[..., None])[..., 0].unbind(-1)
        beside = ((y < size.chest[:, None] - 0.1) & (y > -size.spine[:, None])).float()
        inside = ((x.abs() < 0.1) & (z.abs() < 0.12)).float() * beside
        assert inside.mean() < 0.003
    assert moves.hand_pose.min() >= 0
    assert moves.hand_pose.max() <= 1


def test_the_same_seed_is_the_same_motion(motion_archive: Path) -> None:
    size = people()
    for bank in (None, load_bank(motion_archive)):
        first, again, other = (sample_moves(Draws(s), bank, CLIPS, FRAMES, size) for s in (1, 1, 2))
        for part in fields(Moves):
            assert torch.equal(getattr(first, part.name), getattr(again, part.name))
        assert not torch.equal(first.rotations, other.rotations)


@pytest.mark.parametrize("kind", ["recorded", "recorded_below", "recorded_above"])
def test_recorded_motion_is_mixed_in(motion_archive: Path, kind: str) -> None:
    size, bank = people(), load_bank(motion_archive)
    mix = MotionMix(**{**NONE, kind: 1.0})  # type: ignore[arg-type]
    moves = sample_moves(Draws(3), bank, CLIPS, FRAMES, size, mix)
    assert moves.rotations.shape == (CLIPS, FRAMES, 16, 3, 3)
    assert torch.isfinite(moves.rotations).all()
    lowest = torch.stack(list(moves.joints(size).points.values())).amin(0)[..., 1]
    assert lowest.min() > -1e-3
    assert stance_speed(moves, moves.joints(size)).quantile(0.9) < 0.1


def test_for_evaluation_recorded_clips_are_played_as_they_are(motion_archive: Path) -> None:
    bank, size = load_bank(motion_archive).only(held_out=True), standard_proportions(8)
    mix = MotionMix(**{**NONE, "recorded": 1.0}, alteration=EVALUATION_MIX.alteration)  # type: ignore[arg-type]
    moves = sample_moves(Draws(3), bank, 8, 9, size, mix)
    elbow = moves.rotations[:, :, R["right_elbow"]]
    angle = torch.atan2(elbow[..., 1, 0], elbow[..., 0, 0])
    # One radian a second, forwards or backwards.
    inside = ((angle > 0.1) & (angle < 0.9))[:, 1:-1].all(1)
    assert inside.any()
    assert ((angle[inside, 2:-1] - angle[inside, 1:-2]).abs() * 16 - 1).abs().max() < 0.15


def test_other_people_do_the_same_with_feet_that_stand() -> None:
    size, other = people(1), people(2)
    moves = sample_moves(Draws(5), None, CLIPS, FRAMES, size, MotionMix(**{**NONE, "walk": 1.0}))  # type: ignore[arg-type]
    again = replanted(moves, other, size)
    assert stance_speed(again, again.joints(other)).quantile(0.9) < 0.06
    upper = [R[name] for name in ("chest", "neck", "right_elbow", "left_elbow")]
    assert torch.allclose(again.rotations[:, :, upper], moves.rotations[:, :, upper], atol=1e-3)


def test_mirrored_moves_are_the_mirror_image() -> None:
    size = standard_proportions(CLIPS)
    moves, joints = only("dance", size=size)
    mirrored = moves.mirrored().joints(size)
    flip = torch.tensor([1.0, 1.0, -1.0])
    for name in ("toe", "wrist", "hand"):
        assert torch.allclose(
            mirrored.points[f"right_{name}"], joints.points[f"left_{name}"] * flip, atol=1e-4
        )
    for name in ("tips", "thumb", "index"):
        assert torch.allclose(
            mirrored.fingers[f"right_{name}"], joints.fingers[f"left_{name}"] * flip, atol=1e-4
        )


def test_held_out_combinations_are_never_trained_on() -> None:
    performance, lower = sample_performance(Draws(8), 4000), Draws(9).integer(60, 4000)
    natural = torch.zeros(4000, dtype=torch.bool)
    for held_out in (True, False):
        gesture = held_apart(performance, lower, held_out, natural).right_arm
        assert gesture.min() >= 0
        assert gesture.max() < len(gestures())
        assert ((combination(lower[:, None], gesture) % 8 == 0) == held_out).all()


def test_fingers_curl_to_the_palm_and_the_index_points() -> None:
    size = standard_proportions(1)
    rotations = torch.eye(3).repeat(1, 3, 16, 1, 1)
    pose = torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]])[None]
    pointing = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]])[None]
    fingers = forward_kinematics(rotations, torch.zeros(1, 3, 3), size, pose, pointing).fingers
    for side, palm in (("right", -1.0), ("left", 1.0)):
        tips = (fingers[f"{side}_tips"] - fingers[f"{side}_knuckles"])[0]
        index = (fingers[f"{side}_index"] - fingers[f"{side}_index_knuckle"])[0]
        assert tips[0, 1] < -0.08
        assert tips[1, 1] > -0.02
        assert tips[1, 2] * palm > 0.02
        assert index[2, 1] < -0.08
        assert index[1, 1] > -0.02
        thumb = fingers[f"{side}_thumb"][0]
        assert thumb[0, 0] > thumb[1, 0] + 0.02
