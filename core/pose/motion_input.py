"""A motion input as it lies there: its kind, length, sound and keypoints, before any picture is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.media.probe import VideoInfo, probe_video
from core.media.read import frames_in, selection
from core.pose.extract.gaps import Gaps
from core.pose.files import load_keypoints
from core.pose.motion_kind import resolve
from core.pose.skeleton import PoseTrack, shown
from core.pose.sources import FoundTrack, nobody
from core.types import FPS, MotionKind, Trim

# A sidecar and its clip may differ by a frame or two.
_SLACK_S: Final = 0.5


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
        aligned: keypoints that are fitted to a reference already.
    """

    kind: MotionKind
    duration_s: float
    fps: float
    frames_at_16: int
    has_sound: bool
    notes: tuple[str, ...] = ()
    aligned: bool = False


@dataclass(frozen=True)
class OpenedMotion:
    """A motion input with what is known before any picture is looked at; ``track`` as the file has it."""

    info: MotionInfo
    track: PoseTrack | None
    start_s: float
    end_s: float


def open_motion(motion: Path, keypoints: Path | None, kind: MotionKind, trim: Trim) -> OpenedMotion:
    """Read a motion's header, and its keypoints where it has some.

    Raises:
        BadVideo: the clip cannot be read, is cut off, or the range is empty.
        BadPose: bad keypoints.
    """
    found, file = resolve(motion, keypoints, kind)
    clip = None if found == "keypoints" else probe_video(motion)
    track = None if file is None else _track(file, clip)
    if track is not None and clip is not None and keypoints is None and _is_of_a_picture(track, clip):
        track = None
    notes = () if track is None else track.notes
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
        aligned=track is not None and track.aligned,
    )
    return OpenedMotion(info, track, start_s, end_s)


def require_person(track: PoseTrack, start_s: float, count: int, motion: Path) -> None:
    """Raises ``BadPose`` where a keypoint file has nobody in the range of ``count`` output frames."""
    here = FoundTrack(track, 0.0, (), Gaps(0, ())).indices(output_times(start_s, count))
    if not shown(track.scores[here]).any():
        raise nobody(motion, count)


def output_times(start_s: float, count: int) -> list[float]:
    """When the output frames are, in seconds of the motion."""
    return [start_s + frame / FPS for frame in range(count)]


def _track(file: Path, clip: VideoInfo | None) -> PoseTrack:
    if clip is None:
        return load_keypoints(file)
    return load_keypoints(file, (clip.width, clip.height), clip.fps)


def _is_of_a_picture(track: PoseTrack, clip: VideoInfo) -> bool:
    """Whether a sidecar of one frame lies beside a longer clip: ``photo.png`` may have the same name."""
    return len(track.keypoints) == 1 and clip.duration_s * clip.fps > 1.5
