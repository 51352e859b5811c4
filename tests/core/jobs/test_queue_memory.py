"""A hundred renders in a row: neither the process that works the queue nor its engine grows."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from core.jobs.queue.queue import Queue
from tests.fakes.queue_scene import Scene

RENDERS = 100
# Before this one everything that is made once has been made.
SETTLED = 10
WINDOW = 10
MOST_GROWTH = 0.02


@pytest.mark.faults
@pytest.mark.usefixtures("tiny_mini")
def test_a_hundred_renders_in_a_row_take_no_more_memory(
    reference: Path, skeleton_video: Path, tmp_path: Path
) -> None:
    """Resident memory of both at the end of each render: medians after the 10th and at the 100th."""
    with Queue() as queue:
        Scene(reference, skeleton_video, tmp_path / "results").add(queue, RENDERS)
    command = (sys.executable, "-m", "core.cli", "queue", "run", "--json")
    seen: list[tuple[int, int]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as app:
        assert app.stdout is not None
        supervising = psutil.Process(app.pid)
        for line in app.stdout:
            assert json.loads(line)["state"] == "done"
            engines = supervising.children()
            seen.append((supervising.memory_info().rss, engines[0].memory_info().rss if engines else 0))
    assert (app.returncode, len(seen)) == (0, RENDERS)
    for name, values in zip(("supervising process", "engine"), zip(*seen, strict=True), strict=True):
        early = statistics.median(values[SETTLED : SETTLED + WINDOW])
        # The engine may have left when the last line is read.
        late = statistics.median([value for value in values[-WINDOW - 1 :] if value][:WINDOW])
        growth = late / early - 1
        print(f"\n{name}: {early / 2**20:.1f} MiB, after {RENDERS} {late / 2**20:.1f} MiB: {growth:+.2%}")
        assert growth < MOST_GROWTH
