"""Our own keypoint file, ``<clip>.pose.json``; schema in resources/schemas/pose.schema.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.errors import BadPose
from core.pose.people import FULL_ORDER, ORDERS, UNITS, Layout, Person, numbers
from core.pose.skeleton import PoseTrack

SCHEMA: Final = 1
# Far above every limit checked later, and still a float: JSON's whole numbers have no end.
_LARGEST: Final = 1e9


def parse(data: Mapping[str, Any], path: Path) -> Layout:
    """The people of each frame, with the picture size and the rate that the file names."""
    if data.get("schema", SCHEMA) != SCHEMA:
        raise _bad(path, "schema", data.get("schema"), SCHEMA)
    order, units = data.get("order", FULL_ORDER), data.get("coordinates", "fractions")
    if not isinstance(order, str) or order not in ORDERS:
        raise _bad(path, "order", order, ", ".join(ORDERS))
    if not isinstance(units, str) or units not in UNITS:
        raise _bad(path, "coordinates", units, ", ".join(UNITS))
    aligned = data.get("aligned", False)
    if not isinstance(aligned, bool):
        raise _bad(path, "aligned", aligned, "true or false")
    frames = data["frames"]
    if not isinstance(frames, list):
        raise _bad(path, "frames", type(frames).__name__, "a list")
    people = [_frame(frame, order, path, t) for t, frame in enumerate(frames)]
    size = (_positive(data, "width", path), _positive(data, "height", path))
    fps = _positive(data, "fps", path)
    return Layout(people, (int(size[0]), int(size[1])), fps, UNITS[units], aligned)


def to_data(track: PoseTrack) -> dict[str, Any]:
    """The sidecar of a track as plain data; people whose scores are all 0 are left out."""
    return _head(track) | {"frames": list(_frames(track))}


def to_text(track: PoseTrack) -> Iterator[str]:
    """The same as JSON, piece by piece: as one text, ten minutes would take half a gigabyte of numbers.

    Raises:
        ValueError: a number that is not finite.
    """
    yield _json(_head(track))[:-1] + ',"frames":['
    for number, frame in enumerate(_frames(track)):
        yield ("," if number else "") + _json(frame)
    yield "]}"


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, allow_nan=False, separators=(",", ":"))


def _head(track: PoseTrack) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "order": FULL_ORDER,
        "coordinates": "fractions",
        "width": track.width,
        "height": track.height,
        "fps": track.fps,
        "aligned": track.aligned,
    }


def _frames(track: PoseTrack) -> Iterator[dict[str, Any]]:
    for points, scores in zip(track.keypoints, track.scores, strict=True):
        triples = np.concatenate([points, scores[..., None]], axis=-1).round(6)
        found = [n for n in range(len(scores)) if (scores[n] > 0).any()]
        yield {"people": [{"keypoints": triples[n].tolist()} for n in found]}


def _frame(frame: Any, order: str, path: Path, number: int) -> list[Person]:
    count, convert = ORDERS[order]
    people = frame.get("people") if isinstance(frame, Mapping) else None
    if not isinstance(people, list) or not all(isinstance(person, Mapping) for person in people):
        raise _bad(path, f"frame {number}", str(frame)[:80], '{"people": [{"keypoints": [...]}]}')
    return [convert(numbers(person.get("keypoints"), count, "keypoints", path, number)) for person in people]


def _positive(data: Mapping[str, Any], key: str, path: Path) -> float:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LARGEST:
        raise _bad(path, key, value, "a positive number")
    return float(value)


def _bad(path: Path, key: str, value: object, limit: object) -> BadPose:
    return BadPose(
        f"{path.name}: {key} is not what a pose sidecar holds.",
        value=value,
        limit=limit,
        action="See docs/pose-files.md for the layout.",
    )
