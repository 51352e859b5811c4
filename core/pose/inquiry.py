"""All that a window asks about the poses of a render; what was slow to find is kept for the next question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from core.geometry import drawing_size
from core.media.images import load_reference
from core.media.read import read_frames
from core.pose.align import choose_frame
from core.pose.align.figure import MAIN
from core.pose.answer import Person, PoseAnswer, PoseFacts, box_of
from core.pose.edit_kinds import check_edits
from core.pose.files import sidecar_of
from core.pose.finder import Check, OnFrame, PoseFinder
from core.pose.fitting import Fitting
from core.pose.motion import choose_frames, find_person
from core.pose.motion_input import MotionInfo, open_motion, output_times
from core.pose.prepare import Prepared, Target, check_settings, prepare
from core.pose.reference import chosen, reference_people
from core.pose.skeleton import PoseFrame, PoseTrack
from core.pose.sources import FoundTrack, from_file
from core.types import FPS, MediaInput, PoseEdit, PoseEngineName, RenderRequest, Trim

# Edits that are made on the canvas, after the motion was fitted; a window makes them itself while one drags.
_ON_CANVAS: Final = ("offset", "scale", "rotate", "limbs")
# The motion must go on for this share of the present length after a frame that it is to start with.
_LEFT_SHARE: Final = 0.5
_FEWEST: Final = 5
Made = TypeVar("Made")
OnFirst = Callable[[PoseAnswer], None]


@dataclass(frozen=True)
class _Reference:
    """The picture's path, size of the canvas as height and width, and everybody in it."""

    path: Path
    canvas_hw: tuple[int, int]
    people: list[PoseFrame]


class Inquirer:
    """Answers questions; keeps what the latest one was about.

    Args:
        finder_of: opens the finder of an engine.
    """

    def __init__(self, finder_of: Callable[[PoseEngineName], PoseFinder]) -> None:
        self._finder_of = finder_of
        self._finders: dict[str, PoseFinder] = {}
        self._kept: dict[str, tuple[object, Any]] = {}

    def answer(
        self,
        request: RenderRequest,
        native_frames: int,
        check: Check,
        on_frame: OnFrame,
        on_first: OnFirst | None = None,
    ) -> PoseAnswer:
        """The poses of the frames that the render takes, with the report of ``pirouette pose check``.

        Args:
            request: its output is not looked at.
            native_frames: the most that its model takes.
            check: called often; whatever it raises ends the work.
            on_frame: told frames done and frames in all while people are found in a clip.
            on_first: told of the first frame alone, where all of it will take long.

        Raises:
            BadImage, BadVideo, BadPose, BadSetting, BadCheckpoint: as a render would.
        """
        check_settings(request.pose)
        check_edits(request.pose_edits)
        finder = self._finder(request.pose.engine)
        reference = self._once("reference", _reference_key(request), lambda: _reference(request, finder))
        check()
        key = _motion_key(request, native_frames)
        if on_first is not None and not self._has("motion", key):
            first = _first_frame(request, reference, finder)
            if first is not None:
                on_first(first)
        found, info = self._once(
            "motion", key, lambda: _find(request, native_frames, finder, check, on_frame)
        )
        count = choose_frames(info.frames_at_16, request.frames, native_frames)
        notes = (*info.notes, *finder.notes)
        return _answer(request, reference, found, info, count, notes)

    def _finder(self, engine: PoseEngineName) -> PoseFinder:
        if engine not in self._finders:
            self._finders[engine] = self._finder_of(engine)
        return self._finders[engine]

    def _has(self, name: str, key: object) -> bool:
        return name in self._kept and self._kept[name][0] == key

    def _once(self, name: str, key: object, make: Callable[[], Made]) -> Made:
        if not self._has(name, key):
            self._kept[name] = (key, make())
        made: Made = self._kept[name][1]
        return made


def _answer(
    request: RenderRequest,
    reference: _Reference,
    found: FoundTrack,
    info: MotionInfo,
    count: int,
    notes: Sequence[str],
    complete: bool = True,
) -> PoseAnswer:
    times = output_times(request.trim.start_s, count)
    ready = _prepared(request, reference, found, info, times, request.pose_edits, None)
    before_fit = tuple(edit for edit in request.pose_edits if edit.kind not in _ON_CANVAS)
    plain = _prepared(request, reference, found, info, times, before_fit, False)
    facts = PoseFacts(
        start_s=request.trim.start_s,
        frames=count,
        complete=complete,
        width=reference.canvas_hw[1],
        height=reference.canvas_hw[0],
        motion_width=found.track.width,
        motion_height=found.track.height,
        confidence=_confidence(found, times, ready.reference),
        report=ready.report,
        fitted=ready.fit is not None,
        align_frame_s=ready.align_frame_s,
        best_frame_s=_best_frame(ready, found, times, reference),
        bridge_frames=ready.bridged,
        people=tuple(
            Person(one.number, one.box, found.start_s + one.shown_s, one.seen) for one in found.people
        ),
        reference_people=tuple(Person(n, box_of(pose)) for n, pose in enumerate(reference.people)),
        notes=tuple(dict.fromkeys([*notes, *ready.notes])),
    )
    return PoseAnswer(facts, ready.poses, plain.poses, ready.found, ready.reference)


def _prepared(
    request: RenderRequest,
    reference: _Reference,
    found: FoundTrack,
    info: MotionInfo,
    times: list[float],
    edits: Sequence[PoseEdit],
    bridge: bool | None,
) -> Prepared:
    """As ``pose check`` prepares; its reference is looked for even if the motion is used as it is."""
    settings = Fitting(settings=request.pose).settings_for(info.kind)
    if bridge is not None:
        settings = replace(settings, bridge=bridge)
    height, width = reference.canvas_hw
    person = request.pose.reference_person
    target = Target(
        reference.path.name,
        lambda: chosen(reference.people, person),
        width / height,
        required=info.kind == "driving",
    )
    return prepare(found, times, target, settings, edits)


def _reference(request: RenderRequest, finder: PoseFinder) -> _Reference:
    path = Path(request.reference.path)
    picture = load_reference(path)
    keypoints = _path(request.reference_keypoints)
    people = reference_people(path, picture, keypoints, finder)
    return _Reference(path, drawing_size(picture.shape[1], picture.shape[0]), people)


def _find(
    request: RenderRequest, native_frames: int, finder: PoseFinder, check: Check, on_frame: OnFrame
) -> tuple[FoundTrack, MotionInfo]:
    """The person of the frames that the render takes."""
    trim, most = request.trim, request.frames or native_frames
    longest_s = trim.start_s + most / FPS
    part = Trim(trim.start_s, longest_s if trim.end_s is None else min(trim.end_s, longest_s))
    fitting = Fitting(finder=finder, settings=request.pose, sha256=request.motion.sha256)
    motion, keypoints = Path(request.motion.path), _path(request.keypoints)
    return find_person(motion, keypoints, request.motion_kind, part, fitting, check, on_frame, True)


def _first_frame(request: RenderRequest, reference: _Reference, finder: PoseFinder) -> PoseAnswer | None:
    """What can be told of a filmed clip after one picture; None for what is quick anyway."""
    motion = Path(request.motion.path)
    if request.pose.person:
        return None  # who has which number is known once all is looked at
    opened = open_motion(motion, _path(request.keypoints), request.motion_kind, request.trim)
    if opened.info.kind != "driving" or opened.track is not None:
        return None
    picture = next(read_frames(motion, opened.start_s, opened.end_s, limit=1))
    people = finder.in_picture(picture)
    if not people or not reference.people:
        return None
    points, scores = (np.stack(each)[None] for each in _joints(people))
    track = PoseTrack(points, scores, picture.shape[1], picture.shape[0], float(FPS))
    # Whoever stands first in one picture need not be the person of that number in the whole range.
    alone = replace(from_file(track, None), start_s=opened.start_s, people=())
    settings = replace(request.pose, align_frame_s=None, person=None)
    edits = tuple(edit for edit in request.pose_edits if edit.kind != "hold")
    return _answer(
        replace(request, pose=settings, pose_edits=edits), reference, alone, opened.info, 1, (), False
    )


def _joints(people: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    return [one.keypoints for one in people], [one.scores for one in people]


def _confidence(found: FoundTrack, times: Sequence[float], reference: PoseFrame | None) -> tuple[float, ...]:
    """Of each frame the mean score of the joints that count, of those that the reference shows."""
    wanted = np.ones(MAIN.stop, np.bool_)
    if reference is not None and (reference.subset[MAIN] >= 0).any():
        wanted = reference.subset[MAIN] >= 0
    scores = found.track.scores[found.indices(times), 0, MAIN][:, wanted]
    return tuple(np.clip(scores, 0.0, 1.0).mean(axis=1).tolist())


def _best_frame(
    ready: Prepared, found: FoundTrack, times: Sequence[float], reference: _Reference
) -> float | None:
    if ready.reference is None:
        return None
    left = max(_FEWEST, round(len(times) * _LEFT_SHARE))
    # What is selected beyond the frames of this render is not known here.
    last = max(1, len(times) - left + 1)
    height, width = reference.canvas_hw
    best = choose_frame(ready.found[:last], found.ratio, ready.reference, width / height)
    return None if best is None else times[best]


def _reference_key(request: RenderRequest) -> object:
    return request.pose.engine, _stamp(request.reference), _stamp(request.reference_keypoints)


def _motion_key(request: RenderRequest, native_frames: int) -> object:
    """All that decides who is found: edits and fitting do not."""
    return (
        _stamp(request.motion),
        _stamp(request.keypoints),
        request.motion_kind,
        request.trim,
        request.frames or native_frames,
        request.pose.engine,
        request.pose.person,
        request.pose.align == "on",
        request.pose.align_frame_s,
        tuple((edit.kind, tuple(edit.values.items())) for edit in request.pose_edits if edit.kind == "hold"),
    )


def _stamp(given: MediaInput | None) -> object:
    """A file as it is now; what is not there is told by whoever reads it."""
    if given is None:
        return None
    path = Path(given.path)
    try:
        status = path.stat()
        sidecar = sidecar_of(path)
        beside = None if sidecar is None else (str(sidecar), sidecar.stat().st_mtime_ns)
    except OSError:
        return given.path, None
    return given.path, status.st_size, status.st_mtime_ns, beside


def _path(given: MediaInput | None) -> Path | None:
    return None if given is None else Path(given.path)
