"""How fast a weight file loads from a cold disk: ``python -m core.engine.loading.speed FILE``.

Every byte is copied into the buffer from which a GPU takes it. The page cache is dropped before each reading
(on Linux, for this file), so the figures are the disk's as long as nothing else uses it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from core.engine.loading.header import open_checkpoint, weight_files
from core.errors import BadSetting, PirouetteError

ROUNDS = 3


@dataclass(frozen=True)
class Speed:
    """Bytes and the shortest of several times in seconds."""

    size_bytes: int
    cat_s: float
    load_s: float

    @property
    def ratio(self) -> float:
        """Loading's speed over that of ``cat``."""
        return self.cat_s / self.load_s

    def sentence(self) -> str:
        """For people."""
        gigabytes = self.size_bytes / 1e9
        return (
            f"{gigabytes:.2f} GB: cat {gigabytes / self.cat_s:.2f} GB/s, loading "
            f"{gigabytes / self.load_s:.2f} GB/s, ratio {self.ratio:.2f}"
        )


def measure(path: Path, rounds: int = ROUNDS) -> Speed:
    """Read the file by ``cat`` and by our loader in turn, each from a cold cache.

    Raises:
        BadCheckpoint: no readable weight file.
        BadSetting: a system whose page cache cannot be dropped.
    """
    open_checkpoint(path)
    files = weight_files(path)
    times = [(_cold(files, lambda: _cat(files)), _cold(files, lambda: _load(path))) for _ in range(rounds)]
    return Speed(
        sum(file.stat().st_size for file in files),
        min(cat for cat, _ in times),
        min(load for _, load in times),
    )


def _cold(files: list[Path], read: Callable[[], None]) -> float:
    """Seconds that ``read`` takes with nothing of these files in the page cache."""
    if not hasattr(os, "posix_fadvise"):
        raise BadSetting("The page cache can be dropped on Linux only.", value=sys.platform, limit="linux")
    for file in files:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    began = time.perf_counter()
    read()
    return time.perf_counter() - began


def _cat(files: list[Path]) -> None:
    subprocess.run(["cat", *map(str, files)], stdout=subprocess.DEVNULL, check=True)


def _load(path: Path) -> None:
    checkpoint = open_checkpoint(path)
    with checkpoint.reader() as read:
        for name in sorted(checkpoint.entries, key=lambda name: checkpoint.entries[name].start):
            for _chunk in read.chunks(name, torch.device("cpu")):
                pass


def main(arguments: list[str]) -> int:
    """The command; returns the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m core.engine.loading.speed FILE\n")
        return BadSetting.exit_code
    try:
        sys.stdout.write(measure(Path(arguments[0])).sentence() + "\n")
    except PirouetteError as error:
        sys.stderr.write(error.sentence() + "\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
