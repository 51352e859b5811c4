"""A drag over a slow clip is smooth and leaves the window alive; the probe's figures, short and long."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from scrub_probe import Lateness, burning, drag, make_clip, opened, scrub, wait_for_copy

# What a person must see of a drag, and how late the event loop may be under load.
FEWEST_FRAMES = 25
LATEST_MS = 50.0


def test_a_drag_over_a_slow_clip_is_smooth(qtbot: QtBot, tmp_path: Path) -> None:  # noqa: ARG001
    clip = make_clip(tmp_path / "a.mp4", 250, seconds=4.0, size=(640, 360))
    with opened(clip, tmp_path / "copies") as (screen, _):
        wait_for_copy(tmp_path / "copies")
        lateness = Lateness()
        lateness.start()
        drags = [drag(screen, 1.0) for _ in range(2)]
        lateness.stop()
    best = max(min(one.forward, one.backward) for one in drags)
    print(f"{best:.1f} distinct frames/s; event loop late by {lateness.text()}")
    assert best >= FEWEST_FRAMES
    assert lateness.percentile(50) <= LATEST_MS


@pytest.mark.faults
@pytest.mark.parametrize("gop", [48, 250])
def test_a_minute_of_dragging_while_everything_is_busy(
    qtbot: QtBot,  # noqa: ARG001
    tmp_path: Path,
    gop: int,
) -> None:
    clip = make_clip(tmp_path / "a.mp4", gop)
    with opened(clip, tmp_path / "copies") as (screen, _):
        wait_for_copy(tmp_path / "copies")
        free = drag(screen, 4.0)
        with burning(2):
            _, lateness = scrub(screen, 60.0)
    print(f"GOP {gop}: {free}; under load the event loop is late by {lateness.text()}")
    assert min(free.forward, free.backward) >= FEWEST_FRAMES
    assert lateness.percentile(99) <= LATEST_MS
