"""How much memory a conversion takes, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from core.engine.convert.layouts import TARGETS
from core.engine.convert.writer import Slot, safetensors_file

GIGABYTE = 10**9
# Peak of resident memory while converting, above what the imported program takes. "5" resets the peak.
MEASURE = """
import json, sys
from pathlib import Path
from core.engine.convert.convert import convert
def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) * 1024
convert(Path(sys.argv[4]), Path(sys.argv[2]), sys.argv[3], None)
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
convert(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], None)
print(json.dumps(status("VmHWM") - before))
"""


def synthetic(path: Path, count: int, outputs: int, inputs: int) -> int:
    """A checkpoint of ``count`` float32 linear layers; returns the bytes of one."""
    slots = [Slot(f"blocks.{n}.ffn.0.weight", torch.float32, (outputs, inputs)) for n in range(count)]
    values = torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(0))
    with safetensors_file(path, slots, {}) as writer:
        for number, slot in enumerate(slots):
            writer.write(slot.name, values.roll(number, 0))
    return slots[0].size_bytes


def peak_bytes(folder: Path, to: str) -> int:
    """Peak growth while converting ``big`` in the folder."""
    synthetic(folder / "small.safetensors", 1, 128, 128)
    paths = [folder / "big.safetensors", folder / "out.safetensors", to, folder / "small.safetensors"]
    command = [sys.executable, "-c", MEASURE, *map(str, paths)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(json.loads(done.stdout))


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_memory_follows_the_largest_tensor_not_the_file(tmp_path: Path) -> None:
    largest_bytes = synthetic(tmp_path / "big.safetensors", 16, 2048, 2048)
    peak = peak_bytes(tmp_path, "fp8")
    assert peak < 5 * largest_bytes  # a third of the file
    assert peak > largest_bytes // 2  # the measure works


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_four_gigabytes_convert_in_bounded_memory(tmp_path: Path) -> None:
    largest_bytes = synthetic(tmp_path / "big.safetensors", 15, 13824, 5120)
    size_bytes = (tmp_path / "big.safetensors").stat().st_size
    for to in TARGETS:
        start = time.monotonic()
        peak = peak_bytes(tmp_path, to)
        seconds = time.monotonic() - start
        print(
            f"\nconvert to {to}: {size_bytes / GIGABYTE:.2f} GB in {seconds:.0f} s, "
            f"peak {peak / GIGABYTE:.2f} GB (largest tensor {largest_bytes / GIGABYTE:.2f} GB)"
        )
        assert peak < largest_bytes + 1.5 * GIGABYTE
        (tmp_path / "out.safetensors").unlink()
