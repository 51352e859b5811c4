"""What a person sees of work on poses, and where its results may go."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from core.cli.console import bar
from core.cli.models_console import table
from core.cli.signals import terminated_like_ctrl_c
from core.errors import BadSetting
from core.media.disk import check_output
from core.pose.align import PoseReport
from core.pose.extract.pick import Candidate
from core.types import Progress

_TENTHS = 10


class FramesLine:
    """Frames done: on a terminal one line rewritten in place, elsewhere a line a tenth of all.

    Args:
        title: what is being done.
        stream: where to print.
    """

    def __init__(self, title: str, stream: TextIO) -> None:
        self._title, self._stream = title, stream
        self._terminal = stream.isatty()
        self._tenth = -1
        self._drawn = False

    def show(self, done: int, total: int) -> None:
        """Print what is worth printing."""
        text = f"{self._title:<22} {bar(Progress('pose', done, total))}"
        if self._terminal:
            print(f"\r{text}\x1b[K", end="", file=self._stream, flush=True)
            self._drawn = True
            return
        tenth = _TENTHS * done // max(1, total)
        if tenth > self._tenth:
            print(text, file=self._stream, flush=True)
        self._tenth = max(tenth, self._tenth)

    def close(self) -> None:
        """End the line that is being rewritten."""
        if self._drawn:
            print(file=self._stream)


@contextmanager
def finding_people() -> Iterator[FramesLine]:
    """Progress on standard error; a polite kill means the same as Ctrl-C, and nothing is left behind."""
    line = FramesLine("finding people", sys.stderr)
    with terminated_like_ctrl_c():
        try:
            yield line
        finally:
            line.close()


def say(lines: Sequence[str]) -> None:
    """For people, on standard error."""
    for line in lines:
        print(line, file=sys.stderr)


def check_target(output: Path, force: bool) -> None:
    """See before the work that a result can be written and takes nobody's place.

    Raises:
        BadSetting: it is there and ``force`` is off.
        DiskError: it cannot be written.
    """
    if output.is_file() and not force:
        raise BadSetting(
            f"{output} is there already.",
            value=output,
            limit="a new name",
            action="Choose another name with -o, or replace it with --force.",
        )
    check_output(output / "x" if output.is_dir() else output)


def people_lines(people: Sequence[Candidate]) -> list[str]:
    """Whom one can choose."""
    head = ("person", "seen", "height", "centre", "from", "to")
    rows = [
        (
            str(one.number),
            f"{one.seen:.0%}",
            f"{one.height:.0%}",
            f"{one.centre[0]:.2f}, {one.centre[1]:.2f}",
            f"{one.first_s:.1f} s",
            f"{one.last_s:.1f} s",
        )
        for one in people
    ]
    return table([head, *rows], right=(0, 1, 2, 4, 5))


def report_lines(report: PoseReport) -> list[str]:
    """What to expect of a render."""
    return [
        f"Score                {report.score} of 100",
        f"Joints seen          {report.keypoints_seen:.0%}",
        f"Size of the person   {report.scale_ratio:.2f} times the dancer's",
        f"Out of the picture   {report.out_of_frame:.0%} of the frames",
        f"Gap at the start     {report.start_gap:.1%} of the height",
        *(f"Warning: {text}" for text in report.warnings),
    ]
