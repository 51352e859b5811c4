"""Keypoint files: our sidecar, NPZ, OpenPose JSON and COCO-WholeBody results, read into a ``PoseTrack``.

The layouts are described in docs/pose-files.md, the sidecar also in resources/schemas/pose.schema.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from core.errors import BadPose
from core.media.disk import written_beside
from core.pose import coco_file, npz_file, openpose_file, sidecar
from core.pose.people import Layout, Person, track
from core.pose.skeleton import PoseTrack

MAX_FILE_BYTES: Final = 512 * 1024**2
DEFAULT_FPS: Final = 16.0
# The first is what we write unasked.
SIDECAR_ENDINGS: Final = (".pose.json", ".pose.npz")
KEYPOINT_SUFFIXES: Final = (".json", ".npz")
_SHAPES: Final = (
    "Give a pose sidecar, an NPZ of keypoints, an OpenPose folder or file, or COCO-WholeBody 133 results."
)


def load_keypoints(path: Path, picture: tuple[int, int] | None = None, fps: float | None = None) -> PoseTrack:
    """Read keypoints of any accepted layout.

    Args:
        path: a JSON or NPZ file, or a folder of OpenPose ``*_keypoints.json`` files, one a frame.
        picture: width and height in pixels of the clip the keypoints were made from, if known; used where the
            files hold pixels without a size.
        fps: frames a second of that clip, if known; used where the files hold none (default 16).

    Raises:
        BadPose: missing, unreadable, unknown layout, no frames, a wrong count or a number that is not finite;
            names the frame.
    """
    layout = _folder(path) if path.is_dir() else _file(path)
    return track(layout, path, picture, fps or DEFAULT_FPS)


def save_sidecar(track: PoseTrack, path: Path) -> None:
    """Write the sidecar beside and rename it, so that a reader never sees half a file.

    Raises:
        DiskError: the folder cannot be written or the drive is full.
    """
    with written_beside(path) as beside, beside.open("w", encoding="utf-8") as file:
        file.writelines(sidecar.to_text(track))


def sidecar_of(clip: Path) -> Path | None:
    """The sidecar beside a clip: ``dance.pose.json`` or ``dance.mp4.pose.json`` for ``dance.mp4``, or NPZ."""
    if not clip.name:  # a folder such as "."
        return None
    for ending in SIDECAR_ENDINGS:
        for candidate in (clip.with_suffix(ending), clip.with_name(clip.name + ending)):
            if candidate.is_file():
                return candidate
    return None


def _folder(path: Path) -> Layout:
    files = sorted(path.glob("*_keypoints.json"), key=_frame_order)
    if not files:
        raise BadPose(
            f"{path} has no OpenPose files.", value="0 files", limit="*_keypoints.json", action=_SHAPES
        )
    parts = [openpose_file.parse([_json(file)], path, first_frame=i) for i, file in enumerate(files)]
    frames: list[Sequence[Person]] = [people for part in parts for people in part.frames]
    size = next((part.size for part in parts if part.size), None)
    return replace(parts[0], frames=frames, size=size)


def _frame_order(file: Path) -> tuple[list[int], str]:
    return [int(number) for number in re.findall(r"\d+", file.name)], file.name


def _file(path: Path) -> Layout:
    if path.suffix.lower() == ".npz":
        return npz_file.parse(path, MAX_FILE_BYTES)
    data = _json(path)
    if isinstance(data, dict) and ("people" in data or "pose_keypoints_2d" in data):
        return openpose_file.parse([data], path)
    if isinstance(data, dict) and "frames" in data:
        return sidecar.parse(data, path)
    if isinstance(data, dict) and ("annotations" in data or "instance_info" in data):
        return coco_file.parse(data, path)
    if isinstance(data, list) and data and all(isinstance(item, dict) for item in data):
        if "people" in data[0]:
            return openpose_file.parse(data, path)
        if "keypoints" in data[0] or "instances" in data[0]:
            return coco_file.parse(data, path)
    if not data:
        raise BadPose(f"{path} holds no frames.", value="0 frames", limit="at least 1", action=_SHAPES)
    raise BadPose(f"{path} is not a keypoint file that we know.", value=_describe(data), action=_SHAPES)


def _describe(data: Any) -> str:
    if isinstance(data, dict):
        return "an object with " + ", ".join(sorted(map(str, data))[:8])
    return f"a JSON {type(data).__name__}"


def _json(path: Path) -> Any:
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_FILE_BYTES:
            raise BadPose(
                f"{path} is too large for a keypoint file.",
                value=f"{size_bytes} bytes",
                limit=f"{MAX_FILE_BYTES} bytes",
                action="Cut the clip into shorter ones.",
            )
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise BadPose(f"{path} does not exist.", value=path, action="Check the path.") from error
    except OSError as error:
        raise BadPose(
            f"{path} cannot be read: {error.strerror}.", value=path, action="Check the file."
        ) from error
    except UnicodeDecodeError as error:
        raise BadPose(f"{path} is not JSON: it is no text.", value=path, action=_SHAPES) from error
    except (ValueError, RecursionError) as error:
        raise BadPose(f"{path} is not JSON: {error}.", value=path, action=_SHAPES) from error
