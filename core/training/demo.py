"""Make the shipped demo: characters in a neutral stance, their joints, and motions that begin in the stance.

``python -m core.training.demo --out resources/demo``. All characters share the standard proportions and one
camera, so every motion fits every character without alignment. The motions are written here, not recorded.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from core.pose.sidecar import to_data
from core.pose.skeleton import BODY, JOINTS, PoseTrack
from core.training.body import (
    ROTATIONS,
    Joints,
    Proportions,
    R,
    forward_kinematics,
    openpose_points,
    orthonormal,
    rotation_x,
    rotation_y,
    rotation_z,
    standard_proportions,
)
from core.training.characters_v1 import Looks, sample_looks
from core.training.randomness import Draws
from core.training.renderer_v1 import SUPERSAMPLE, paint_people
from core.training.scene_v1 import FACING, Camera, capsule_values, draw_background, visible_joints
from core.types import FPS

SIZE = 192
FRAMES = 33
CHARACTERS = {"Ada": 12, "Bruno": 15, "Chiyo": 41, "Dayo": 27, "Emre": 39, "Freya": 36}
# Fractions of the picture to a five-hundredth of a pixel; more would only make the files larger.
DECIMALS = 5

# Angles in degrees: rx, ry, rz about forward, up, right; a key is (seconds, {joint: angles}, lift in metres).
Key = tuple[float, dict[str, tuple[float, float, float]], float]
NEUTRAL: dict[str, tuple[float, float, float]] = {
    "right_shoulder": (-16, 0, 4),
    "left_shoulder": (16, 0, 4),
    "right_elbow": (0, 0, 14),
    "left_elbow": (0, 0, 14),
    "right_hip": (-5, 0, 0),
    "left_hip": (5, 0, 0),
}


def _pose(**joints: tuple[float, float, float]) -> dict[str, tuple[float, float, float]]:
    return NEUTRAL | joints


def _repeat(first: Key, second: Key, period: float, start: float, end: float) -> list[Key]:
    keys, at, number = [], start, 0
    while at < end:
        key = (first, second)[number % 2]
        keys.append((at, key[1], key[2]))
        at, number = at + period / 2, number + 1
    return keys


def _step(angle: float, lean: float, side: str) -> Key:
    other = "left" if side == "right" else "right"
    arms = {f"{side}_shoulder": (0.0, 0.0, -40.0), f"{other}_shoulder": (0.0, 0.0, 65.0)}
    elbows = {f"{side}_elbow": (0.0, 0.0, 50.0), f"{other}_elbow": (0.0, 0.0, 75.0)}
    legs = {f"{side}_hip": (0.0, 0.0, angle), f"{side}_knee": (0.0, 0.0, -angle * 1.3)}
    return 0.0, _pose(**arms, **elbows, **legs, chest=(0.0, lean if side == "right" else -lean, 0.0)), 0.0


def motions() -> dict[str, list[Key]]:
    """The keys of the shipped motions by name."""
    wave_a = _pose(right_shoulder=(-150, 0, 10), right_elbow=(0, 0, 20), chest=(-6, 0, 0), neck=(8, 0, 0))
    wave_b = _pose(right_shoulder=(-115, 0, 10), right_elbow=(0, 0, 55), chest=(4, 0, 0), neck=(-4, 0, 0))
    jack = _pose(
        right_shoulder=(-155, 0, 0), left_shoulder=(155, 0, 0), right_elbow=(0, 0, 5), left_elbow=(0, 0, 5),
        right_hip=(-24, 0, 0), left_hip=(24, 0, 0),
    )  # fmt: skip
    squash = _pose(right_hip=(-5, 0, 25), left_hip=(5, 0, 25), right_knee=(0, 0, -48), left_knee=(0, 0, -48))
    sway_right = _pose(
        root=(0, 14, 0), chest=(-14, 18, 0), neck=(10, -10, 0),
        right_shoulder=(-80, 0, 20), right_elbow=(0, 0, 70),
        left_shoulder=(50, 0, 30), left_elbow=(0, 0, 85), left_hip=(10, 0, 22), left_knee=(0, 0, -42),
    )  # fmt: skip
    sway_left = _pose(
        root=(0, -14, 0), chest=(14, -18, 0), neck=(-10, 10, 0),
        left_shoulder=(80, 0, 20), left_elbow=(0, 0, 70),
        right_shoulder=(-50, 0, 30), right_elbow=(0, 0, 85), right_hip=(-10, 0, 22), right_knee=(0, 0, -42),
    )  # fmt: skip
    start: Key = (0.0, NEUTRAL, 0.0)
    return {
        "Wave": [start, *_repeat((0, wave_a, 0), (0, wave_b, 0), 0.7, 0.45, 2.6)],
        "Groove": [start, *_repeat((0, sway_right, 0), (0, sway_left, 0), 1.1, 0.4, 2.8)],
        "Jumping jacks": [
            start,
            (0.25, squash, 0.0),
            *_repeat((0, jack, 0.1), (0, squash, 0.0), 0.8, 0.55, 2.8),
        ],
        "March": [start, *_repeat(_step(70, 12, "right"), _step(70, 12, "left"), 1.0, 0.4, 2.8)],
    }


def _matrices(pose: dict[str, tuple[float, float, float]]) -> Tensor:
    """[13, 3, 3]."""
    matrices = torch.eye(3).repeat(len(ROTATIONS), 1, 1)
    for joint, angles in pose.items():
        x, y, z = (torch.tensor(angle) * torch.pi / 180 for angle in angles)
        matrices[R[joint]] = rotation_z(z) @ rotation_x(x) @ rotation_y(y)
    return matrices


def play(keys: list[Key], frames: int) -> tuple[Tensor, Tensor]:
    """Eased between the keys at 16 fps: rotations [1, T, 13, 3, 3] and lift above the floor [T], metres."""
    times = torch.tensor([key[0] for key in keys])
    poses = torch.stack([_matrices(key[1]) for key in keys])
    lifts = torch.tensor([key[2] for key in keys])
    at = torch.arange(frames) / FPS
    right = torch.searchsorted(times, at, right=True).clamp(1, len(keys) - 1)
    share = ((at - times[right - 1]) / (times[right] - times[right - 1])).clamp(0, 1)
    share = share * share * (3 - 2 * share)
    blended = torch.lerp(poses[right - 1], poses[right], share[:, None, None, None])
    return orthonormal(blended)[None], torch.lerp(lifts[right - 1], lifts[right], share)


def stand(rotations: Tensor, lift: Tensor, size: Proportions) -> Joints:
    """Places a person with the lowest point ``lift`` metres above the floor."""
    root = torch.zeros(1, rotations.shape[1], 3)
    joints = forward_kinematics(rotations, root, size)
    root[0, :, 1] = lift - torch.stack(list(joints.points.values())).amin(0)[0, :, 1]
    return forward_kinematics(rotations, root, size)


def camera() -> Camera:
    """Nearly frontal; a standing person fills three quarters of the height, with room for raised arms."""
    turn = FACING @ rotation_y(torch.tensor([0.22]))
    return Camera(turn, torch.tensor([0.74 * SIZE * SUPERSAMPLE / 1.72]), torch.tensor([[0.0, 0.98]]))


def stance(size: Proportions) -> Joints:
    """What characters stand in and motions begin with, one frame."""
    return stand(_matrices(NEUTRAL)[None, None], torch.zeros(1), size)


def looks_of(draws: Draws) -> Looks:
    """A random person of standard proportions; only the size of the head is the person's own."""
    looks = sample_looks(draws, 1)
    return replace(looks, size=replace(standard_proportions(1), head=looks.size.head))


def portrait(seed: int) -> tuple[Image.Image, NDArray[np.bool_]]:
    """A person in the neutral stance before a random scene, and which pixels [SIZE, SIZE] are the person."""
    draws = Draws(seed)
    looks = looks_of(draws)
    joints = stance(looks.size)
    view, side = camera(), SIZE * SUPERSAMPLE
    floor = view.project(torch.zeros(1, 1, 3), side, side)[0, 0, 1] - 12
    background = draw_background(draws, 1, side, side, floor[None], torch.device("cpu"))
    light = torch.nn.functional.normalize(torch.tensor([[-0.3, 0.5, 0.8]]), dim=-1)
    values = capsule_values(looks, joints, view, side, side)
    picture, mask = paint_people(background, values[:, 0], light, cropped=True)
    pixels = (picture[0] * 255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    return Image.fromarray(pixels), mask[0].numpy()


def character(seed: int) -> PoseTrack:
    """The joints of ``portrait``: one frame, the 18 body and face joints."""
    size = looks_of(Draws(seed)).size
    return _track(stance(size), size)


def motion(keys: list[Key]) -> PoseTrack:
    """Keypoints of a motion, normalised to the picture; only the 18 body and face joints are seen."""
    size = standard_proportions(1)
    return _track(stand(*play(keys, FRAMES), size), size)


def _track(joints: Joints, size: Proportions) -> PoseTrack:
    view, side = camera(), SIZE * SUPERSAMPLE
    points = openpose_points(joints, size)
    frames = points.shape[1]
    flat = view.project(points, side, side)[0, ..., :2] / side
    keypoints, scores = np.zeros((frames, 1, JOINTS, 2)), np.zeros((frames, 1, JOINTS))
    keypoints[:, 0, BODY] = flat.double().numpy()
    scores[:, 0, BODY] = visible_joints(joints, view, points)[0].numpy()
    return PoseTrack(keypoints=keypoints, scores=scores, width=SIZE, height=SIZE, fps=float(FPS))


def body_sidecar(track: PoseTrack) -> str:
    """The sidecar of a track with only the 18 points that the demo has."""
    data = to_data(track) | {"order": "openpose-18"}
    for frame in data["frames"]:
        for person in frame["people"]:
            person["keypoints"] = np.round(person["keypoints"][BODY], DECIMALS).tolist()
    return json.dumps(data, separators=(",", ":"), allow_nan=False) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    for name in ("characters", "motions"):
        (options.out / name).mkdir(parents=True, exist_ok=True)
    for name, seed in CHARACTERS.items():
        portrait(seed)[0].save(options.out / "characters" / f"{name}.png", optimize=True)
        _write(options.out / "characters", name, character(seed))
    for name, keys in motions().items():
        _write(options.out / "motions", name, motion(keys))
    return 0


def _write(folder: Path, name: str, track: PoseTrack) -> None:
    (folder / f"{name}.pose.json").write_text(body_sidecar(track), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
