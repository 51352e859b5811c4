"""OpenPose JSON: one object a frame with ``people``; body of 18 or 25 points, hands and face where given.

Source: OpenPose, doc/02_output.md; ``canvas_width`` and ``canvas_height`` as ControlNet's tools add.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.errors import BadPose
from core.pose.people import FROM_BODY_25, Layout, Person, from_body, numbers
from core.pose.skeleton import FACE, LEFT_HAND, RIGHT_HAND, Floats, PoseTrack

_MID_HIP: Final = 8
_FACE_POINTS: Final = (70, 68)
_PARTS: Final = (("hand_left_keypoints_2d", LEFT_HAND), ("hand_right_keypoints_2d", RIGHT_HAND))


def parse(frames: Sequence[Any], path: Path, first_frame: int = 0) -> Layout:
    """The people of each frame; ``first_frame`` numbers them in error messages."""
    people = [_frame(data, path, first_frame + i) for i, data in enumerate(frames)]
    return Layout(frames=people, size=_size(frames))


def to_data(track: PoseTrack) -> Iterator[dict[str, Any]]:
    """One object a frame as OpenPose 1.3 writes it: bodies of 25 points, hands, face, in pixels.

    People whose scores are all 0 are left out. The size stands in ``canvas_width`` and ``canvas_height``.
    """
    size = np.array([track.width, track.height, 1.0])
    for points, scores in zip(track.keypoints, track.scores, strict=True):
        triples = np.concatenate([points, scores[..., None]], axis=-1) * size
        triples[scores <= 0] = 0
        people = [_written(person) for person in triples if (person[:, 2] > 0).any()]
        yield {
            "version": 1.3,
            "people": people,
            "canvas_width": track.width,
            "canvas_height": track.height,
        }


def _written(person: Floats) -> dict[str, Any]:
    """[134, 3] as OpenPose's lists; the mid hip is where both hips were found, pupils are the eyes."""
    body = np.zeros((25, 3))
    body[FROM_BODY_25] = person[:24]
    hips = person[[8, 11]]
    if (hips[:, 2] > 0).all():
        body[_MID_HIP] = hips.mean(axis=0)
    face = np.concatenate([person[FACE], person[[14, 15]]])
    lists = {
        "pose_keypoints_2d": body,
        "face_keypoints_2d": face,
        "hand_left_keypoints_2d": person[LEFT_HAND],
        "hand_right_keypoints_2d": person[RIGHT_HAND],
    }
    return {"person_id": [-1], **{key: part.round(4).ravel().tolist() for key, part in lists.items()}}


def _size(frames: Sequence[Any]) -> tuple[int, int] | None:
    for data in frames:
        try:
            return int(data["canvas_width"]), int(data["canvas_height"])
        except (KeyError, TypeError, ValueError, OverflowError):
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
        points = _FACE_POINTS[0] if _size_of(face) == _FACE_POINTS[0] * 3 else _FACE_POINTS[1]
        _put(person, FACE, numbers(face, points, "face_keypoints_2d", path, frame)[:68])
    return person


def _body(values: Any, path: Path, frame: int) -> Floats:
    count = 18 if _size_of(values) == 54 else 25
    try:
        return numbers(values, count, "pose_keypoints_2d", path, frame)
    except BadPose as error:
        error.limit = "54 or 75 finite numbers: 18 or 25 points of x, y, score"
        raise


def _size_of(values: Any) -> int:
    """How many numbers; -1 for lists of unequal lengths, which ``numbers`` then refuses by name."""
    try:
        return int(np.size(values))
    except ValueError:
        return -1


def _put(person: Person, part: slice, triples: Floats) -> None:
    person.points[part], person.scores[part] = triples[:, :2], triples[:, 2]
