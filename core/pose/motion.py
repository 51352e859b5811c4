"""From a motion input to the skeleton frames that condition the model, and their negatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.errors import BadSetting
from core.geometry import TEMPORAL_STRIDE, fit_frames
from core.media.read import read_frames
from core.pose import sources
from core.pose.colour import has_skeleton
from core.pose.finder import OnFrame, untold
from core.pose.fitting import Fitting
from core.pose.motion_frames import Frames, from_poses, from_video
from core.pose.motion_input import MotionInfo, OpenedMotion, open_motion, output_times, require_person
from core.pose.prepare import Prepared, prepare, wants_fit
from core.pose.rehearsal import rehearse
from core.pose.sources import FoundTrack, no_skeleton, nobody
from core.types import FPS, MotionKind, Trim

# A filmed clip is looked at this often, in frames a second, until somebody is seen.
_LOOKS_A_SECOND: Final = 4
_ON_GRID: Final = 1e-6
Check = Callable[[], None]

__all__ = [
    "Fitting",
    "MotionFrames",
    "MotionInfo",
    "choose_frames",
    "find_person",
    "inspect_motion",
    "load_motion",
]


@dataclass(frozen=True)
class MotionFrames:
    """Skeleton frames at 16 a second.

    Attributes:
        positive: uint8 RGB [F, h, w, 3], F = 4n+1.
        negative: the same shape for condition guidance, or None where it was not asked for or not possible
            (then a note says why).
        start_s: where the range starts in the clip.
        duration_s: F / 16.
        sound: the clip whose sound belongs to it, or None.
        notes: what the user should know.
        pose: the report of ``pose check``, align frame and bridge; None for drawings used as they are.
    """

    positive: NDArray[np.uint8]
    negative: NDArray[np.uint8] | None
    start_s: float
    duration_s: float
    sound: Path | None
    notes: tuple[str, ...]
    pose: dict[str, Any] | None = None


def inspect_motion(
    motion: Path,
    keypoints: Path | None = None,
    kind: MotionKind = "auto",
    trim: Trim | None = None,
    frames: int | None = None,
    fitting: Fitting | None = None,
) -> MotionInfo:
    """Check a motion input before any work: read its header or keypoints, and look for somebody.

    Args:
        motion: a skeleton video, a driving clip, or keypoints (a file or an OpenPose folder).
        keypoints: keypoints of a driving clip; by default its sidecar, else they are found later.
        kind: what ``motion`` is.
        trim: the selected range; default all of it.
        frames: how many output frames will be used at most; somebody must show up within them.
        fitting: its times and its person must be there, and its finder looks for somebody in a clip without
            keypoints; None leaves all that to the render.

    Raises:
        BadVideo: the clip cannot be read, is cut off, or the range is empty.
        BadPose: bad keypoints, or nobody in the range.
        BadSetting: as ``rehearse``.
        BadCheckpoint: the files of the pose engine are missing.
    """
    opened = open_motion(motion, keypoints, kind, trim or Trim())
    wanted = min(frames or opened.info.frames_at_16, opened.info.frames_at_16)
    finder = None if fitting is None else fitting.finder
    if fitting is not None:
        rehearse(opened, wanted, fitting)
    if opened.track is not None:
        require_person(opened.track, opened.start_s, wanted, motion)
    elif opened.info.kind == "skeleton":
        seen = read_frames(motion, opened.start_s, opened.end_s, limit=wanted)
        if not any(has_skeleton(frame) for frame in seen):
            raise no_skeleton(motion, wanted)
    elif finder is not None:
        end_s = min(opened.end_s, opened.start_s + wanted / FPS)
        looks = read_frames(motion, opened.start_s, end_s, fps=_LOOKS_A_SECOND)
        if not any(finder.in_picture(frame) for frame in looks):
            raise nobody(motion, wanted)
    return opened.info


def load_motion(
    motion: Path,
    keypoints: Path | None = None,
    kind: MotionKind = "auto",
    trim: Trim | None = None,
    frames: int | None = None,
    canvas_hw: tuple[int, int] = (1152, 2048),
    hands: bool = True,
    redraw: bool = False,
    negative_seed: int | None = None,
    limit: int | None = None,
    check: Check = lambda: None,
    fitting: Fitting | None = None,
    on_frame: OnFrame = untold,
) -> MotionFrames:
    """Draw, or read, the skeleton frames of the selected range at 16 frames a second.

    Args:
        motion: as ``inspect_motion``; keypoints, kind and trim too.
        frames: output frames, 4n+1; None takes the whole range, cut to 4n+1 and to ``limit``.
        canvas_hw: height and width of the drawings, already doubled.
        hands: draw hands.
        redraw: read the joints of a skeleton video back by colour and draw them anew on the canvas.
        negative_seed: seed of the negatives; None makes none.
        limit: most frames that the model takes.
        check: called for each frame; may raise ``Cancelled``.
        fitting: the reference and how keypoints come to it; None draws them where they are.
        on_frame: told frames done and frames in all while people are found in a clip.

    Raises:
        BadSetting: ``frames`` is not 4n+1, more than the range holds, or more than ``limit``.
        BadImage: nobody is in the reference.
        BadVideo, BadPose, BadCheckpoint: as ``inspect_motion``.
    """
    fitting = fitting or Fitting()
    opened = open_motion(motion, keypoints, kind, trim or Trim())
    count = choose_frames(opened.info.frames_at_16, frames, limit)
    found = _find(motion, opened, count, fitting, check, on_frame)
    if found is not None:
        target = fitting.target(canvas_hw, required=opened.info.kind == "driving")
        times = output_times(opened.start_s, count)
        ready = prepare(found, times, target, fitting.settings_for(opened.info.kind), fitting.edits)
        drawn = from_poses(ready.poses, canvas_hw, hands, negative_seed, check)
        notes = (*ready.notes, *drawn.notes, *(fitting.finder.notes if fitting.finder else ()))
        return _result(motion, opened, replace(drawn, notes=notes), ready)
    stream = read_frames(motion, opened.start_s, opened.end_s, limit=count)
    drawn = from_video(stream, count, canvas_hw, hands, redraw, negative_seed, check)
    if not drawn.people:
        raise no_skeleton(motion, count)
    return _result(motion, opened, drawn, None)


def find_person(
    motion: Path,
    keypoints: Path | None,
    kind: MotionKind,
    trim: Trim,
    fitting: Fitting,
    check: Check,
    on_frame: OnFrame,
    as_rendered: bool = False,
) -> tuple[FoundTrack, MotionInfo]:
    """One person of a motion in any form, for what needs joints and not drawings.

    Args:
        as_rendered: look only at the frames of a clip that a render would look at, not at all of them.

    Raises:
        as ``load_motion``.
    """
    opened = open_motion(motion, keypoints, kind, trim)
    count = opened.info.frames_at_16
    rehearse(opened, count, fitting)
    fps = _needed_fps(opened.start_s) if as_rendered else None
    return _person(motion, opened, count, fitting, check, on_frame, fps), opened.info


def choose_frames(available: int, asked: int | None, limit: int | None = None) -> int:
    """The number of output frames: ``asked`` if it fits, else the largest 4n+1 where nothing was asked.

    Raises:
        BadSetting: offers the nearest numbers that work.
    """
    most = fit_frames(available, available if limit is None else limit)
    if asked is None:
        return most
    if 1 <= asked <= most and (asked - 1) % TEMPORAL_STRIDE == 0:
        return asked
    below = fit_frames(max(asked, 1), most)
    above = min(below + TEMPORAL_STRIDE, most)
    choices = f"{below}" if above == below or asked > most else f"{below} or {above}"
    raise BadSetting(
        f"A video of {asked} frames cannot be made from this selection.",
        value=f"{asked} frames",
        limit=f"1, 5, 9 and so on up to {most} frames",
        action=f"Choose {choices} frames.",
    )


def _find(
    motion: Path, opened: OpenedMotion, count: int, fitting: Fitting, check: Check, on_frame: OnFrame
) -> FoundTrack | None:
    """One person of the range; None for a skeleton video that is used as it is."""
    if opened.info.kind == "skeleton" and fitting.settings.align != "on" and not fitting.edits:
        return None
    return _person(motion, opened, count, fitting, check, on_frame, _needed_fps(opened.start_s))


def _needed_fps(start_s: float) -> float | None:
    """The output's rate where the range starts on its grid: between its frames there is nothing to see."""
    return float(FPS) if abs(start_s * FPS - round(start_s * FPS)) < _ON_GRID else None


def _person(
    motion: Path,
    opened: OpenedMotion,
    count: int,
    fitting: Fitting,
    check: Check,
    on_frame: OnFrame,
    fps: float | None,
) -> FoundTrack:
    settings = fitting.settings
    if opened.track is not None:
        require_person(opened.track, opened.start_s, count, motion)
        fill = fitting.fill and wants_fit(settings, opened.track.aligned)
        return sources.from_file(opened.track, settings.person, fill)
    if opened.info.kind == "skeleton":
        return sources.from_drawings(motion, opened.start_s, opened.end_s, count, check)
    if fitting.finder is None:
        raise BadSetting(
            f"{motion.name} is a filmed clip; finding people in it needs a pose engine.", value=motion
        )
    trim = Trim(opened.start_s, min(opened.end_s, opened.start_s + count / FPS))
    return sources.from_clip(
        motion, trim, settings.person, fitting.finder, check, on_frame, fitting.sha256, fitting.fill, fps
    )


def _result(motion: Path, opened: OpenedMotion, drawn: Frames, ready: Prepared | None) -> MotionFrames:
    return MotionFrames(
        positive=drawn.positive,
        negative=drawn.negative,
        start_s=opened.start_s,
        duration_s=len(drawn.positive) / FPS,
        sound=motion if opened.info.has_sound else None,
        notes=tuple(dict.fromkeys(opened.info.notes + drawn.notes)),
        pose=None if ready is None else _told(ready),
    )


def _told(ready: Prepared) -> dict[str, Any]:
    """What a result remembers of the pose."""
    frames = {"align_frame_s": ready.align_frame_s, "bridge_frames": ready.bridged}
    return ready.report.to_json() | frames
