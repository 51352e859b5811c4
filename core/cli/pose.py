"""``pirouette pose``: the commands and their options."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, get_args

from core.cli import pose_align, pose_draw, pose_extract
from core.cli.pose_options import add_align, add_finding, add_fitting, add_range
from core.errors import BadSetting
from core.media.disk import LARGEST_PID, check_names, part_file
from core.types import MotionKind

_OUT = "OUT.json|npz|mp4"
_INPUTS: Final = ("motion", "keypoints", "reference", "reference_keypoints")
_OUTPUTS: Final = ("output", "picture")
Run = Callable[[argparse.Namespace], int]


def add_parser(verbs: Any) -> None:
    """Add ``pose`` to the commands.

    Args:
        verbs: what ``add_subparsers`` gave.
    """
    parser = verbs.add_parser("pose", help="find, fit, draw and check skeletons")
    inner = parser.add_subparsers(dest="pose_command", required=True, metavar="COMMAND")
    _add_extract(inner)
    _add_align(inner)
    _add_draw(inner)
    _add_check(inner)


def _add_extract(verbs: Any) -> None:
    parser = _verb(verbs, "extract", "find a person's joints in a clip or a picture", pose_extract.extract)
    parser.add_argument("motion", metavar="CLIP|PICTURE", help="keypoint files and skeleton videos work, too")
    _add_output(parser, f"{_OUT} or a folder (default: beside it, as dance.mp4.pose.json)", required=False)
    parser.add_argument("--people", action="store_true", help="only list the people, and write nothing")
    add_range(parser)
    # A render smooths what it reads: twice would be too much.
    add_finding(parser, "--engine", smoothing=0.0)


def _add_align(verbs: Any) -> None:
    parser = _verb(verbs, "align", "fit a motion to the person in a picture", pose_align.align)
    _add_inputs(parser)
    _add_output(parser, f"{_OUT} or a folder; the files are marked as aligned", required=True)
    parser.add_argument(
        "--frames",
        type=int,
        metavar="N",
        help="of the render that it is for; one of them is aligned on (default: as many, up to 81)",
    )
    parser.add_argument(
        "--exact",
        action="store_true",
        help="as the reference pipeline: no guards, no smoothing, no bridge, no gaps filled; aligned on the "
        "first frame unless --align-frame names another",
    )


def _add_draw(verbs: Any) -> None:
    parser = _verb(verbs, "draw", "draw keypoints as a video of skeletons", pose_draw.draw)
    parser.add_argument("keypoints", metavar="KEYPOINTS", help="a sidecar, NPZ, OpenPose or COCO file")
    _add_output(parser, "the video to write", required=True)
    parser.add_argument("--size", metavar="WxH", help="of the video (default: the picture's shape, large)")
    parser.add_argument("--negative", type=int, metavar="SEED", help="draw the negative poses of this seed")
    parser.add_argument("--no-hands", action="store_true", help="leave the hands out")
    parser.add_argument("--person", type=int, metavar="N", help="whom to draw (default: 0)")


def _add_check(verbs: Any) -> None:
    parser = _verb(verbs, "check", "say before a render whether a motion fits a picture", pose_align.check)
    _add_inputs(parser, bridge=False)
    add_align(parser)
    parser.add_argument(
        "--frames", type=int, metavar="N", help="4n+1 up to 81 (default: as many as there are)"
    )
    parser.add_argument(
        "--picture",
        metavar="OUT.png",
        help="the reference with its skeleton and the motion's first",
    )
    _add_force(parser)


def _add_inputs(parser: argparse.ArgumentParser, bridge: bool = True) -> None:
    parser.add_argument("--reference", required=True, metavar="IMG", help="PNG, JPEG or WebP of the person")
    parser.add_argument("--motion", required=True, metavar="FILE", help="as for render")
    parser.add_argument(
        "--keypoints", metavar="FILE", help="keypoints of the clip (default: its sidecar, else found)"
    )
    kinds = get_args(MotionKind)
    parser.add_argument("--motion-kind", default="auto", choices=kinds, help="what the motion file is")
    add_range(parser)
    add_fitting(parser, bridge)
    add_finding(parser, "--engine")


def _add_output(parser: argparse.ArgumentParser, help_text: str, required: bool) -> None:
    parser.add_argument("-o", "--output", required=required, metavar="OUT", help=help_text)
    _add_force(parser)


def _add_force(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="replace a file that is there")


def _verb(verbs: Any, name: str, help_text: str, run: Run) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=help_text, description=help_text, allow_abbrev=False
    )
    parser.set_defaults(run=_with_checked_paths(run))
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    return parser


def _with_checked_paths(run: Run) -> Run:
    """The command, which begins by refusing names that cannot be files and outputs that are inputs."""

    def checked(options: argparse.Namespace) -> int:
        inputs, outputs = _paths(options, _INPUTS), _paths(options, _OUTPUTS)
        check_names([*inputs, *outputs, *(part_file(path, LARGEST_PID) for path in outputs if path.name)])
        for output in outputs:
            if any(output.exists() and path.exists() and output.samefile(path) for path in inputs):
                raise BadSetting(
                    "The output would overwrite an input.", value=output, action="Choose another output."
                )
        return run(options)

    return checked


def _paths(options: argparse.Namespace, names: tuple[str, ...]) -> list[Path]:
    """Those of these options that are given."""
    texts = [getattr(options, name, None) for name in names]
    return [Path(text) for text in texts if text is not None]
