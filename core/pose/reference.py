"""The pose of the person in the reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.pose.extract.engine import Image
from core.pose.extract.pick import numbered
from core.pose.files import load_keypoints, sidecar_of
from core.pose.finder import PoseFinder
from core.pose.skeleton import PoseFrame, PoseTrack, shown, threshold


def find_reference(
    path: Path, picture: Image, keypoints: Path | None, finder: PoseFinder, person: int | None = None
) -> PoseFrame | None:
    """The tallest person of a picture, or the one asked for; None where there is nobody.

    Args:
        path: the picture's file; a sidecar of one frame beside it (``photo.png.pose.json``, or
            ``photo.pose.json``) is believed. Longer ones belong to a clip of the same name.
        picture: uint8 RGB [H, W, 3].
        keypoints: a keypoint file to take instead; its first frame counts.
        finder: looks at the picture where no file tells.
        person: number among the people, the tallest first; None is 0.

    Returns:
        Fractions of the picture.

    Raises:
        BadPose: the keypoint file cannot be used.
        BadSetting: there is no such person.
        BadCheckpoint: the engine's files are missing.
    """
    return chosen(reference_people(path, picture, keypoints, finder), person)


def reference_people(
    path: Path, picture: Image, keypoints: Path | None, finder: PoseFinder
) -> list[PoseFrame]:
    """Everybody in a picture, the tallest first; arguments and errors as ``find_reference``'s."""
    size = (picture.shape[1], picture.shape[0])
    if keypoints is not None:
        return _people(load_keypoints(keypoints, size))
    file = sidecar_of(path)
    track = None if file is None else load_keypoints(file, size)
    if track is not None and len(track.keypoints) == 1:
        return _people(track)
    found = [one for one in finder.in_picture(picture) if shown(one.scores)]
    found.sort(key=lambda one: one.box[1] - one.box[3])
    return [threshold(one.keypoints[None], one.scores[None]) for one in found]


def chosen(people: list[PoseFrame], person: int | None) -> PoseFrame | None:
    """The one of this number, the first for None; None where there is nobody.

    Raises:
        BadSetting: there is no such person.
    """
    if not people:
        return None
    return numbered(people, person, "the reference", "Leave the person out to take the tallest one.")


def _people(track: PoseTrack) -> list[PoseFrame]:
    """Those of the first frame, the tallest first."""
    there = np.flatnonzero(shown(track.scores[0])).tolist()
    there.sort(key=lambda row: -float(np.ptp(track.keypoints[0, row, track.scores[0, row] > 0, 1])))
    return [threshold(track.keypoints[0], track.scores[0], row) for row in there]
