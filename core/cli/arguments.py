"""The command line of ``pirouette``. A mistake raises ``BadSetting`` instead of ending the process."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from core.cli import bench, commands, models, plan, pose, queue, request_options
from core.cli.hardware import hardware
from core.cli.parser import Parser
from core.settings import app_version


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Options with ``run``, the function of the command.

    Raises:
        BadSetting: unknown commands, options or values.
    """
    return build_parser().parse_args(argv)


@cache
def build_parser() -> Parser:
    """All commands and their options."""
    parser = Parser(
        prog="pirouette", description="Animate a picture of a person with the motion of a dance video."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {app_version()}")
    verbs = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_render(verbs.add_parser("render", help="render a video", allow_abbrev=False))
    _add_demo(verbs.add_parser("demo", help="render a shipped character with a shipped motion"))
    _add_golden(verbs.add_parser("check-golden", help="compare with tensors of the reference implementation"))
    _add_evaluate(verbs.add_parser("evaluate", help="measure a model's quality"))
    _add_hardware(verbs.add_parser("hardware", help="show what this machine has"))
    queue.add_parser(verbs)
    plan.add_parser(verbs)
    models.add_parser(verbs)
    pose.add_parser(verbs)
    bench.add_parser(verbs)
    return parser


def _add_render(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=commands.render)
    request_options.add_files(parser)
    parser.add_argument("-o", "--output", required=True, metavar="OUT.mp4", help="the video to write")
    request_options.add_request(parser)
    _add_json(parser)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=commands.demo)
    parser.add_argument("--character", metavar="NAME", help="a shipped character (default: the first)")
    parser.add_argument("--motion", metavar="NAME", help="a shipped motion (default: the first)")
    parser.add_argument(
        "-o", "--output", metavar="OUT.mp4", help="the video to write (default: results folder)"
    )
    request_options.add_model(parser, default_model="mini")
    _add_json(parser)


def _add_golden(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=commands.check_golden)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="golden file (safetensors)")
    _add_json(parser)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=commands.evaluate)
    parser.add_argument("model", choices=["mini"])
    parser.add_argument("--synthetic", action="store_true", help="only our own motions; needs no download")
    parser.add_argument("--suite", type=int, choices=[1, 2, 3], help="default: 1 or 2, by the model's size")
    parser.add_argument("--clips", type=int, metavar="N", help="number of clips (default: the whole suite)")
    parser.add_argument("--steps", type=int, metavar="N", help="sampling steps (default: the suite's)")
    parser.add_argument("--guidance", action="store_true", help="one more row with condition guidance")
    parser.add_argument(
        "--motion-source", type=Path, metavar="WHEEL", help="pybullet wheel with held-out motions"
    )
    parser.add_argument("--download", action="store_true", help="fetch that wheel when it is missing")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where results and contact sheets go")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda:UUID")
    _add_json(parser)


def _add_hardware(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=hardware)
    parser.add_argument(
        "--kernels",
        action="store_true",
        help="try what Pirouette's own kernels need, and say what is missing",
    )
    _add_json(parser)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
