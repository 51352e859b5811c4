"""From the people of each frame, as a file gave them, to a checked ``PoseTrack``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.errors import BadPose
from core.pose.skeleton import BODY, COCO_JOINTS, JOINTS, NECK, Floats, PoseTrack, coco_to_openpose

# Beyond this many pictures away a coordinate is a mistake, not a limb out of the frame.
MAX_FRACTION: Final = 100.0
# Coordinates no larger than this are fractions of the picture already.
_FRACTION_LIMIT: Final = 2.0
_FPS_RANGE: Final = (1.0, 240.0)
_MAX_SIDE: Final = 16384
# Frames times people: an hour of one dancer at 30 frames a second, or ten minutes of eight.
_MAX_PLACES: Final = 150_000
# Tried in this order for pixel coordinates without any picture size.
_USUAL_SIZES: Final = (
    (640, 480), (480, 640), (854, 480), (480, 854), (832, 480), (480, 832), (1024, 576), (576, 1024),
    (1280, 720), (720, 1280), (1920, 1080), (1080, 1920),
    (2560, 1440), (1440, 2560), (3840, 2160), (2160, 3840),
)  # fmt: skip

# OpenPose position <- position in the BODY_25 layout: mid hip (8) is left out, the feet follow.
FROM_BODY_25: Final = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]


@dataclass(frozen=True)
class Person:
    """One person of one frame in OpenPose-134 order: points [134, 2] as given, scores [134]."""

    points: Floats
    scores: Floats


@dataclass(frozen=True)
class Layout:
    """What a file said. ``fractions`` None means that the file does not tell; then the numbers decide.

    ``aligned`` means that the file says of itself that its joints fit a reference already.
    """

    frames: Sequence[Sequence[Person]]
    size: tuple[int, int] | None = None
    fps: float | None = None
    fractions: bool | None = None
    aligned: bool = False


def numbers(values: Any, count: int, what: str, path: Path, frame: int) -> Floats:
    """``values`` as [count, 3] x, y, score; accepts a flat list or a list of triples.

    Raises:
        BadPose: not numbers, a wrong count, or not finite.
    """
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadPose(
            f"{path.name}: frame {frame} has {what} that are not plain numbers.",
            value=str(values)[:80],
            limit=f"{count} points of x, y, score",
            action="Export the file again.",
        ) from error
    if array.size != count * 3 or (array.ndim == 2 and array.shape[1] != 3) or array.ndim > 2:
        raise BadPose(
            f"{path.name}: frame {frame} has a wrong count of {what}.",
            value=f"{array.size} numbers",
            limit=f"{count * 3} numbers: {count} points of x, y, score",
            action="Export the file again with all points.",
        )
    if not np.isfinite(array).all():
        raise BadPose(
            f"{path.name}: frame {frame} has {what} that are not finite.",
            value="NaN or infinity",
            limit="finite numbers",
            action="Write points that were not found as 0, 0 with score 0.",
        )
    return array.reshape(count, 3)


def from_openpose(triples: Floats) -> Person:
    """[134, 3] in OpenPose-134 order."""
    return Person(triples[:, :2].copy(), triples[:, 2].copy())


def from_coco(triples: Floats) -> Person:
    """[133, 3] in COCO-WholeBody order."""
    points, scores = coco_to_openpose(triples[None, :, :2], triples[None, :, 2])
    return Person(points[0], scores[0])


def from_body(triples: Floats) -> Person:
    """[18, 3] or [25, 3] in OpenPose's own body layouts; feet only with 25; face and hands left out."""
    whole = np.zeros((JOINTS, 3))
    if len(triples) == 25:
        whole[:24] = triples[FROM_BODY_25]
    else:
        whole[BODY] = triples
    if whole[NECK, 2] <= 0:
        # Not drawn, but the negative pose stretches about it, so it must lie on the person.
        found = whole[BODY][whole[BODY, 2] > 0]
        whole[NECK, :2] = found[:, :2].mean(axis=0) if len(found) else 0.0
    return from_openpose(whole)


FULL_ORDER: Final = "openpose-134"
# Orders that a file may name: how many points, and what reads [points, 3] of them.
ORDERS: Final[Mapping[str, tuple[int, Callable[[Floats], Person]]]] = {
    FULL_ORDER: (JOINTS, from_openpose),
    "coco-wholebody-133": (COCO_JOINTS, from_coco),
    "openpose-25": (25, from_body),
    "openpose-18": (18, from_body),
}
# Units that a file may name: whether they are fractions of the picture.
UNITS: Final = {"fractions": True, "pixels": False}


def track(layout: Layout, path: Path, picture: tuple[int, int] | None, fps: float) -> PoseTrack:
    """Pad to the largest number of people and turn pixels into fractions.

    Raises:
        BadPose: no frames, nobody in any frame, an impossible size, rate or coordinate.
    """
    points, scores = _padded(layout, path)
    notes: tuple[str, ...] = ()
    size = layout.size or picture
    largest = float(np.abs(points[scores > 0]).max(initial=0.0))
    fractions = largest <= _FRACTION_LIMIT if layout.fractions is None else layout.fractions
    if size is None:
        size = _guess(points[scores > 0]) if not fractions else (1024, 1024)
        if not fractions:
            notes = (f"{path.name} holds pixels without a picture size; {size[0]}x{size[1]} was assumed.",)
    _check(size, layout.fps or fps, path)
    if not fractions:
        points = points / np.array(size, np.float64)
    _check_range(points, scores, path)
    return PoseTrack(points, scores, size[0], size[1], float(layout.fps or fps), notes, layout.aligned)


def check_places(frames: int, most: int, path: Path) -> None:
    """Refuse more than memory should hold: one crowded frame makes a place for so many in every frame.

    Raises:
        BadPose: names both numbers.
    """
    if frames * most > _MAX_PLACES:
        raise BadPose(
            f"{path.name} has too many frames for so many people.",
            value=f"{frames} frames of up to {most} people",
            limit=f"{_MAX_PLACES} people in all frames together",
            action="Cut the clip into shorter ones, or leave people out.",
        )


def _padded(layout: Layout, path: Path) -> tuple[Floats, Floats]:
    most = max((len(people) for people in layout.frames), default=0)
    if not any((person.scores > 0).any() for people in layout.frames for person in people):
        raise BadPose(
            f"{path.name} has no person in any frame.",
            value=f"{len(layout.frames)} frames, 0 people",
            limit="at least one person",
            action="Give keypoints of a clip that shows a person.",
        )
    check_places(len(layout.frames), most, path)
    points = np.zeros((len(layout.frames), most, JOINTS, 2))
    scores = np.zeros((len(layout.frames), most, JOINTS))
    for t, people in enumerate(layout.frames):
        for n, person in enumerate(people):
            points[t, n], scores[t, n] = person.points, person.scores
    return points, scores


def _guess(found: Floats) -> tuple[int, int]:
    """The first usual picture size that holds all points, else their own extent."""
    right, bottom = found.max(axis=0)
    for width, height in _USUAL_SIZES:
        if right <= width and bottom <= height:
            return width, height
    return int(np.ceil(right)) + 1, int(np.ceil(bottom)) + 1


def _check(size: tuple[int, int], fps: float, path: Path) -> None:
    if not all(0 < side <= _MAX_SIDE for side in size):
        raise BadPose(
            f"{path.name} names an impossible picture size.",
            value=f"{size[0]}x{size[1]}",
            limit=f"1 to {_MAX_SIDE} pixels a side",
            action="Correct the width and height in the file.",
        )
    low, high = _FPS_RANGE
    if not low <= fps <= high:
        raise BadPose(
            f"{path.name} names an impossible frame rate.",
            value=fps,
            limit=f"{low:g} to {high:g} frames a second",
            action="Correct fps in the file.",
        )


def _check_range(points: Floats, scores: Floats, path: Path) -> None:
    far = (np.abs(points) > MAX_FRACTION).any(axis=-1) & (scores > 0)
    if far.any():
        frame = int(np.argwhere(far)[0][0])
        raise BadPose(
            f"{path.name}: frame {frame} has a point far outside the picture.",
            value=f"{np.abs(points[frame]).max():.0f} picture sizes away",
            limit=f"{MAX_FRACTION:g} picture sizes",
            action="Check whether the coordinates are pixels or fractions.",
        )
