"""COCO-WholeBody 133 points: result lists, annotation files and MMPose's ``instance_info``.

Source: the COCO-WholeBody data format (``keypoints`` 17, ``foot_kpts`` 6, ``face_kpts`` 68, ``lefthand_kpts``
21, ``righthand_kpts`` 21, in this order) and MMPose's prediction files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.errors import BadPose
from core.pose.people import Layout, Person, from_coco, numbers
from core.pose.skeleton import COCO_JOINTS

_PARTS: Final = (
    ("keypoints", 17), ("foot_kpts", 6), ("face_kpts", 68), ("lefthand_kpts", 21), ("righthand_kpts", 21)
)  # fmt: skip
# Frame numbers with larger holes than this are identifiers of some database, not frames of a clip.
_MAX_HOLES: Final = 10
_MOST_DIGITS: Final = 30


def parse(data: Any, path: Path) -> Layout:
    """The people of each frame, frames in order of their number, the best score first."""
    if isinstance(data, Mapping) and "instance_info" in data:
        return _mmpose(_list(data["instance_info"], "instance_info", path), path)
    if isinstance(data, Mapping):
        images = _list(data.get("images", []), "images", path)
        return _results(_list(data["annotations"], "annotations", path), images, path)
    if "instances" in data[0]:
        return _mmpose(data, path)
    if "keypoint_scores" in data[0]:
        # What MMPose's inferencer saves for one picture: its people, without a frame around them.
        return _mmpose([{"instances": data}], path)
    return _results(data, [], path)


def _list(value: Any, name: str, path: Path) -> Sequence[Mapping[str, Any]]:
    if isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
        return value
    raise BadPose(
        f"{path.name}: {name} is no list of objects.", value=str(value)[:80], action="Export it again."
    )


def _mmpose(frames: Sequence[Mapping[str, Any]], path: Path) -> Layout:
    ordered = sorted(enumerate(frames), key=lambda item: _number(item[1].get("frame_id", item[0]), path))
    people = [
        _by_score(
            [(_mmpose_person(person, path, t), person) for person in _list(f["instances"], "instances", path)]
        )
        for t, (_, f) in enumerate(ordered)
        if "instances" in f
    ]
    return Layout(frames=people)


def _mmpose_person(data: Mapping[str, Any], path: Path, frame: int) -> Person:
    try:
        points = np.asarray(data.get("keypoints"), np.float64).reshape(-1, 2)
        scores = np.asarray(data.get("keypoint_scores", np.ones(len(points))), np.float64).reshape(-1, 1)
        triples = np.concatenate([points, scores], axis=1)
    except (TypeError, ValueError, OverflowError):
        triples = np.asarray([], np.float64)
    return from_coco(numbers(triples, COCO_JOINTS, "keypoints", path, frame))


def _results(items: Sequence[Mapping[str, Any]], images: Sequence[Mapping[str, Any]], path: Path) -> Layout:
    order = _order([item.get("image_id", i) for i, item in enumerate(items)], images, path)
    frames: list[list[tuple[Person, Mapping[str, Any]]]] = [
        [] for _ in range(1 + max(order.values(), default=-1))
    ]
    for i, item in enumerate(items):
        frame = order.get(_key(item.get("image_id", i)))
        if frame is None:
            raise BadPose(
                f"{path.name}: annotation {i} belongs to no image of the file.",
                value=item.get("image_id"),
                action="Export the file again.",
            )
        frames[frame].append((_result_person(item, path, frame), item))
    size = next((_size(image, path) for image in images if "width" in image and "height" in image), None)
    return Layout(frames=[_by_score(people) for people in frames], size=size)


def _size(image: Mapping[str, Any], path: Path) -> tuple[int, int]:
    try:
        return int(image["width"]), int(image["height"])
    except (TypeError, ValueError, OverflowError) as error:
        raise BadPose(
            f"{path.name}: an image has a size that is no number.",
            value=f"{image['width']}x{image['height']}"[:80],
            limit="width and height in pixels",
            action="Correct the size in the file.",
        ) from error


def _order(ids: Sequence[Any], images: Sequence[Mapping[str, Any]], path: Path) -> dict[str, int]:
    """Frame number of each image id. Holes in consecutive ids are frames in which nobody was found."""
    if images:
        return {_key(image.get("id")): t for t, image in enumerate(images)}
    numbers_of = {_key(name): _number(name, path) for name in ids}
    distinct = sorted(set(numbers_of.values()))
    if distinct and distinct[-1] - distinct[0] < _MAX_HOLES * len(distinct):
        return {name: number - distinct[0] for name, number in numbers_of.items()}
    place = {number: t for t, number in enumerate(distinct)}
    return {name: place[number] for name, number in numbers_of.items()}


def _key(name: Any) -> str:
    """Identifiers as text: some tools write 7 in one list and "7" in the other."""
    return str(name)


def _number(name: Any, path: Path) -> int:
    digits = "".join(c for c in str(name) if c in "0123456789")
    if not 0 < len(digits) <= _MOST_DIGITS:
        raise BadPose(
            f"{path.name}: a frame has no number.",
            value=str(name)[:80],
            action="Number the frames by image_id.",
        )
    return int(digits)


def _result_person(item: Mapping[str, Any], path: Path, frame: int) -> Person:
    if "foot_kpts" in item:
        parts = [numbers(item.get(key), count, key, path, frame) for key, count in _PARTS]
        return from_coco(np.concatenate(parts))
    return from_coco(numbers(item.get("keypoints"), COCO_JOINTS, "keypoints", path, frame))


def _by_score(people: Sequence[tuple[Person, Mapping[str, Any]]]) -> list[Person]:
    def score(entry: tuple[Person, Mapping[str, Any]]) -> float:
        value = entry[1].get("score", entry[1].get("bbox_score"))
        return float(value) if isinstance(value, int | float) else float(entry[0].scores.mean())

    return [person for person, _ in sorted(people, key=score, reverse=True)]
