"""What a window is told of the poses of a render: a file of arrays and a few facts, from another process.

The reading side believes nothing: every number is checked before it is used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.codec import from_data
from core.errors import BadPose, PirouetteError
from core.media.disk import written_beside
from core.pose.align import PoseReport
from core.pose.npz_archive import read_arrays, wrong_array
from core.pose.skeleton import Floats, PoseFrame

Poses = tuple[PoseFrame | None, ...]
# As they are drawn; before edits on the canvas and the transition; in the motion's picture; the reference's.
_KINDS: Final = ("drawn", "plain", "found", "reference")
_PARTS: Final[Mapping[str, tuple[int, ...]]] = {
    "there": (),
    "subset": (18,),
    "body": (18, 2),
    "hands": (2, 21, 2),
    "faces": (68, 2),
}
_LIMIT_BYTES: Final = 64 * 1024**2
_MOST_FRAMES: Final = 4096
_MOST_PEOPLE: Final = 64
_LARGEST_SIDE: Final = 65_536
_LARGEST: Final = 1e9


@dataclass(frozen=True)
class Person:
    """Somebody to choose.

    Attributes:
        number: what ``PoseSettings.person`` or ``reference_person`` names.
        box: left, top, right, bottom as fractions of the picture.
        time_s: of the picture, in seconds of the motion; 0 for the reference.
        seen: share of the frames that they are in, 0..1.
    """

    number: int
    box: tuple[float, float, float, float]
    time_s: float = 0.0
    seen: float = 1.0


@dataclass(frozen=True)
class PoseFacts:
    """What is told beside the arrays.

    Attributes:
        start_s: time in the motion of the first frame; the others follow at 16 a second.
        frames: as many as the render takes; 1 where ``complete`` is false.
        complete: false for the first frame alone, told ahead of the rest.
        width, height: of the reference's canvas in pixels.
        motion_width, motion_height: of the motion's picture in pixels.
        confidence: 0..1 a frame, how surely the joints that count were seen.
        report: as ``pirouette pose check``.
        fitted: the motion was fitted to the reference.
        align_frame_s: time of the frame that proportions were measured on.
        best_frame_s: time of the frame whose pose is most like the reference's, leaving enough after it.
        bridge_frames: at the start, that lead over from the reference's pose.
        people, reference_people: whom one can choose.
        notes: what the user should know.
    """

    start_s: float
    frames: int
    complete: bool
    width: int
    height: int
    motion_width: int
    motion_height: int
    confidence: tuple[float, ...]
    report: PoseReport
    fitted: bool
    align_frame_s: float | None = None
    best_frame_s: float | None = None
    bridge_frames: int = 0
    people: tuple[Person, ...] = ()
    reference_people: tuple[Person, ...] = ()
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class PoseAnswer:
    """Poses with their facts.

    Attributes:
        drawn: as the render draws them, fractions of the canvas, None where nobody is.
        plain: the same before edits on the canvas and without the transition at the start.
        found: as they were in the motion's picture, fractions of it.
        reference: of the person in the reference, where one was found.
    """

    facts: PoseFacts
    drawn: Poses
    plain: Poses
    found: Poses
    reference: PoseFrame | None


def save_answer(answer: PoseAnswer, path: Path) -> dict[str, Any]:
    """Write the arrays; returns the facts for JSON.

    Raises:
        DiskError: the file cannot be written.
    """
    every = (answer.drawn, answer.plain, answer.found, (answer.reference,))
    arrays: dict[str, Any] = {}
    for kind, poses in zip(_KINDS, every, strict=True):
        for part, shape in _PARTS.items():
            arrays[f"{kind}_{part}"] = _gathered(poses, part, shape)
    with written_beside(path) as beside, beside.open("wb") as file:
        np.savez(file, **arrays)
    return asdict(answer.facts)


def load_answer(data: Any, path: Path) -> PoseAnswer:
    """Read what ``save_answer`` wrote and said.

    Raises:
        BadPose: anything about it is not as it must be.
    """
    try:
        facts = from_data(data, PoseFacts)
    except PirouetteError as error:
        raise BadPose("The poses came back damaged.", value=str(error)[:80], action="Try again.") from error
    _check(facts)
    names = [f"{kind}_{part}" for kind in _KINDS for part in _PARTS]
    arrays = read_arrays(path, names, (), _LIMIT_BYTES)
    counts = dict.fromkeys(_KINDS, facts.frames) | {"reference": 1}
    drawn, plain, found, reference = (_poses(arrays, kind, counts[kind], path) for kind in _KINDS)
    return PoseAnswer(facts, drawn, plain, found, reference[0])


def box_of(pose: PoseFrame) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the body joints that are seen, as fractions; the whole where none is."""
    seen = pose.body[pose.subset >= 0]
    if not len(seen):
        return 0.0, 0.0, 1.0, 1.0
    (left, top), (right, bottom) = seen.min(axis=0).tolist(), seen.max(axis=0).tolist()
    return left, top, right, bottom


def _gathered(poses: Sequence[PoseFrame | None], part: str, shape: tuple[int, ...]) -> NDArray[Any]:
    if part == "there":
        return np.array([pose is not None for pose in poses], np.uint8)
    array = np.zeros((len(poses), *shape), np.int64 if part == "subset" else np.float64)
    for row, pose in enumerate(poses):
        if pose is not None:
            array[row] = getattr(pose, part)
    return array


def _poses(arrays: Mapping[str, NDArray[Any]], kind: str, count: int, path: Path) -> Poses:
    read = {part: _checked(arrays, f"{kind}_{part}", (count, *shape), path) for part, shape in _PARTS.items()}
    # A joint's own number, or -1: drawing indexes with it.
    if not np.isin(read["subset"], np.arange(-1, 18)).all():
        raise wrong_array(path, f"{kind}_subset", "joints that do not exist", "-1 to 17")
    there, subset, body, hands, faces = (read[part] for part in _PARTS)
    return tuple(
        PoseFrame(_floats(body[row]), subset[row].astype(np.int64), _floats(hands[row]), _floats(faces[row]))
        if there[row]
        else None
        for row in range(count)
    )


def _floats(array: NDArray[Any]) -> Floats:
    return array.astype(np.float64)


def _checked(
    arrays: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...], path: Path
) -> NDArray[Any]:
    array = arrays.get(name)
    if array is None or array.shape != shape:
        raise wrong_array(path, name, "missing" if array is None else list(array.shape), list(shape))
    if not (np.abs(array.astype(np.float64)) <= _LARGEST).all():
        raise wrong_array(path, name, "numbers out of range", f"up to {_LARGEST:g}")
    return array


def _check(facts: PoseFacts) -> None:
    report = facts.report
    people = (*facts.people, *facts.reference_people)
    times = [time for time in (facts.align_frame_s, facts.best_frame_s) if time is not None]
    numbers = [
        facts.start_s, *times, *facts.confidence, report.keypoints_seen, report.scale_ratio,
        report.out_of_frame, report.start_gap, *(value for one in people for value in (*one.box, one.time_s)),
    ]  # fmt: skip
    sides = (facts.width, facts.height, facts.motion_width, facts.motion_height)
    sound = (
        all(math.isfinite(number) and abs(number) <= _LARGEST for number in numbers)
        and all(0 < side <= _LARGEST_SIDE for side in sides)
        and 0 < facts.frames <= _MOST_FRAMES
        and len(facts.confidence) == facts.frames
        and all(0 <= share <= 1 for share in facts.confidence)
        and 0 <= facts.bridge_frames <= facts.frames
        and 0 <= report.score <= 100
        and facts.start_s >= 0
        and len(people) <= _MOST_PEOPLE
        and all(one.number >= 0 for one in people)
    )
    if not sound:
        raise BadPose("The poses came back damaged.", value="numbers out of range", action="Try again.")
