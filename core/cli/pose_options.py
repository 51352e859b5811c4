"""Options about the pose, shared by ``render`` and the verbs of ``pose``."""

from __future__ import annotations

import argparse
import math
from typing import get_args

from core.errors import BadSetting
from core.pose.edit import parse_edit
from core.pose.prepare import check_settings
from core.types import Alignment, PoseEdit, PoseEngineName, PoseSettings, Trim

_DEFAULTS = PoseSettings()


def add_range(parser: argparse.ArgumentParser) -> None:
    """``--start`` and ``--end``."""
    parser.add_argument(
        "--start", type=float, default=0.0, metavar="S", help="start in the motion, in seconds"
    )
    parser.add_argument("--end", type=float, metavar="S", help="end in the motion, in seconds")


def add_finding(
    parser: argparse.ArgumentParser, engine_flag: str, smoothing: float = _DEFAULTS.smoothing
) -> None:
    """What finds the people, whom to take, and how much to smooth."""
    parser.add_argument(
        engine_flag,
        dest="pose_engine",
        default=_DEFAULTS.engine,
        choices=get_args(PoseEngineName),
        help="what finds the joints (default: DWPose where it is installed, else the offline engine)",
    )
    parser.add_argument(
        "--person",
        type=int,
        metavar="N",
        help="whom to take, as `pirouette pose extract --people` numbers those of the range (default: 0)",
    )
    parser.add_argument(
        "--smoothing",
        type=float,
        default=smoothing,
        metavar="S",
        help=f"over time, 0 (off) to 1 (default: {smoothing})",
    )


def add_fitting(parser: argparse.ArgumentParser, bridge: bool = True) -> None:
    """How a motion is fitted to the person in the reference; ``bridge``: and led over to from its pose."""
    parser.add_argument(
        "--align-frame",
        default="auto",
        metavar="S",
        help="time of the frame that the proportions are measured on, or auto (the closest pose)",
    )
    if bridge:
        parser.add_argument(
            "--no-bridge", action="store_true", help="do not ease from the reference's pose into a far start"
        )
    parser.add_argument(
        "--pose-edit",
        action="append",
        default=[],
        metavar="EDIT",
        help="such as offset:x=0.1,y=-0.02, mirror or drop:left_hand; may be given again",
    )
    parser.add_argument(
        "--reference-person",
        type=int,
        metavar="N",
        help="whom to fit to where the reference shows several, the tallest first (default: 0)",
    )
    parser.add_argument(
        "--reference-keypoints",
        metavar="FILE",
        help="joints of the person in the reference (default: its sidecar, else found)",
    )


def add_align(parser: argparse.ArgumentParser) -> None:
    """``--align`` of a render."""
    parser.add_argument(
        "--align",
        default=_DEFAULTS.align,
        choices=get_args(Alignment),
        help="fit the motion to the reference (default: unless it is a skeleton video or fits already)",
    )


def pose_settings(options: argparse.Namespace) -> PoseSettings:
    """The settings of a command; groups of options that it lacks keep their defaults.

    Raises:
        BadSetting: a time, a strength or a number that is none.
    """
    settings = PoseSettings(
        engine=options.pose_engine,
        align=getattr(options, "align", _DEFAULTS.align),
        align_frame_s=align_frame(getattr(options, "align_frame", "auto")),
        smoothing=options.smoothing,
        bridge=not getattr(options, "no_bridge", not _DEFAULTS.bridge),
        person=options.person,
        reference_person=getattr(options, "reference_person", None),
    )
    check_settings(settings)
    return settings


def pose_edits(options: argparse.Namespace) -> tuple[PoseEdit, ...]:
    """The edits in the order given; raises ``BadSetting`` as ``parse_edit``."""
    return tuple(parse_edit(text) for text in options.pose_edit)


def trim(options: argparse.Namespace) -> Trim:
    """The selected range.

    Raises:
        BadSetting: a time that is not finite.
    """
    for name in ("start", "end"):
        value = getattr(options, name)
        if value is not None and not math.isfinite(value):
            raise _no_time(f"--{name}", str(value))
    return Trim(options.start, options.end)


def align_frame(text: str) -> float | None:
    """Seconds; None for ``auto``.

    Raises:
        BadSetting: anything else.
    """
    if text.strip().lower() == "auto":
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise _no_time("--align-frame", text)
    return seconds


def _no_time(flag: str, text: str) -> BadSetting:
    return BadSetting(
        f"{flag} {text} is no time in the motion.",
        value=text,
        limit="seconds from 0 on" + (", or auto" if flag == "--align-frame" else ""),
        action=f"Write it like {flag} 1.5.",
    )
