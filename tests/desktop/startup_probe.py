"""How long the window takes until it is usable: ``python tests/desktop/startup_probe.py``.

Makes a home with 1,000 queued jobs, a library with thumbnails and a last project, then starts the app
there again and again, each time in a new process, and prints the milliseconds from the start of the
process to the answer to an event after the first paint with all of it. With ``--cold`` the system is
asked before each start to drop what it keeps of the files that the app reads: its own, Python's and its
packages'.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from core.catalogue.demo import demo_characters, demo_motions
from core.jobs.queue.queue import Queue
from core.types import MediaInput, Output, RenderRequest

JOBS: Final = 1000
STARTS: Final = 5
ROOT: Final = Path(__file__).resolve().parents[2]


def main() -> int:
    """Prints a line for each start, and their median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cold", action="store_true", help="drop file caches before each start")
    parser.add_argument("--starts", type=int, default=STARTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["PIROUETTE_HOME"] = home
        fill_queue()
        start()  # makes the project, the thumbnails and Python's compiled files
        times_ms = []
        for _ in range(options.starts):
            if options.cold:
                drop_caches()
            times_ms.append(start())
            print(f"{times_ms[-1]} ms", flush=True)
    kind = "cold" if options.cold else "warm"
    print(f"median of {len(times_ms)} {kind} starts with {JOBS} jobs: {statistics.median(times_ms):.0f} ms")
    return 0


def fill_queue() -> None:
    """Jobs that wait; none is ever rendered here."""
    characters, motions = demo_characters(), demo_motions()
    with Queue() as queue:
        queue.add(
            [
                RenderRequest(
                    MediaInput(str(characters[number % len(characters)])),
                    MediaInput(str(motions[number % len(motions)])),
                    Output(str(Path(os.environ["PIROUETTE_HOME"]) / f"{number}.mp4")),
                    seed=number,
                )
                for number in range(JOBS)
            ]
        )


def start() -> int:
    """Milliseconds, as the app itself says them."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment.setdefault("QT_QPA_PLATFORM", "offscreen")
    command = [sys.executable, "-m", "desktop.main", "--measure-startup"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


def drop_caches() -> None:
    """Ask for each file that a start may read to be forgotten."""
    os.sync()
    for folder in (ROOT / "desktop", ROOT / "core", ROOT / "resources", *map(Path, sys.path)):
        for path in _files(folder):
            handle = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(handle)


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        for parent, _, names in os.walk(folder):
            yield from (Path(parent) / name for name in names if not (Path(parent) / name).is_symlink())


if __name__ == "__main__":
    sys.exit(main())
