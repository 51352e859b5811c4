"""Our aligned skeleton against another pipeline's, for one picture and one clip.

    python -m core.evaluation.pose_pair PHOTO CLIP SKELETONS --align-frame 1 --sheet sheet.png

SKELETONS is the other pipeline's skeleton video: one frame for each frame of the clip from the align frame
on, drawn for the same picture. Its joints are read back by colour. Distances are in heights of the picture.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core import geometry
from core.catalogue.pose_finder import pose_finder
from core.errors import PirouetteError
from core.media.images import load_reference
from core.media.probe import probe_video
from core.media.read import read_frames
from core.pose.colour import read_back
from core.pose.draw import black, draw
from core.pose.finder import untold
from core.pose.prepare import Target, prepare
from core.pose.reference import find_reference
from core.pose.skeleton import Floats, PoseFrame
from core.pose.sources import from_clip
from core.types import PoseSettings, Trim

JOINTS: Final = {
    "nose": (0,), "neck": (1,), "shoulders": (2, 5), "elbows": (3, 6), "wrists": (4, 7),
}  # fmt: skip
_SHEET_HEIGHT: Final = 360
_SHEET_FRAMES: Final = 8


def distances(ours: Sequence[PoseFrame | None], theirs: Sequence[PoseFrame | None], ratio: float) -> Floats:
    """[F, 18] heights between the joints of two tracks; NaN where one of them has no such joint."""
    rows = np.full((len(theirs), 18), np.nan)
    for row, one, other in zip(rows, ours, theirs, strict=True):
        if one is not None and other is not None:
            apart = np.linalg.norm((one.body - other.body) * [ratio, 1.0], axis=-1)
            # A joint that is hidden to us keeps its coordinates, and the other pipeline drew it.
            row[:] = np.where(other.subset >= 0, apart, np.nan)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 0 unless an input cannot be used."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("clip", type=Path)
    parser.add_argument("skeletons", type=Path)
    parser.add_argument("--align-frame", type=int, default=0, metavar="N", help="frame of the clip")
    parser.add_argument("--frames", type=int, default=81)
    parser.add_argument("--engine", default="offline", choices=["offline", "dwpose"])
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="write theirs above ours")
    options = parser.parse_args(arguments)
    try:
        _run(options)
    except PirouetteError as error:
        print(error.sentence(), file=sys.stderr)
        return error.exit_code
    return 0


def _run(options: argparse.Namespace) -> None:
    photo = load_reference(options.photo)
    height, width = geometry.pose_canvas(photo.shape[1], photo.shape[0])
    ratio = width / height
    fps = probe_video(options.clip).fps
    start_s = options.align_frame / fps
    times = [start_s + frame / fps for frame in range(options.frames)]
    finder = pose_finder(options.engine)
    trim = Trim(start_s, times[-1] + 1 / fps)
    found = from_clip(options.clip, trim, None, finder, lambda: None, untold)
    target = Target(options.photo.name, lambda: find_reference(options.photo, photo, None, finder), ratio)
    theirs = [read_back(frame) for frame in islice(read_frames(options.skeletons, fps=fps), options.frames)]
    ways = {
        "as the reference pipeline": (PoseSettings(align_frame_s=start_s), True),
        "with guards": (PoseSettings(align_frame_s=start_s, smoothing=0.0, bridge=False), False),
        "as rendered by default": (PoseSettings(bridge=False), False),
    }
    for name, (settings, exact) in ways.items():
        ready = prepare(found, times, target, settings, exact=exact)
        _print(name, distances(ready.poses, theirs, ratio))
        if options.sheet and exact:
            _write_sheet(options.sheet, theirs, ready.poses, (height, width))


def _print(name: str, rows: Floats) -> None:
    print(f"{name}: {len(rows)} frames, % of height")
    groups = JOINTS | {"all of these": tuple(joint for joints in JOINTS.values() for joint in joints)}
    for what, joints in groups.items():
        values = rows[:, joints]
        values = 100 * values[~np.isnan(values)]
        median, high = np.percentile(values, [50, 95])
        print(f"  {what:<14} n {len(values):<5} median {median:5.2f}  95th percentile {high:5.2f}")


def _write_sheet(
    path: Path,
    theirs: Sequence[PoseFrame | None],
    ours: Sequence[PoseFrame | None],
    canvas_hw: tuple[int, int],
) -> None:
    chosen = np.linspace(0, len(theirs) - 1, _SHEET_FRAMES).astype(int)
    rows = [np.concatenate([_small(track[i], canvas_hw) for i in chosen], axis=1) for track in (theirs, ours)]
    cv2.imwrite(str(path), cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))


def _small(pose: PoseFrame | None, canvas_hw: tuple[int, int]) -> NDArray[np.uint8]:
    picture = black(*canvas_hw) if pose is None else draw(pose, *canvas_hw)
    size = (round(canvas_hw[1] * _SHEET_HEIGHT / canvas_hw[0]), _SHEET_HEIGHT)
    small: NDArray[np.uint8] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    framed: NDArray[np.uint8] = cv2.copyMakeBorder(small, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(60, 60, 60))
    return framed


if __name__ == "__main__":
    sys.exit(main())
