"""The command line of the window."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


class _Version(argparse.Action):
    """Looks the version up when it is asked for: that takes longer than all other options."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from core.settings import app_version

        parser.exit(0, f"pirouette-desktop {app_version()}\n")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Options of ``pirouette-desktop``; unknown ones end the process with code 2."""
    parser = argparse.ArgumentParser(
        prog="pirouette-desktop", description="Animate a photo of a person with the motion of a dance video."
    )
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="pictures, motions, a result, a project or a queue file",
    )
    parser.add_argument(
        "--measure-startup",
        action="store_true",
        help="print the milliseconds from the start of the process to a usable window, and quit",
    )
    parser.add_argument(
        "--demo-and-quit",
        action="store_true",
        help="render a shipped character with a shipped motion through the window, play it, and quit",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    return parser.parse_args(arguments)
