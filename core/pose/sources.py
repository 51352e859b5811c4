"""From a motion in any form to the track of one person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.errors import BadPose
from core.media.read import read_frames
from core.pose.colour_track import track_from_frames
from core.pose.extract.clip import FoundClip
from core.pose.extract.gaps import Gaps, fill_gaps
from core.pose.extract.pick import Candidate, as_track, candidates, pick
from core.pose.extract.tracking import Identity, follow, identities_of
from core.pose.finder import Check, OnFrame, PoseFinder
from core.pose.skeleton import PoseFrame, PoseTrack, shown, threshold
from core.types import FPS, Trim


@dataclass(frozen=True)
class FoundTrack:
    """One person of a motion.

    Attributes:
        track: n = 1; short gaps are filled.
        start_s: time of the track's first frame in the motion.
        people: everybody who was there, the one in ``track`` among them.
        gaps: what was filled and what was left.
    """

    track: PoseTrack
    start_s: float
    people: tuple[Candidate, ...]
    gaps: Gaps

    @property
    def ratio(self) -> float:
        """Width over height of the picture that the track belongs to."""
        return self.track.width / self.track.height

    def indices(self, times: Sequence[float]) -> list[int]:
        """The frame that is current at each time of the motion, the nearest one beyond the ends."""
        last = len(self.track.keypoints) - 1
        return [min(max(int((t - self.start_s) * self.track.fps + 1e-3), 0), last) for t in times]


def pose_of(track: PoseTrack, index: int) -> PoseFrame | None:
    """Person 0 of a frame, None where nothing of them would be drawn."""
    if not shown(track.scores[index, 0]):
        return None
    return threshold(track.keypoints[index], track.scores[index])


def from_clip(
    clip: Path,
    trim: Trim,
    person: int | None,
    finder: PoseFinder,
    check: Check,
    on_frame: OnFrame,
    sha256: str | None = None,
    fill: bool = True,
    fps: float | None = None,
) -> FoundTrack:
    """Find people in a range of a filmed clip and follow one of them.

    ``fps``: frames a second to look at; by default the clip's own.

    Raises:
        BadVideo: as ``extract_clip``.
        BadPose: nobody is in the range.
        BadSetting: ``person`` is more than there are.
    """
    alone, start_s, people = _followed(finder.in_clip(clip, trim, check, on_frame, sha256, fps), person, clip)
    track, gaps = fill_gaps(alone) if fill else (alone, Gaps(0, ()))
    return FoundTrack(track, start_s, people, gaps)


def _followed(
    found: FoundClip, person: int | None, clip: Path
) -> tuple[PoseTrack, float, tuple[Candidate, ...]]:
    """One person's track and its start; everybody else is let go of here, before more is made of it."""
    count = len(found.frames)
    identities = follow(found.frames, found.fps, found.width / found.height)
    if not identities:
        raise nobody(clip, count)
    people, chosen = _picked(identities, count, found.fps, person)
    track = as_track(chosen, count, found.width, found.height, found.fps)
    return track, found.first_frame / found.fps, people


def from_file(track: PoseTrack, person: int | None, fill: bool = True) -> FoundTrack:
    """Follow one person of a keypoint file.

    Args:
        track: the file.
        person: number in the list of its people.
        fill: fill short gaps; not for what shall be drawn as the file has it.

    Raises:
        BadSetting: ``person`` is more than there are.
    """
    count = len(track.keypoints)
    identities = identities_of(track)
    people, chosen = _picked(identities, count, track.fps, person)
    alone = _rows_of(chosen, track)
    alone, gaps = fill_gaps(alone) if fill else (alone, Gaps(0, ()))
    return FoundTrack(alone, 0.0, people, gaps)


def _rows_of(chosen: Identity, track: PoseTrack) -> PoseTrack:
    """The file's own numbers of one person: identities keep fewer digits, which moves a pixel or two."""
    points, scores = np.zeros_like(track.keypoints[:, :1]), np.zeros_like(track.scores[:, :1])
    for frame, wanted in zip(chosen.frames.tolist(), chosen.joints()[0], strict=True):
        row = int(np.abs(track.keypoints[frame] - wanted).sum(axis=(1, 2)).argmin())
        points[frame, 0], scores[frame, 0] = track.keypoints[frame, row], track.scores[frame, row]
    return replace(track, keypoints=points, scores=scores)


def from_drawings(clip: Path, start_s: float, end_s: float, count: int, check: Check) -> FoundTrack:
    """Read the joints of a skeleton video back by colour, at the output's rate.

    Raises:
        BadVideo: as ``read_frames``.
        BadPose: no skeleton could be read.
    """
    frames = read_frames(clip, start_s, end_s, limit=count)
    track = track_from_frames(frames, float(FPS), check)
    if not (track.scores > 0).any():
        raise no_skeleton(clip, count)
    return FoundTrack(track, start_s, (), Gaps(0, ()))


def nobody(motion: Path, frames: int) -> BadPose:
    """The error for a range without a person."""
    return BadPose(
        f"Nobody was found in the selected range of {motion.name}.",
        value=f"0 of {frames} frames",
        limit="at least 1 frame with a person",
        action="Choose another range, or a clip in which the whole person can be seen.",
    )


def no_skeleton(motion: Path, frames: int) -> BadPose:
    """The error for a skeleton video that shows none in the selected range."""
    return BadPose(
        f"{motion.name} shows no skeleton in any frame of the selected range.",
        value=f"0 of {frames} frames",
        limit="at least 1 frame with a skeleton",
        action="Choose another range or another video, or give keypoints.",
    )


def _picked(
    identities: list[Identity], count: int, fps: float, person: int | None
) -> tuple[tuple[Candidate, ...], Identity]:
    people, ordered = candidates(identities, count, fps)
    return tuple(people), pick(ordered, person)


def whole(found: FoundTrack) -> PoseTrack:
    """The track from the motion's own start on, empty before its range: what a sidecar holds."""
    missing = round(found.start_s * found.track.fps)
    if missing <= 0:
        return found.track
    pad = ((missing, 0), (0, 0), (0, 0))
    return replace(
        found.track,
        keypoints=np.pad(found.track.keypoints, (*pad, (0, 0))),
        scores=np.pad(found.track.scores, pad),
    )
