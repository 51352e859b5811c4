"""What `pirouette hardware` says, for this machine and for machines that are not here."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace

import pytest

from core.cli.hardware import describe, machine_data, meaning
from core.cli.main import main
from core.codec import from_data
from core.hardware import Drive, Gpu, GpuProcess, Machine

GIB = 2**30
GPU = Gpu(
    "GPU-1",
    "Some GPU",
    (8, 9),
    24 * GIB,
    memory_free_bytes=20 * GIB,
    cores=16384,
    clock_hz=2_520_000_000,
    memory_bandwidth=1_008_000_000_000,
    pcie_generation=4,
    pcie_width=16,
    driver="580.1",
    processes=(GpuProcess(77, "blender", 3 * GIB), GpuProcess(78)),
)
BARE = Machine(8, 32 * GIB, 16 * GIB, ())
FULL = Machine(
    8, 32 * GIB, 16 * GIB, (GPU,), 0, "A processor", 4, (Drive("/", 9 * GIB, 5 * GIB, ("models",)),), "An OS"
)
TOLD = """\
System:     An OS
Processor:  A processor, 4 cores, 8 usable threads
Memory:     32.0 GiB, 16.0 GiB available
Page file:  none
GPU:        Some GPU
            24.0 GiB, 20.0 GiB free
            compute capability 8.9, 16,384 cores at 2.52 GHz, 1,008 GB/s, PCIe 4 x16, driver 580.1
            in use by blender (77): 3.0 GiB
            in use by a process (78): unknown
            --device cuda:GPU-1
Drive:      /  5.0 GiB free of 9.0 GiB (models)

The 14B models should fit on the GPU in a quantised form. `pirouette plan` has the details."""


def test_text_for_people() -> None:
    assert "\n".join(describe(FULL)) == TOLD


def test_what_is_unknown_is_called_so() -> None:
    gpu = Gpu("pci-0000:00:02.0", "Intel GPU 56a0", None, 0, vendor="intel")
    told = "\n".join(describe(replace(BARE, gpus=(gpu,))))
    assert "System:     unknown" in told
    assert "Page file:  unknown" in told
    assert "            unknown, unknown free" in told
    assert "compute capability" not in told
    assert machine_data(replace(BARE, gpus=(gpu,)))["gpus"][0]["memory_bytes"] is None


def test_this_machine_for_people_and_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hardware"]) == 0
    assert capsys.readouterr().out.startswith("System: ")
    assert main(["hardware", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == [field.name for field in fields(Machine)]
    assert sorted(use for drive in told["drives"] for use in drive["uses"]) == sorted(
        ["config", "data", "cache", "models", "runtime", "results"]
    )


def test_json_holds_every_fact() -> None:
    data = json.loads(json.dumps(machine_data(FULL)))
    assert data["gpus"][0]["capability"] == [8, 9]
    assert data == json.loads(json.dumps(asdict(FULL)))
    assert from_data(data, Machine) == FULL


@pytest.mark.parametrize(
    ("gpus", "words"),
    [
        ((), "No GPU"),
        ((replace(GPU, memory_bytes=80 * GIB),), "as published"),
        ((GPU,), "quantised form"),
        ((replace(GPU, memory_bytes=8 * GIB), GPU), "quantised form"),
        ((replace(GPU, memory_bytes=8 * GIB),), "a part of them in the computer's memory"),
        ((replace(GPU, memory_bytes=0),), "does not tell its memory"),
        ((replace(GPU, capability=(7, 0)),), "too old"),
        ((Gpu("pci-1", "NVIDIA GPU 2684", None, 0),), "driver does not answer"),
        ((Gpu("pci-1", "AMD GPU 744c", None, 24 * GIB, vendor="amd"),), "no fast path"),
    ],
)
def test_one_line_says_what_it_means(gpus: tuple[Gpu, ...], words: str) -> None:
    line = meaning(replace(BARE, gpus=gpus))
    assert words in line
    assert "\n" not in line
