"""From a found person to poses that fit the reference: smooth, edit, align, edit, bridge.

One function serves the render, ``pirouette pose check`` and ``pirouette pose align``, so what is checked is
what is rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from core.errors import BadImage, BadPose, BadSetting
from core.pose.align import Fit, PoseReport, apply, choose_frame, fit, pose_gap, report
from core.pose.align.figure import with_neck
from core.pose.bridge import bridge, bridge_frames
from core.pose.edit import edit_pose, edit_track
from core.pose.skeleton import PoseFrame
from core.pose.smooth import smooth
from core.pose.sources import FoundTrack, pose_of
from core.types import FPS, PoseEdit, PoseSettings

_DEFAULT: Final = PoseSettings()


@dataclass(frozen=True)
class Target:
    """What a motion is fitted to.

    Attributes:
        name: of the reference's file, for messages.
        reference: finds the reference's pose, fractions of the picture; None where nobody is in it.
        ratio: width over height of the canvas.
        required: a reference without a person is an error; else the motion is used as it is.
    """

    name: str
    reference: Callable[[], PoseFrame | None]
    ratio: float
    required: bool = True


@dataclass(frozen=True)
class Prepared:
    """Poses ready to draw.

    Attributes:
        poses: one a frame, fractions of the canvas, None where nobody is.
        found: the same frames before fitting, fractions of the motion's picture.
        reference: the reference's pose where it was looked for and found.
        report: what to expect of a render.
        fit: how they were fitted; None where they were not.
        align_frame_s: time in the motion of the frame that proportions were measured on.
        bridged: frames at the start that lead over from the reference's pose.
        notes: what the user should know.
    """

    poses: tuple[PoseFrame | None, ...]
    found: tuple[PoseFrame | None, ...]
    reference: PoseFrame | None
    report: PoseReport
    fit: Fit | None = None
    align_frame_s: float | None = None
    bridged: int = 0
    notes: tuple[str, ...] = field(default=())


def prepare(
    found: FoundTrack,
    times: Sequence[float],
    target: Target | None,
    settings: PoseSettings = _DEFAULT,
    edits: Sequence[PoseEdit] = (),
    exact: bool = False,
    align_times: Sequence[float] | None = None,
) -> Prepared:
    """Fit the person of a motion to the reference.

    Args:
        found: the person.
        times: of the output frames in the motion, in seconds, evenly spaced.
        target: the reference; None leaves the motion where it is.
        settings: how; ``settings.align`` "off" leaves the motion where it is, too.
        edits: changes by hand (``core.pose.edit``).
        exact: as the reference pipeline: no guards, no smoothing, no bridge, the first frame to align on
            unless one is named.
        align_times: of the frames among which the one to align on is chosen; by default ``times``. Poses at
            another rate than a render's give those of the render, so that both are aligned alike.

    Raises:
        BadImage: the reference shows nobody and the target requires somebody.
        BadPose: nobody in the range, or nobody at the align frame.
        BadSetting: an align frame out of the range.
    """
    track = found.track
    if not exact and not track.aligned:
        track = smooth(track, settings.smoothing)
    track = edit_track(track, edits, found.start_s)
    before = [pose_of(track, index) for index in found.indices(times)]
    if not any(before):
        raise _nobody_left(len(before))
    reference = None if target is None else reference_pose(target, settings, track.aligned)
    ratio = found.ratio if target is None else target.ratio
    fitted, at_s, poses = None, None, before
    if target is not None and reference is not None and wants_fit(settings, track.aligned):
        choice = times if align_times is None else align_times
        choice_poses = [pose_of(track, index) for index in found.indices(choice)]
        at_s = _align_time(found, choice_poses, choice, reference, target.ratio, settings, exact)
        pose = pose_of(track, found.indices([at_s])[0])
        if pose is None:
            raise _nobody_at(at_s)
        fitted = fit(reference, target.ratio, pose, found.ratio, exact)
        poses = [None if each is None else apply(each, fitted, exact) for each in before]
    poses = [None if pose is None else edit_pose(pose, edits, ratio) for pose in poses]
    summary = report(before, poses, reference, ratio, fitted)
    poses, bridged = _bridged(poses, reference, ratio, times, settings.bridge and not exact)
    if not exact:
        poses = [None if pose is None else with_neck(pose) for pose in poses]
    notes = (*found.track.notes, *_notes(found, target, reference, settings, times, bridged))
    return Prepared(tuple(poses), tuple(before), reference, summary, fitted, at_s, bridged, notes)


def wants_fit(settings: PoseSettings, aligned: bool) -> bool:
    """Whether keypoints are to be fitted to the reference."""
    return settings.align == "on" or (settings.align == "auto" and not aligned)


def check_settings(settings: PoseSettings) -> None:
    """Raises ``BadSetting`` for a number out of its range."""
    if not 0 <= settings.smoothing <= 1:
        raise BadSetting(
            "The smoothing of a pose is out of range.",
            value=settings.smoothing,
            limit="0 (off) to 1",
            action="Choose a smoothing from 0 to 1.",
        )
    if settings.align_frame_s is not None and not 0 <= settings.align_frame_s < float("inf"):
        raise BadSetting(
            "The align frame is a time in the motion.",
            value=settings.align_frame_s,
            limit="0 s to the motion's end",
            action="Give a time in seconds inside the selected range.",
        )
    for person in (settings.person, settings.reference_person):
        if person is not None and person < 0:
            raise BadSetting(
                "The number of a person starts at 0.",
                value=person,
                limit="0 or more",
                action="`pirouette pose extract FILE --people` lists them.",
            )


def check_align_frame(align_frame_s: float, found: FoundTrack) -> None:
    """Raises ``BadSetting`` for a time that is not in the track."""
    end_s = found.start_s + found.track.duration_s
    if not found.start_s - 1e-6 <= align_frame_s < end_s:
        raise BadSetting(
            "The align frame lies outside of the selected range.",
            value=f"{align_frame_s:g} s",
            limit=f"{found.start_s:.3f} to {end_s:.3f} s",
            action="Choose a time inside the range.",
        )


def reference_pose(target: Target, settings: PoseSettings, aligned: bool) -> PoseFrame | None:
    """The reference's pose.

    Raises:
        BadImage: nobody is in the reference and the motion must be fitted.
    """
    reference = target.reference()
    if reference is None and (settings.align == "on" or (target.required and wants_fit(settings, aligned))):
        raise BadImage(
            f"Nobody was found in {target.name}, so the motion cannot be fitted to anybody.",
            value="0 people",
            limit="a picture that shows a person, or keypoints for it",
            action="Choose another picture, give --reference-keypoints, or use --align off.",
        )
    return reference


def _align_time(
    found: FoundTrack,
    before: Sequence[PoseFrame | None],
    times: Sequence[float],
    reference: PoseFrame,
    ratio: float,
    settings: PoseSettings,
    exact: bool,
) -> float:
    if settings.align_frame_s is not None:
        check_align_frame(settings.align_frame_s, found)
        return settings.align_frame_s
    if exact:
        return times[0]
    chosen = choose_frame(before, found.ratio, reference, ratio)
    return times[chosen or 0]


def _bridged(
    poses: Sequence[PoseFrame | None],
    reference: PoseFrame | None,
    ratio: float,
    times: Sequence[float],
    wanted: bool,
) -> tuple[list[PoseFrame | None], int]:
    """The poses with the way from the reference in front where it is far, and how many frames that takes."""
    first = next((pose for pose in poses if pose is not None), None)
    if not wanted or reference is None or first is None or len(poses) < 2:
        return list(poses), 0
    # The bridge is counted at the output's rate; a denser track takes the same time.
    rate = 1.0 / (times[1] - times[0])
    count = round(bridge_frames(pose_gap(reference, first, ratio)) * rate / FPS)
    count = min(count, len(poses) // 2)
    return bridge(poses, reference, ratio, count), count


def _notes(
    found: FoundTrack,
    target: Target | None,
    reference: PoseFrame | None,
    settings: PoseSettings,
    times: Sequence[float],
    bridged: int,
) -> list[str]:
    notes = []
    if len(found.people) > 1:
        number = settings.person or 0
        notes.append(f"The motion shows {len(found.people)} people; number {number} was taken.")
    if target is not None and reference is None and wants_fit(settings, found.track.aligned):
        notes.append(f"Nobody was found in {target.name}; the motion is used as it is.")
    for gap_start_s, gap_end_s in found.gaps.long:
        start_s, end_s = found.start_s + gap_start_s, found.start_s + gap_end_s
        if end_s > times[0] and start_s < times[-1]:
            notes.append(f"Nobody was found from {start_s:.1f} to {end_s:.1f} s; these frames are black.")
    if bridged:
        notes.append(f"The first {bridged} frames lead over from the reference's pose to the motion's.")
    return notes


def _nobody_left(frames: int) -> BadPose:
    return BadPose(
        "Nobody is in the selected range of the motion.",
        value=f"0 of {frames} frames",
        limit="at least 1 frame with a person",
        action="Choose another range or another person.",
    )


def _nobody_at(time_s: float) -> BadPose:
    return BadPose(
        "Nobody was found at the align frame.",
        value=f"{time_s:g} s",
        limit="a frame that shows the person",
        action="Choose another align frame, or let it be chosen.",
    )
