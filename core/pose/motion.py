"""From a motion input to the skeleton frames that condition the model, and their negatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import BadPose, BadSetting
from core.geometry import TEMPORAL_STRIDE, fit_frames
from core.media.probe import probe_video
from core.media.read import frames_in, read_frames, selection
from core.pose.colour import has_skeleton
from core.pose.files import load_keypoints
from core.pose.motion_frames import Frames, from_track, from_video
from core.pose.motion_kind import resolve
from core.pose.skeleton import PoseTrack
from core.types import FPS, MotionKind, Trim

# A sidecar and its clip may differ by a frame or two.
_SLACK_S: Final = 0.5
Check = Callable[[], None]


@dataclass(frozen=True)
class MotionInfo:
    """What a motion input holds.

    Attributes:
        kind: skeleton, driving or keypoints.
        duration_s: seconds of the whole input.
        fps: its own frames a second.
        frames_at_16: output frames in the selected range.
        has_sound: the clip has sound.
        notes: assumptions made while reading.
    """

    kind: MotionKind
    duration_s: float
    fps: float
    frames_at_16: int
    has_sound: bool
    notes: tuple[str, ...] = ()


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
    """

    positive: NDArray[np.uint8]
    negative: NDArray[np.uint8] | None
    start_s: float
    duration_s: float
    sound: Path | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Opened:
    """A motion input with what is known before any frame is drawn."""

    info: MotionInfo
    track: PoseTrack | None
    start_s: float
    end_s: float


def inspect_motion(
    motion: Path,
    keypoints: Path | None = None,
    kind: MotionKind = "auto",
    trim: Trim | None = None,
    frames: int | None = None,
) -> MotionInfo:
    """Check a motion input before any work: read its header or keypoints, and look for a skeleton.

    Args:
        motion: a skeleton video, a driving clip, or keypoints (a file or an OpenPose folder).
        keypoints: keypoints of a driving clip; by default its sidecar.
        kind: what ``motion`` is.
        trim: the selected range; default all of it.
        frames: how many output frames will be used at most; a skeleton must show up within them.

    Raises:
        BadVideo: the clip cannot be read, is cut off, or the range is empty.
        BadPose: bad keypoints, nobody in the range, or a filmed clip without keypoints.
    """
    opened = _open(motion, keypoints, kind, trim or Trim())
    wanted = min(frames or opened.info.frames_at_16, opened.info.frames_at_16)
    if opened.track is not None:
        _require_person(opened.track, opened.start_s, wanted, motion)
    else:
        seen = read_frames(motion, opened.start_s, opened.end_s, limit=wanted)
        if not any(has_skeleton(frame) for frame in seen):
            raise no_skeleton(motion, wanted)
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

    Raises:
        BadSetting: ``frames`` is not 4n+1, more than the range holds, or more than ``limit``.
        BadVideo, BadPose: as ``inspect_motion``.
    """
    opened = _open(motion, keypoints, kind, trim or Trim())
    count = choose_frames(opened.info.frames_at_16, frames, limit)
    if opened.track is not None:
        _require_person(opened.track, opened.start_s, count, motion)
        drawn = from_track(
            opened.track,
            _indices(opened.track, opened.start_s, count),
            canvas_hw,
            hands,
            negative_seed,
            check,
        )
    else:
        stream = read_frames(motion, opened.start_s, opened.end_s, limit=count)
        drawn = from_video(stream, count, canvas_hw, redraw, negative_seed, check)
        if not drawn.people:
            raise no_skeleton(motion, count)
    return _result(motion, opened, drawn)


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


def no_skeleton(motion: Path, frames: int) -> BadPose:
    """The error for a skeleton video that shows none in the selected range."""
    return BadPose(
        f"{motion.name} shows no skeleton in any frame of the selected range.",
        value=f"0 of {frames} frames",
        limit="at least 1 frame with a skeleton",
        action="Choose another range or another video, or give keypoints.",
    )


def _result(motion: Path, opened: _Opened, drawn: Frames) -> MotionFrames:
    return MotionFrames(
        positive=drawn.positive,
        negative=drawn.negative,
        start_s=opened.start_s,
        duration_s=len(drawn.positive) / FPS,
        sound=motion if opened.info.has_sound else None,
        notes=opened.info.notes + drawn.notes,
    )


def _open(motion: Path, keypoints: Path | None, kind: MotionKind, trim: Trim) -> _Opened:
    found, file = resolve(motion, keypoints, kind)
    clip = None if found == "keypoints" else probe_video(motion)
    track = None
    notes: tuple[str, ...] = ()
    if file is not None:
        track = load_keypoints(file, (clip.width, clip.height) if clip else None, clip.fps if clip else None)
        notes = track.notes
    durations = [each.duration_s for each in (clip, track) if each is not None]
    if max(durations) - min(durations) > _SLACK_S:
        notes += (f"The keypoints last {durations[-1]:.2f} s and the clip {durations[0]:.2f} s.",)
    start_s, end_s = selection(min(durations), trim.start_s, trim.end_s)
    info = MotionInfo(
        kind=found,
        duration_s=min(durations),
        fps=track.fps if track is not None else clip.fps if clip is not None else FPS,
        frames_at_16=frames_in(end_s - start_s),
        has_sound=clip is not None and clip.has_sound,
        notes=notes,
    )
    return _Opened(info, track, start_s, end_s)


def _indices(track: PoseTrack, start_s: float, count: int) -> NDArray[np.int64]:
    """The frame of the track that is current at each output time."""
    times = start_s + np.arange(count) / FPS
    return np.clip((times * track.fps + 1e-3).astype(np.int64), 0, len(track.keypoints) - 1)


def _require_person(track: PoseTrack, start_s: float, count: int, motion: Path) -> None:
    if not (track.scores[_indices(track, start_s, count)] > 0).any():
        raise BadPose(
            f"{motion.name} has nobody in the selected range.",
            value=f"0 of {count} frames",
            limit="at least 1 frame with a person",
            action="Choose another range.",
        )
