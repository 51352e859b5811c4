"""What a person sees of work on model files: tables, and progress as one line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Final, TextIO

from core.catalogue.store.copying import gigabytes
from core.catalogue.store.progress import StoreProgress

_WIDTH: Final = 24
_NAMES: Final = {"download": "downloading", "verify": "checking", "copy": "copying", "convert": "converting"}
_TENTHS: Final = 10
_EVERY_S: Final = 60.0


class FilesLine:
    """Progress: on a terminal one line rewritten in place, elsewhere a line a tenth of all, or a minute.

    Args:
        stream: where to print.
        clock: seconds.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._drawn = False
        self._clock = clock
        # Files that come at the same time take turns here, so their names are not looked at.
        self._told: set[tuple[str, int]] = set()
        self._told_at = clock()

    def show(self, progress: StoreProgress) -> None:
        """Print what is worth printing."""
        if self._terminal:
            print(f"\r{line(progress)}\x1b[K", end="", file=self._stream, flush=True)
            self._drawn = True
            return
        tenth = _TENTHS * progress.bytes_done // progress.bytes_total if progress.bytes_total else 0
        told = (progress.phase, tenth)
        if told not in self._told or self._clock() - self._told_at >= _EVERY_S:
            print(line(progress), file=self._stream, flush=True)
            self._told_at = self._clock()
        self._told.add(told)

    def close(self) -> None:
        """End the line that is being rewritten."""
        if self._drawn:
            print(file=self._stream)
            self._drawn = False


def line(progress: StoreProgress) -> str:
    """All in one line; the file's name last, because it is cut where the line ends."""
    share = min(1.0, progress.bytes_done / progress.bytes_total) if progress.bytes_total else 0.0
    filled = int(_WIDTH * share)
    bar = f"[{'#' * filled}{'.' * (_WIDTH - filled)}]"
    amount = f"{gigabytes(progress.bytes_done)} of {gigabytes(progress.bytes_total)}"
    speed = f", {gigabytes(progress.bytes_per_s)}/s" if progress.bytes_per_s else ""
    left = f", {duration(progress.eta_s)} left" if progress.eta_s is not None else ""
    return f"{_NAMES[progress.phase]} {bar} {amount}{speed}{left}  {progress.file}"


def duration(seconds: float) -> str:
    """Minutes where they say enough."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def files(count: int) -> str:
    """``1 file``, ``2 files``."""
    return f"{count} file{'' if count == 1 else 's'}"


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Columns as wide as their widest cell; those in ``right`` end in one line."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(widths[column]) if column in right else cell.ljust(widths[column])
            for column, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]
