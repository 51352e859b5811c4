"""How much memory finding people in a clip takes, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from core.catalogue.pose_models import offline_models
from core.errors import BadCheckpoint
from core.pose.extract.packed import MOST_PEOPLE, JoinedFrames, pack
from core.pose.extract.pick import candidates
from core.pose.extract.tracking import follow
from tests.core.media.media_samples import make_clip
from tests.core.pose.extract.blobs import blob_frames
from tests.core.pose.extract.crowds import CrowdEngine, strolling

MEGABYTE = 10**6
CYCLE = 40
# All that `pirouette pose extract` does. A short range warms everything up; "5" resets the peak. Prints the
# memory before, the peak, and the frames with somebody in them.
MEASURE = """
import json, sys
from pathlib import Path
from core.cache import Cache
from core.pose.finder import PoseFinder, untold
from core.pose.save import save_track
from core.pose.smooth import smooth
from core.pose.sources import from_clip, whole
from core.types import Trim
{engine}
finder = PoseFinder(lambda: engine, Cache(Path(sys.argv[2])))
def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) * 1024
def work(trim):
    found = from_clip(Path(sys.argv[1]), trim, None, finder, lambda: None, untold)
    save_track(smooth(whole(found), 0.25), Path(sys.argv[2]) / "found.json")
    return int((found.track.scores > 0).any(axis=(1, 2)).sum())
work(Trim(0, 1))
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
frames = work(Trim())
print(json.dumps([before, status("VmHWM"), frames]))
"""
BLOBS = """
from tests.core.pose.extract.blobs import BlobEngine
engine = BlobEngine()
engine.notes = ()
"""
CROWD = """
from tests.core.pose.extract.crowds import CrowdEngine
engine = CrowdEngine()
"""
OFFLINE = """
from core.catalogue.pose_models import offline_models
from core.pose.extract.models import open_engine
engine = open_engine(offline_models())
"""
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")


def walking(path: Path, frames: int, width: int, height: int, fps: int) -> Path:
    """A clip of two squares that walk to and fro."""
    there = blob_frames(CYCLE, width, height, people=2)
    cycle = [*there, *there[-2:0:-1]]
    return make_clip(path, [cycle[number % len(cycle)] for number in range(frames)], fps=fps)


def memory(clip: Path, cache: Path, engine: str) -> tuple[int, int, int]:
    """Bytes in use before, at the peak, and frames with somebody in them."""
    command = [sys.executable, "-c", MEASURE.format(engine=engine), str(clip), str(cache)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    before, peak, frames = json.loads(done.stdout)
    return before, peak, frames


def tell(what: str, frames: int, seconds: float, before: int, peak: int) -> None:
    print(
        f"\n{what}: {frames} frames in {seconds:.0f} s, peak {peak / MEGABYTE:.0f} MB, "
        f"{(peak - before) / MEGABYTE:.0f} MB above what the program takes"
    )


@needs_proc
def test_memory_does_not_follow_the_pictures(tmp_path: Path) -> None:
    clip = walking(tmp_path / "clip.mp4", 130, 480, 360, 30)
    before, peak, frames = memory(clip, tmp_path / "cache", BLOBS)
    assert frames == 130
    assert peak - before < 40 * MEGABYTE  # the pictures take 67 MB


@needs_proc
@pytest.mark.faults
def test_ten_minutes_take_little_more_memory_than_one(tmp_path: Path) -> None:
    growth = []
    for minutes in (1, 10):
        clip = walking(tmp_path / f"{minutes}.mp4", minutes * 60 * 30, 160, 120, 30)
        start = time.monotonic()
        before, peak, frames = memory(clip, tmp_path / f"cache-{minutes}", BLOBS)
        tell(f"people of {minutes} min of coloured squares", frames, time.monotonic() - start, before, peak)
        assert frames == minutes * 60 * 30
        assert peak < 600 * MEGABYTE
        growth.append(peak - before)
    # Keypoints alone: two people in 16,200 more frames are 53 MB, and the track of one of them 52 MB more.
    assert growth[1] - growth[0] < 350 * MEGABYTE


@needs_proc
@pytest.mark.faults
def test_ten_minutes_of_a_crowd_stay_within_memory(tmp_path: Path) -> None:
    clip = walking(tmp_path / "clip.mp4", 18000, 64, 48, 30)
    start = time.monotonic()
    before, peak, frames = memory(clip, tmp_path / "cache", CROWD)
    tell("ten minutes of eight people", frames, time.monotonic() - start, before, peak)
    assert frames == 18000
    assert peak < 600 * MEGABYTE


@needs_proc
@pytest.mark.faults
def test_fifteen_minutes_through_the_offline_engine_stay_within_its_memory(tmp_path: Path) -> None:
    try:
        offline_models()
    except (BadCheckpoint, FileNotFoundError):
        pytest.skip("the offline networks are not in this checkout")
    cycle = list(strolling("Emre", 320, 240))
    clip = make_clip(tmp_path / "clip.mp4", [cycle[n % len(cycle)] for n in range(900)], fps=1)
    start = time.monotonic()
    before, peak, frames = memory(clip, tmp_path / "cache", OFFLINE)
    tell(
        "fifteen minutes of a dancer through the offline engine",
        frames,
        time.monotonic() - start,
        before,
        peak,
    )
    assert frames > 0.99 * 900
    assert peak < 600 * MEGABYTE
    assert peak - before < 80 * MEGABYTE


def test_people_are_held_once() -> None:
    packed = [pack([CrowdEngine().people(np.zeros((4, 4, 3), np.uint8))] * 64) for _ in range(3)]
    held_bytes = sum(len(part.to_bytes()) for part in packed)
    candidates(follow(packed[0][:3], 30.0), 3, 30.0)  # imports what it needs
    tracemalloc.start()
    try:
        frames = JoinedFrames(packed)
        _, ordered = candidates(follow(frames, 30.0), len(frames), 30.0)
        assert len(ordered) == MOST_PEOPLE
        assert tracemalloc.get_traced_memory()[1] < 0.5 * held_bytes
    finally:
        tracemalloc.stop()
