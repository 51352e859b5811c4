"""Loading is as fast as the disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.engine.loading.speed import Speed, main, measure

LEAST_RATIO = 0.7
ROUNDS = 5
needs_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="the page cache can be dropped on Linux only"
)


def write(path: Path, tensors: int, megabytes: int) -> None:
    values = torch.arange(megabytes << 18, dtype=torch.int32).view(torch.bfloat16)
    save_file({f"blocks.{n}.weight": values.view(1024, -1) + 0 for n in range(tensors)}, path)


def test_ratio_and_words() -> None:
    speed = Speed(2_000_000_000, cat_s=1.0, load_s=1.25)
    assert speed.ratio == 0.8
    assert speed.sentence() == "2.00 GB: cat 2.00 GB/s, loading 1.60 GB/s, ratio 0.80"


@needs_linux
def test_all_bytes_are_read_and_the_figures_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "dancer.safetensors"
    write(path, 3, 2)
    speed = measure(path, rounds=1)
    assert speed.size_bytes == path.stat().st_size
    assert speed.load_s > 0
    assert main([str(path)]) == 0
    assert "ratio" in capsys.readouterr().out


def test_what_is_no_weight_file_ends_with_a_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([]) == 2
    assert main([str(tmp_path / "nothing.safetensors")]) == 2
    assert "nothing.safetensors" in capsys.readouterr().err


@needs_linux
@pytest.mark.faults
def test_loading_a_cold_file_of_2_gb_keeps_up_with_cat(tmp_path: Path) -> None:
    path = tmp_path / "dancer.safetensors"
    write(path, 16, 128)
    try:
        speed = measure(path, ROUNDS)
    finally:
        path.unlink()
    print(speed.sentence())
    assert speed.ratio >= LEAST_RATIO


# Peak memory of a process that loads a file of 128 MB into another dtype.
CHILD = """
import resource, sys, torch
from pathlib import Path
from core.engine.loading.header import open_checkpoint
torch.set_num_threads(1)
checkpoint = open_checkpoint(Path(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with checkpoint.reader() as read:
    kept = [read.to(name, torch.device("cpu"), torch.float16) for name in checkpoint.entries]
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * 1024, sum(tensor.nbytes for tensor in kept))
"""


@needs_linux
def test_weights_never_stand_in_memory_twice(tmp_path: Path) -> None:
    path = tmp_path / "dancer.safetensors"
    write(path, 4, 32)
    told = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    grown_bytes, kept_bytes = map(int, told.stdout.split())
    assert kept_bytes == 128 << 20
    assert grown_bytes < kept_bytes + (80 << 20)
