"""OpenPose JSON: one object a frame with ``people``; body of 18 or 25 points, hands and face where given.

Source: OpenPose, doc/02_output.md; ``canvas_width`` and ``canvas_height`` as ControlNet's tools add.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.errors import BadPose
from core.pose.people import Layout, Person, from_body, numbers
from core.pose.skeleton import FACE, LEFT_HAND, RIGHT_HAND, Floats

_FACE_POINTS: Final = (70, 68)
_PARTS: Final = (("hand_left_keypoints_2d", LEFT_HAND), ("hand_right_keypoints_2d", RIGHT_HAND))


def parse(frames: Sequence[Any], path: Path, first_frame: int = 0) -> Layout:
    """The people of each frame; ``first_frame`` numbers them in error messages."""
    people = [_frame(data, path, first_frame + i) for i, data in enumerate(frames)]
    return Layout(frames=people, size=_size(frames))


def _size(frames: Sequence[Any]) -> tuple[int, int] | None:
    for data in frames:
        try:
            return int(data["canvas_width"]), int(data["canvas_height"])
        except (KeyError, TypeError, ValueError):
            continue
    return None


def _frame(data: Any, path: Path, frame: int) -> list[Person]:
    people = data.get("people") if isinstance(data, dict) else None
    if people is None and isinstance(data, dict) and "pose_keypoints_2d" in data:
        people = [data]
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        raise BadPose(
            f"{path.name}: frame {frame} has no list of people.",
            value=str(data)[:80],
            limit='{"people": [...]}',
            action="Export the OpenPose files again.",
        )
    return [_person(person, path, frame) for person in people if person.get("pose_keypoints_2d")]


def _person(data: dict[str, Any], path: Path, frame: int) -> Person:
    person = from_body(_body(data["pose_keypoints_2d"], path, frame))
    for key, part in _PARTS:
        if data.get(key):
            _put(person, part, numbers(data[key], 21, key, path, frame))
    face = data.get("face_keypoints_2d")
    if face:
        points = _FACE_POINTS[0] if np.size(face) == _FACE_POINTS[0] * 3 else _FACE_POINTS[1]
        _put(person, FACE, numbers(face, points, "face_keypoints_2d", path, frame)[:68])
    return person


def _body(values: Any, path: Path, frame: int) -> Floats:
    count = 18 if np.size(values) == 54 else 25
    try:
        return numbers(values, count, "pose_keypoints_2d", path, frame)
    except BadPose as error:
        error.limit = "54 or 75 finite numbers: 18 or 25 points of x, y, score"
        raise


def _put(person: Person, part: slice, triples: Floats) -> None:
    person.points[part], person.scores[part] = triples[:, :2], triples[:, 2]
