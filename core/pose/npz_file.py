"""Keypoints as NumPy's NPZ: what the sidecar says, as arrays; and arrays that other programs wrote."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from core.errors import BadPose
from core.pose.npz_archive import read_arrays, wrong_array
from core.pose.people import FULL_ORDER, ORDERS, UNITS, Layout, check_places
from core.pose.skeleton import Floats, PoseTrack

SCHEMA: Final = 1
_BY_COUNT: Final = {count: name for name, (count, _) in ORDERS.items()}
_SHAPES: Final = "[frames, 134, 133, 25 or 18 points, 2 or 3] or [frames, people, points, 2 or 3]"
_NUMBERS: Final = ("keypoints", "scores", "width", "height", "fps", "aligned", "schema")
_TEXTS: Final = ("order", "coordinates")


def parse(path: Path, limit_bytes: int) -> Layout:
    """The people of each frame, with size, rate and units where the file names them.

    Args:
        path: the NPZ; at most ``limit_bytes`` long.
        limit_bytes: the most that its arrays may unpack to, together.

    Raises:
        BadPose: missing, damaged, too large, not what docs/pose-files.md describes, or not finite; names the
            array, and the frame where it can.
    """
    arrays = read_arrays(path, _NUMBERS, _TEXTS, limit_bytes)
    facts = _Facts(arrays, path)
    points, scores, order = _points(arrays, facts, path)
    _require_finite(points, scores, path)
    convert = ORDERS[order][1]
    triples = np.concatenate([points, scores[..., None]], axis=-1)
    frames = [[convert(person) for person in people] for people in triples]
    return Layout(frames, facts.size(), facts.number("fps"), facts.fractions(), facts.aligned())


def write(track: PoseTrack, file: BinaryIO) -> None:
    """Write a track, compressed; equal tracks give equal bytes."""
    arrays: dict[str, Any] = {
        "keypoints": track.keypoints.astype(np.float32),
        "scores": track.scores.astype(np.float32),
        "width": np.int64(track.width),
        "height": np.int64(track.height),
        "fps": np.float64(track.fps),
        "order": np.array(FULL_ORDER),
        "coordinates": np.array("fractions"),
        "aligned": np.bool_(track.aligned),
        "schema": np.int64(SCHEMA),
    }
    np.savez_compressed(file, **arrays)


@dataclass(frozen=True)
class _Facts:
    """The single values of a file."""

    arrays: Mapping[str, NDArray[Any]]
    path: Path

    def text(self, name: str) -> str | None:
        """A text, None where it is not given."""
        value = self._single(name)
        if value is None or isinstance(value, str):
            return value
        raise wrong_array(self.path, name, value, "a text")

    def number(self, name: str) -> float | None:
        """A positive number, None where it is not given."""
        value = self._single(name)
        if value is None:
            return None
        if isinstance(value, bool | str) or not 0 < value < math.inf:
            raise wrong_array(self.path, name, value, "a positive number")
        return float(value)

    def aligned(self) -> bool:
        """Whether the joints fit a reference already."""
        value = self._single("aligned")
        if value in (None, 0, 1) and not isinstance(value, str):
            return bool(value)
        raise wrong_array(self.path, "aligned", value, "true or false")

    def size(self) -> tuple[int, int] | None:
        """Width and height of the picture, None where the file does not name both."""
        width, height = self.number("width"), self.number("height")
        return None if width is None or height is None else (int(width), int(height))

    def fractions(self) -> bool | None:
        """Whether coordinates are fractions; None lets the numbers decide."""
        schema, units = self.number("schema"), self.text("coordinates")
        if schema not in (None, SCHEMA):
            raise wrong_array(self.path, "schema", schema, SCHEMA)
        if units is None:
            return None if schema is None else True
        if units not in UNITS:
            raise wrong_array(self.path, "coordinates", units, ", ".join(UNITS))
        return UNITS[units]

    def _single(self, name: str) -> Any:
        array = self.arrays.get(name)
        if array is None:
            return None
        if array.size != 1:
            raise wrong_array(self.path, name, f"an array of shape {list(array.shape)}", "one value")
        return array.reshape(()).item()


def _points(arrays: Mapping[str, NDArray[Any]], facts: _Facts, path: Path) -> tuple[Floats, Floats, str]:
    """Points [T, n, J, 2], scores [T, n, J] and the order's name."""
    points = arrays.get("keypoints")
    if points is None:
        found = ", ".join(sorted(arrays)) or "no known array"
        raise wrong_array(path, "keypoints", found, "an array of that name")
    shape = points.shape
    if points.ndim not in (3, 4) or shape[-1] not in (2, 3) or shape[-2] not in _BY_COUNT:
        raise wrong_array(path, "keypoints", f"shape {list(shape)}", _SHAPES)
    order = facts.text("order") or _BY_COUNT[shape[-2]]
    if order not in ORDERS or ORDERS[order][0] != shape[-2]:
        raise wrong_array(path, "order", f"{order} with {shape[-2]} points", ", ".join(ORDERS))
    scores = arrays.get("scores")
    if scores is not None and scores.shape != shape[:-1]:
        raise wrong_array(path, "scores", f"shape {list(scores.shape)}", f"shape {list(shape[:-1])}")
    certain = _scores(points) if scores is None else scores
    if points.ndim == 3:
        points, certain = points[:, None], certain[:, None]
    check_places(len(points), points.shape[1], path)
    return points[..., :2].astype(np.float64), certain.astype(np.float64), order


def _scores(points: NDArray[Any]) -> NDArray[Any]:
    """The third column; without one, every point that is not 0, 0 was found."""
    return points[..., 2] if points.shape[-1] == 3 else (points != 0).any(axis=-1)


def _require_finite(points: Floats, scores: Floats, path: Path) -> None:
    wrong = ~(np.isfinite(points).all(axis=-1) & np.isfinite(scores))
    if wrong.any():
        raise BadPose(
            f"{path.name}: frame {int(np.argwhere(wrong)[0][0])} has keypoints that are not finite.",
            value="NaN or infinity",
            limit="finite numbers",
            action="Write points that were not found as 0, 0 with score 0.",
        )
