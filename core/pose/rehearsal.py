"""What can be known of a request for poses before any picture is looked at: whether its times and its person
are there.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from core.pose import sources
from core.pose.edit import edit_track
from core.pose.extract.clip import MAX_FPS
from core.pose.extract.gaps import Gaps
from core.pose.fitting import Fitting
from core.pose.motion_input import OpenedMotion
from core.pose.prepare import check_align_frame, wants_fit
from core.pose.skeleton import JOINTS, PoseTrack
from core.pose.sources import FoundTrack
from core.types import FPS

# A clip's frames do not begin where its range does: what is refused here is refused later for certain.
_SLACK_FRAMES: Final = 1


def rehearse(opened: OpenedMotion, count: int, fitting: Fitting) -> None:
    """Refuse at once what would be refused after the people of the motion were found.

    Args:
        opened: the motion.
        count: output frames of the range.
        fitting: what shall be done with it.

    Raises:
        BadSetting: the align frame or a frame to hold lies outside of the range; a keypoint file has no such
            person.
    """
    kind, track = opened.info.kind, opened.track
    settings = fitting.settings_for(kind)
    if track is not None and settings.person is not None:
        sources.from_file(track, settings.person, fill=False)
    empty = _empty(opened, count)
    fits = fitting.picture is not None and wants_fit(settings, opened.info.aligned)
    if fits and settings.align_frame_s is not None:
        check_align_frame(settings.align_frame_s, empty)
    holds = [edit for edit in fitting.edits if edit.kind == "hold"]
    edit_track(empty.track, holds, empty.start_s)


def _empty(opened: OpenedMotion, count: int) -> FoundTrack:
    """Nobody, as long as a keypoint file, or as what will be found in a clip and a frame on either side."""
    if opened.track is not None:
        return FoundTrack(_track(len(opened.track.keypoints), opened.track.fps), 0.0, (), Gaps(0))
    fps = min(opened.info.fps, MAX_FPS)
    first = max(0, int(opened.start_s * fps) - _SLACK_FRAMES)
    end_s = min(opened.end_s, opened.start_s + count / FPS)
    end = int(end_s * fps) + 1 + _SLACK_FRAMES
    return FoundTrack(_track(end - first, fps), first / fps, (), Gaps(0))


def _track(frames: int, fps: float) -> PoseTrack:
    return PoseTrack(np.zeros((frames, 1, JOINTS, 2)), np.zeros((frames, 1, JOINTS)), 1, 1, fps)
