"""``pirouette pose align`` and ``pose check``: a motion fitted to a reference, and whether that will work."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.catalogue.pose_finder import pose_finder
from core.cli.console import print_json
from core.cli.pose_console import check_target, finding_people, report_lines, say
from core.cli.pose_options import pose_edits, pose_settings, trim
from core.errors import BadSetting
from core.geometry import drawing_size
from core.media.disk import written_beside
from core.media.images import load_reference
from core.media.read import frames_in, selection
from core.pose.draw import draw
from core.pose.finder import OnFrame
from core.pose.fitted import fitted_track
from core.pose.motion import Fitting, MotionInfo, choose_frames, find_person
from core.pose.motion_input import output_times
from core.pose.prepare import Prepared, prepare
from core.pose.save import check_ending, save_track
from core.pose.sources import FoundTrack
from core.types import FPS, MotionKind, PoseSettings, Trim

_NATIVE_FRAMES: Final = 81
_DIM: Final = 0.5
_WHITE: Final = 255
Pictures = NDArray[np.uint8]


def align(options: argparse.Namespace) -> int:
    """``pirouette pose align``: every frame of the range, at the motion's rate, on the reference's canvas."""
    output = Path(options.output)
    check_ending(output)
    check_target(output, options.force)
    job = _open(options, _settings(options))
    with finding_people() as line:
        found, info = job.find(line.show)
        start_s, end_s = selection(info.duration_s, job.start_s, job.end_s)
        fps = found.track.fps
        times = [start_s + frame / fps for frame in range(frames_in(end_s - start_s, fps))]
        most = choose_frames(info.frames_at_16, options.frames, _NATIVE_FRAMES)
        ready = job.prepare(found, times, options.exact, align_times=output_times(start_s, most))
        save_track(fitted_track(ready, job.canvas_hw, fps), output)
    if options.json:
        print_json({"output": str(output), **_data(ready, fps, job.canvas_hw)})
        return 0
    say([*_lines(ready), *ready.notes, *report_lines(ready.report)])
    print(output)
    return 0


def check(options: argparse.Namespace) -> int:
    """``pirouette pose check``: the frames that a render would take; exit code 0 whatever the score."""
    picture = Path(options.picture) if options.picture else None
    if picture is not None:
        _check_png(picture)
        check_target(picture, options.force)
    most = choose_frames(_NATIVE_FRAMES, options.frames)
    # Without the transition: it would hide the first pose behind the reference's own.
    job = _open(options, replace(pose_settings(options), bridge=False))
    with finding_people() as line:
        found, info = job.find(line.show, most / FPS)
        count = choose_frames(info.frames_at_16, options.frames, most)
        times = output_times(job.start_s, count)
        ready = job.as_rendered(info.kind).prepare(found, times, required=info.kind == "driving")
        if picture is not None:
            _save_png(_overlay(job, ready), picture)
    if options.json:
        print_json(ready.report.to_json())
        return 0
    say(ready.notes)
    print("\n".join(report_lines(ready.report)))
    return 0


@dataclass(frozen=True)
class _Job:
    """What the options ask for. ``canvas_hw``: height and width of the drawings."""

    options: argparse.Namespace
    fitting: Fitting
    picture: Pictures
    canvas_hw: tuple[int, int]

    @property
    def start_s(self) -> float:
        """Start of the range in the motion."""
        return float(self.options.start)

    @property
    def end_s(self) -> float | None:
        """End of the range, None for the motion's."""
        return None if self.options.end is None else float(self.options.end)

    def find(self, on_frame: OnFrame, longest_s: float = math.inf) -> tuple[FoundTrack, MotionInfo]:
        """The person of the range, or of its first ``longest_s`` seconds as a render looks at them."""
        keypoints = Path(self.options.keypoints) if self.options.keypoints else None
        motion, kind = Path(self.options.motion), self.options.motion_kind
        part = trim(self.options)
        end_s = min(math.inf if part.end_s is None else part.end_s, part.start_s + longest_s)
        part = Trim(part.start_s, end_s if end_s < math.inf else None)
        return find_person(
            motion, keypoints, kind, part, self.fitting, lambda: None, on_frame, longest_s < math.inf
        )

    def prepare(
        self,
        found: FoundTrack,
        times: list[float],
        exact: bool = False,
        required: bool = True,
        align_times: list[float] | None = None,
    ) -> Prepared:
        """The poses at these times on the reference's canvas; its pose is looked for even if it is unused."""
        settings = self.fitting.settings
        looking = replace(self.fitting, settings=replace(settings, align="on"))
        target = looking.target(self.canvas_hw, required)
        return prepare(found, times, target, settings, self.fitting.edits, exact, align_times)

    def as_rendered(self, kind: MotionKind) -> _Job:
        """With the settings that a render takes for this kind of motion."""
        return replace(self, fitting=replace(self.fitting, settings=self.fitting.settings_for(kind)))


def _open(options: argparse.Namespace, settings: PoseSettings) -> _Job:
    picture = load_reference(Path(options.reference))
    fitting = Fitting(
        finder=pose_finder(settings.engine, gpu=True),
        reference=Path(options.reference),
        picture=picture,
        keypoints=Path(options.reference_keypoints) if options.reference_keypoints else None,
        settings=settings,
        edits=pose_edits(options),
        fill=not getattr(options, "exact", False),
    )
    return _Job(options, fitting, picture, drawing_size(picture.shape[1], picture.shape[0]))


def _settings(options: argparse.Namespace) -> PoseSettings:
    """What was asked for; fitted also where the motion says that it fits already (to another reference)."""
    settings = pose_settings(options)
    if options.exact:
        settings = replace(settings, smoothing=0.0, bridge=False)
    return replace(settings, align="on")


def _data(ready: Prepared, fps: float, canvas_hw: tuple[int, int]) -> dict[str, Any]:
    return {
        "frames": len(ready.poses),
        "fps": fps,
        "width": canvas_hw[1],
        "height": canvas_hw[0],
        "align_frame_s": ready.align_frame_s,
        "scales": _finite(ready.fit.scales.values()) if ready.fit else None,
        "bridge_frames": ready.bridged,
        "check": ready.report.to_json(),
        "notes": list(ready.notes),
    }


def _finite(scales: dict[str, float]) -> dict[str, float | None]:
    """JSON has no infinity, which upstream's scales may be."""
    return {name: value if math.isfinite(value) else None for name, value in scales.items()}


def _lines(ready: Prepared) -> list[str]:
    if ready.fit is None:
        return []
    scales = ", ".join(f"{name} {value:.2f}" for name, value in ready.fit.scales.values().items())
    return [f"Measured at {ready.align_frame_s:.2f} s: {scales}."]


def _overlay(job: _Job, ready: Prepared) -> Pictures:
    """The reference, dimmed, with its own skeleton in white and the motion's first one in colours."""
    height, width = job.canvas_hw
    shown = cv2.resize(job.picture, (width, height), interpolation=cv2.INTER_AREA)
    shown = (shown * _DIM).astype(np.uint8)
    first = next((pose for pose in ready.poses if pose is not None), None)
    if ready.reference is not None:
        shown[draw(ready.reference, height, width).any(axis=-1)] = _WHITE
    if first is not None:
        drawn = draw(first, height, width)
        shown = np.where(drawn.any(axis=-1, keepdims=True), drawn, shown)
    return np.asarray(shown, np.uint8)


def _check_png(path: Path) -> None:
    if path.suffix.lower() != ".png":
        raise BadSetting(
            "The picture of a check is a PNG.",
            value=path.name,
            limit="*.png",
            action="Let it end in .png.",
        )


def _save_png(picture: Pictures, path: Path) -> None:
    with written_beside(path) as beside:
        Image.fromarray(picture).save(beside, format="PNG")
