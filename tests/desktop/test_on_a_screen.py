"""The whole app on a virtual screen, with a real mouse, keyboard and drags out of another program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.catalogue.demo import demo_characters, demo_motions
from core.catalogue.entries import MINI_DIR_VARIABLE
from core.media.probe import probe_video
from core.settings import places

SCREEN = Path(__file__).resolve().parent / "screen"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the virtual screen is an X server")


@pytest.fixture
def display(tmp_path: Path) -> Iterator[str]:
    """A screen of 1500x1000 pixels, gone with the test."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1500x1000x24", "-nolisten", "tcp"]
    with (tmp_path / "xvfb.log").open("wb") as log:
        server = subprocess.Popen(command, pass_fds=[writing], stderr=log)
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            yield f":{told.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


def live(day: str, display: str, picture: Path, motion: Path) -> list[str]:
    """Run a day in a process of its own; the lines that it said."""
    environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
    for name in (MINI_DIR_VARIABLE, "WAYLAND_DISPLAY"):
        environment.pop(name, None)
    environment["PYTHONPATH"] = os.pathsep.join([str(SCREEN.parent), environment.get("PYTHONPATH", "")])
    command = [sys.executable, str(SCREEN / "first_day.py"), display, day, str(picture), str(motion)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_first_day_and_the_next_one(display: str, tmp_path: Path) -> None:
    picture, motion = tmp_path / "my picture.png", tmp_path / "my dance.pose.json"
    shutil.copy(demo_characters()[1], picture)
    shutil.copy(demo_motions()[1], motion)
    said = live("first", display, picture, motion)
    assert "an arrow goes on by a frame" in said
    (video,) = places().results.glob("*.mp4")
    frames = probe_video(video).frame_count
    assert frames is not None
    assert frames % 4 == 1
    assert frames < 33
    again = live("second", display, picture, motion)
    width = next(int(line.split()[1]) for line in again if line.startswith("library"))
    assert width > 250
