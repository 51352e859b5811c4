"""Positive and negative skeleton frames, drawn from keypoints or taken from a skeleton video."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.pose.augment import negative, uniforms
from core.pose.colour import has_skeleton, is_black, read_back
from core.pose.draw import Image, black, draw
from core.pose.skeleton import PoseFrame

# Of the frames that show a skeleton, this share must be read back.
MIN_READ_SHARE: Final = 0.8
# Skeleton frames of more pixels than this times the canvas are scaled down.
_LARGER: Final = 1.05
Check = Callable[[], None]


@dataclass(frozen=True)
class Frames:
    """uint8 [F, h, w, 3] each, how many frames show a person, and notes."""

    positive: NDArray[np.uint8]
    negative: NDArray[np.uint8] | None
    people: int
    notes: tuple[str, ...]


def from_poses(
    poses: Sequence[PoseFrame | None],
    canvas_hw: tuple[int, int],
    hands: bool,
    negative_seed: int | None,
    check: Check,
) -> Frames:
    """Draw poses, None as black, and their negatives."""
    found = sum(pose is not None for pose in poses)
    notes: list[str] = []
    if found < len(poses):
        notes.append(f"{len(poses) - found} of {len(poses)} frames show nobody and are black.")
    positive = _drawn(poses, canvas_hw, hands, check)
    stretched = None
    if negative_seed is not None:
        stretched = _drawn(_stretched(poses, negative_seed), canvas_hw, hands, check)
    return Frames(positive, stretched, found, tuple(notes))


def from_video(
    stream: Iterable[Image],
    count: int,
    canvas_hw: tuple[int, int],
    hands: bool,
    redraw: bool,
    negative_seed: int | None,
    check: Check,
) -> Frames:
    """Take ``count`` frames of a skeleton video, or draw them anew, and make negatives of what is read.

    ``hands``: draw those that were read back, too.
    """
    pictures, poses, shown = _gather(stream, count, canvas_hw, redraw or negative_seed is not None, check)
    if not shown:
        return Frames(pictures, None, 0, ())
    notes: list[str] = []
    if shown < count:
        notes.append(f"{count - shown} of {count} frames show no skeleton.")
    read = sum(pose is not None for pose in poses)
    readable = read >= MIN_READ_SHARE * shown
    why = f"only {read} of {shown} skeletons could be read back by colour"
    if redraw and readable:
        pictures = _drawn(poses, canvas_hw, hands, check)
        notes.append(f"Skeletons were read back by colour and drawn anew ({read} of {shown}).")
    elif redraw:
        notes.append(f"The skeleton video is used as it is, because {why}.")
    stretched = None
    if negative_seed is not None and readable:
        size = (pictures.shape[1], pictures.shape[2])
        stretched = _drawn(_stretched(poses, negative_seed), size, hands, check)
        notes.append("The negative pose was read back by colour.")
    elif negative_seed is not None:
        notes.append(f"Condition guidance is off because {why}.")
    return Frames(pictures, stretched, shown, tuple(notes))


def _gather(
    stream: Iterable[Image], count: int, canvas_hw: tuple[int, int], read: bool, check: Check
) -> tuple[NDArray[np.uint8], list[PoseFrame | None], int]:
    """The frames in one array, their poses where ``read``, and how many show a skeleton."""
    pictures: NDArray[np.uint8] = np.zeros((0, 1, 1, 3), np.uint8)
    poses: list[PoseFrame | None] = []
    shown = 0
    for number, frame in enumerate(stream):
        check()
        size = _size(frame, canvas_hw)
        if number == 0:
            pictures = np.zeros((count, *size, 3), np.uint8)
        fits = frame.shape[:2] == size
        pictures[number] = frame if fits else cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA)
        shown += not is_black(frame) and has_skeleton(frame)
        poses.append(read_back(frame) if read else None)
    return pictures, poses, shown


def _size(frame: Image, canvas_hw: tuple[int, int]) -> tuple[int, int]:
    """The frame's height and width, or smaller where it has many more pixels than the canvas."""
    height, width = frame.shape[:2]
    scale = math.sqrt(canvas_hw[0] * canvas_hw[1] / (height * width))
    if scale * scale * _LARGER >= 1:
        return height, width
    return max(1, round(height * scale)), max(1, round(width * scale))


def _stretched(poses: Sequence[PoseFrame | None], seed: int) -> list[PoseFrame | None]:
    rows = uniforms(seed, len(poses))
    return [None if pose is None else negative(pose, row) for pose, row in zip(poses, rows, strict=True)]


def _drawn(
    poses: Sequence[PoseFrame | None], size: tuple[int, int], hands: bool, check: Check
) -> NDArray[np.uint8]:
    pictures = np.empty((len(poses), *size, 3), np.uint8)
    for number, pose in enumerate(poses):
        check()
        pictures[number] = black(*size) if pose is None else draw(pose, *size, hands=hands)
    return pictures
