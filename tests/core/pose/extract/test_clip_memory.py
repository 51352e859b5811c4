"""How much memory finding people in a clip takes, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.catalogue.pose_models import offline_models
from core.errors import BadCheckpoint
from tests.core.media.media_samples import make_clip
from tests.core.pose.extract.blobs import blob_frames

MEGABYTE = 10**6
CYCLE = 56
# A short clip warms everything up; "5" resets the peak. Prints the memory before, the peak and the frames.
MEASURE = """
import json, sys
from pathlib import Path
from core.cache import Cache
from core.pose.extract.clip import extract_clip
from core.pose.extract.pick import as_track, candidates, pick
from core.pose.extract.tracking import follow
from core.types import Trim
{engine}
def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) * 1024
def work(clip, trim):
    found = extract_clip(Path(clip), engine, trim, Cache(Path(sys.argv[2])))
    identities = follow(found.frames, found.fps, found.width / found.height)
    _, ordered = candidates(identities, len(found.frames), found.fps)
    if ordered:
        as_track(pick(ordered, None), len(found.frames), found.width, found.height, found.fps)
    return len(found.frames)
work(sys.argv[1], Trim(0, 1))
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
frames = work(sys.argv[1], Trim())
print(json.dumps([before, status("VmHWM"), frames]))
"""
BLOBS = """
from tests.core.pose.extract.blobs import BlobEngine
engine = BlobEngine()
"""
OFFLINE = """
from core.catalogue.pose_models import offline_models
from core.pose.extract.models import open_engine
engine = open_engine(offline_models())
"""
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")


def walking(path: Path, frames: int, width: int, height: int, fps: int) -> Path:
    """A clip of two squares that walk round and round."""
    cycle = blob_frames(CYCLE, width, height, people=2, stride=4)
    return make_clip(path, [cycle[number % CYCLE] for number in range(frames)], fps=fps)


def memory(clip: Path, cache: Path, engine: str) -> tuple[int, int, int]:
    """Bytes in use before, at the peak, and frames worked on."""
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
    clip = walking(tmp_path / "clip.mp4", 200, 480, 360, 30)
    before, peak, frames = memory(clip, tmp_path / "cache", BLOBS)
    assert frames == 200
    assert peak - before < 40 * MEGABYTE  # the pictures take 104 MB


@needs_proc
@pytest.mark.faults
def test_ten_minutes_take_little_more_memory_than_one(tmp_path: Path) -> None:
    growth = []
    for minutes in (1, 10):
        clip = walking(tmp_path / f"{minutes}.mp4", minutes * 60 * 30, 320, 240, 30)
        start = time.monotonic()
        before, peak, frames = memory(clip, tmp_path / f"cache-{minutes}", BLOBS)
        tell(f"people of {minutes} min of coloured squares", frames, time.monotonic() - start, before, peak)
        assert frames == minutes * 60 * 30
        assert peak < 600 * MEGABYTE
        growth.append(peak - before)
    # Keypoints alone: two people in 16,200 more frames are 53 MB, again as identities, twice while joined.
    assert growth[1] - growth[0] < 200 * MEGABYTE


@needs_proc
@pytest.mark.faults
def test_ten_minutes_through_the_offline_engine_stay_within_its_memory(tmp_path: Path) -> None:
    try:
        offline_models()
    except (BadCheckpoint, FileNotFoundError):
        pytest.skip("the offline networks are not in this checkout")
    # There is nobody in these pictures, so it is the detector that runs, on each of them.
    clip = walking(tmp_path / "clip.mp4", 3600, 320, 240, 6)
    start = time.monotonic()
    before, peak, frames = memory(clip, tmp_path / "cache", OFFLINE)
    tell("ten minutes through the offline engine", frames, time.monotonic() - start, before, peak)
    assert frames == 3600
    assert peak < 600 * MEGABYTE
    assert peak - before < 200 * MEGABYTE
