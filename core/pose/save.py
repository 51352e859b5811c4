"""A track as a file: sidecar, NPZ, a video of skeletons, or a folder of OpenPose files; the name decides."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from core.errors import BadSetting
from core.media.disk import check_output, disk_error, written_beside
from core.media.write import write_video
from core.pose import npz_file, openpose_file
from core.pose.augment import negative, uniforms
from core.pose.draw import Image, black, draw
from core.pose.files import save_sidecar
from core.pose.skeleton import PoseFrame, PoseTrack, threshold

# Limbs are 8 pixels wide at any size, so large pictures are read back best; every player takes this size.
_SHORT_SIDE: Final = 1024
_LONG_SIDE: Final = 4096
_ENDINGS: Final = ".json, .npz, .mp4, or a folder"
Check = Callable[[], None]


def save_track(track: PoseTrack, path: Path, check: Check = lambda: None) -> None:
    """Write a track beside its name and rename it.

    ``.json`` and ``.npz`` hold everything. ``.mp4`` holds the drawings of the first person, at the track's
    own rate. A name without an ending becomes a folder with an OpenPose file a frame, which knows neither
    rate nor alignment.

    Args:
        track: the keypoints.
        path: what to write or replace; a folder must be new or empty.
        check: called before each frame that is drawn; whatever it raises leaves nothing behind.

    Raises:
        BadSetting: another ending, or a folder with something in it.
        DiskError: the folder cannot be written or the drive is full.
    """
    ending = check_ending(path)
    if ending == ".json":
        save_sidecar(track, path)
    elif ending == ".npz":
        with written_beside(path) as beside, beside.open("wb") as file:
            npz_file.write(track, file)
    elif ending == ".mp4":
        write_video(path, drawings(track, drawing_size(track)), track.fps, check=check)
    else:
        _save_folder(track, path)


def check_ending(path: Path) -> str:
    """The ending in small letters, empty for a folder.

    Raises:
        BadSetting: not one that ``save_track`` knows, or a folder with something in it.
    """
    if path.is_dir():
        if any(path.iterdir()):
            raise BadSetting(
                f"The folder {path} has something in it.",
                value=path,
                limit="a new or an empty folder",
                action="Choose another name.",
            )
        return ""
    ending = path.suffix.lower()
    if ending not in (".json", ".npz", ".mp4", ""):
        raise BadSetting(
            f"Keypoints cannot be written as {path.suffix}.",
            value=path.name,
            limit=_ENDINGS,
            action=f"Choose a name that ends in {_ENDINGS}.",
        )
    return ending


def drawing_size(track: PoseTrack) -> tuple[int, int]:
    """Height and width of a video of a track: the picture's shape, short side 1024, both even."""
    short, long = sorted((track.width, track.height))
    scale = min(_SHORT_SIDE / short, _LONG_SIDE / long)
    return _even(track.height * scale), _even(track.width * scale)


def drawings(
    track: PoseTrack, size: tuple[int, int], hands: bool = True, negative_seed: int | None = None
) -> Iterator[Image]:
    """The first person of each frame, black where nobody is; uint8 RGB [height, width, 3].

    Args:
        track: the keypoints.
        size: height and width of the drawings.
        hands: draw the hands.
        negative_seed: draw the negative poses of this seed instead.
    """
    rows = None if negative_seed is None else uniforms(negative_seed, len(track.keypoints))
    for number, (points, scores) in enumerate(zip(track.keypoints, track.scores, strict=True)):
        if not (scores[0] > 0).any():
            yield black(*size)
            continue
        pose: PoseFrame = threshold(points, scores)
        yield draw(pose if rows is None else negative(pose, rows[number]), *size, hands=hands)


def _even(side: float) -> int:
    return max(2, round(side / 2) * 2)


def _save_folder(track: PoseTrack, path: Path) -> None:
    check_output(path / "x")
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.mkdir(parents=True)
        for number, text in enumerate(map(json.dumps, openpose_file.to_data(track))):
            name = f"{path.name}_{number:012d}_keypoints.json"
            (beside / name).write_text(text, encoding="utf-8")
        if path.is_dir():
            path.rmdir()
        beside.replace(path)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
