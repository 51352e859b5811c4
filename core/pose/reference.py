"""The pose of the person in the reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.pose.extract.engine import Found, Image
from core.pose.extract.pick import candidates
from core.pose.extract.tracking import identities_of
from core.pose.files import load_keypoints, sidecar_of
from core.pose.finder import PoseFinder
from core.pose.skeleton import PoseFrame, PoseTrack, threshold


def find_reference(
    path: Path, picture: Image, keypoints: Path | None, finder: PoseFinder
) -> PoseFrame | None:
    """The largest person of a picture; None where there is nobody.

    Args:
        path: the picture's file; a sidecar of one frame beside it (``photo.png.pose.json``, or
            ``photo.pose.json``) is believed. Longer ones belong to a clip of the same name.
        picture: uint8 RGB [H, W, 3].
        keypoints: a keypoint file to take instead; its first frame counts.
        finder: looks at the picture where no file tells.

    Returns:
        Fractions of the picture.

    Raises:
        BadPose: the keypoint file cannot be used.
        BadCheckpoint: the engine's files are missing.
    """
    size = (picture.shape[1], picture.shape[0])
    if keypoints is not None:
        return _person(load_keypoints(keypoints, size))
    file = sidecar_of(path)
    track = None if file is None else load_keypoints(file, size)
    if track is not None and len(track.keypoints) == 1:
        return _person(track)
    people = finder.in_picture(picture)
    if not people:
        return None
    largest = max(people, key=_area)
    return threshold(largest.keypoints[None], largest.scores[None])


def _person(track: PoseTrack) -> PoseFrame | None:
    _, ordered = candidates(identities_of(track), len(track.keypoints), track.fps)
    if not ordered:
        return None
    first = ordered[0]
    return threshold(first.keypoints[:1].astype(np.float64), first.scores[:1].astype(np.float64))


def _area(person: Found) -> float:
    left, top, right, bottom = person.box
    return (right - left) * (bottom - top)
