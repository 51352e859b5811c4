"""What the training commands share: their options, their log lines and their exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from core.errors import BadSetting, PirouetteError
from core.training.clock import Ending
from core.training.motion import Bank, load_bank


def log(text: str) -> None:
    """One line on standard error."""
    print(text, file=sys.stderr, flush=True)


def run(work: Callable[[], object]) -> int:
    """The exit code of ``work``; an error of ours becomes one line instead of a traceback."""
    try:
        work()
    except PirouetteError as error:
        log(error.sentence())
        return error.exit_code
    return 0


def training_parser(about: str | None, seconds: float) -> argparse.ArgumentParser:
    """Options of a training command whose whole run takes ``seconds`` unless told otherwise."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument(
        "--motion-source", type=Path, help="pybullet 3.2.7 wheel; without it only generated motion"
    )
    parser.add_argument("--seconds", type=_positive, default=seconds, help="length of the whole run")
    parser.add_argument(
        "--piece-seconds", type=_positive, default=float("inf"), help="stop this piece after so long"
    )
    ends = parser.add_mutually_exclusive_group()
    ends.add_argument(
        "--open", action="store_true", help="other pieces will follow: the learning rate stays as it is"
    )
    ends.add_argument(
        "--last", action="store_true", help="the learning rate falls to 0 over this piece, which ends the run"
    )
    parser.add_argument("--device", type=_device, default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--workers", type=_count, default=0, help="processes that prepare clips beside this one"
    )
    return parser


def ending(options: argparse.Namespace) -> Ending:
    """When the learning rate falls.

    Raises:
        BadSetting: a piece that is open or last has no end.
    """
    if not (options.open or options.last):
        return "run"
    if options.piece_seconds == float("inf"):
        raise BadSetting(
            "A piece that does not end with the run needs an end of its own.",
            value="no --piece-seconds",
            action="Give --piece-seconds.",
        )
    return "open" if options.open else "piece"


def training_motion(source: Path | None) -> Bank | None:
    """The recorded motions that may be trained on; None where no source is given.

    Raises:
        BadInput: the source is missing, damaged or holds no motion.
    """
    return None if source is None else load_bank(source).only(held_out=False)


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of seconds")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of processes")
    return value


def _device(text: str) -> torch.device:
    try:
        return torch.device(text)
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"{text} is not a device") from error
