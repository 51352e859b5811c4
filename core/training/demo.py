"""Make the shipped demo: characters in a relaxed stance, their joints, and motions that begin in the stance.

``python -m core.training.demo --out resources/demo``. Characters are dressed in ``gallery``, motions are
written in ``motion_named``; nothing is recorded. A motion is done by a person of standard proportions and is
fitted to the character as any other motion is.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from core.pose.sidecar import to_data
from core.pose.skeleton import BODY, JOINTS, PoseTrack
from core.training.body import (
    Joints,
    Proportions,
    openpose_points,
    rotation_x,
    rotation_y,
    standard_proportions,
)
from core.training.characters import named_character
from core.training.motion import named_motion, stance_moves
from core.training.randomness import Draws
from core.training.renderer import SUPERSAMPLE, paint_people
from core.training.scene import FACING, Camera, figure_values, sample_scene, visible_joints
from core.types import FPS

SIZE = 512
FRAMES = 33
# Characters of ``gallery`` and the seeds of what they stand in.
CHARACTERS = {"Ada": 5, "Bruno": 4, "Chiyo": 40, "Dayo": 33, "Emre": 52, "Freya": 47}
# Names in the Library and in ``motion_named``.
MOTIONS = {
    "Groove": "Disco point",
    "Jumping jacks": "Jumping jacks",
    "March": "Walk on the spot",
    "Robot": "Robot",
    "Spin": "Spin",
    "Wave": "Wave hello",
}
# Fractions of the picture to a two-hundredth of a pixel; more would only make the files larger.
DECIMALS = 5
_YAW, _PITCH = 0.22, 0.1
# Shares of the picture: room for raised arms above, for the floor below.
_TALL, _FEET = 0.78, 0.94
_SIDE = SIZE * SUPERSAMPLE


def camera(size: Proportions) -> Camera:
    """Nearly frontal, a little from above; whoever stands there fills four fifths of the height."""
    turn = rotation_x(torch.tensor([_PITCH])) @ FACING @ rotation_y(torch.tensor([_YAW]))
    scale = _TALL * _SIDE / size.height()
    return Camera(turn, scale, torch.stack([torch.zeros(1), (_FEET - 0.5) * _SIDE / scale], dim=-1))


def portrait(name: str) -> tuple[Image.Image, NDArray[np.bool_]]:
    """A character in the stance before a scene, and which pixels [SIZE, SIZE] are the person."""
    looks = named_character(name)
    view = camera(looks.size)
    joints = stance_moves(looks.size).joints(looks.size)
    ground = view.project(torch.zeros(1, 1, 3), _SIDE, _SIDE)[0, 0, 1]
    scene, light = sample_scene(Draws(CHARACTERS[name]), 1, _SIDE, _SIDE, ground[None], torch.device("cpu"))
    shapes = figure_values(looks, joints, view, _SIDE, _SIDE).each(lambda part: part[:, 0])
    picture, mask = paint_people(scene, shapes, light)
    pixels = (picture[0] * 255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    return Image.fromarray(pixels), mask[0].numpy()


def character(name: str) -> PoseTrack:
    """The joints of ``portrait``: one frame, the 18 body and face joints."""
    size = named_character(name).size
    return _track(stance_moves(size).joints(size), size)


def motion(name: str) -> PoseTrack:
    """Keypoints of a motion, normalised to the picture; only the 18 body and face joints are seen."""
    size = standard_proportions(1)
    return _track(named_motion(MOTIONS[name], FRAMES, size).joints(size), size)


def _track(joints: Joints, size: Proportions) -> PoseTrack:
    view = camera(size)
    points = openpose_points(joints, size)
    frames = points.shape[1]
    flat = view.project(points, _SIDE, _SIDE)[0, ..., :2] / _SIDE
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
    for folder in ("characters", "motions"):
        (options.out / folder).mkdir(parents=True, exist_ok=True)
    for name in CHARACTERS:
        portrait(name)[0].save(options.out / "characters" / f"{name}.png", optimize=True)
        _write(options.out / "characters", name, character(name))
    for name in MOTIONS:
        _write(options.out / "motions", name, motion(name))
    return 0


def _write(folder: Path, name: str, track: PoseTrack) -> None:
    (folder / f"{name}.pose.json").write_text(body_sidecar(track), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
