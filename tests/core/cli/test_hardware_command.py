"""What `pirouette hardware` says, for this machine and for machines that are not here."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from core.catalogue.store.choices import Choices, choices_path, write_choices
from core.cli.hardware import describe, kept_kernels, machine_data, meaning
from core.cli.main import main
from core.codec import from_data
from core.hardware import Drive, Gpu, GpuProcess, Machine
from core.hardware.kernels_file import FOLDER, KernelsFile, Measured, kernels_path, write_kernels
from core.settings import places

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
Drive:      /  5.0 GiB free of 9.0 GiB (models)"""


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


def test_measured_kernels_are_told() -> None:
    measured = (
        Measured("dense", "cudnn", 0.002, 0.002),
        Measured("dense", "sage2", problem="not installed"),
        Measured("linear", "fp8", 0.001, 0.037),
    )
    write_kernels(
        kernels_path(places().cache / FOLDER, "GPU-1"), KernelsFile("Some GPU", {}, measured, "gcc")
    )
    kernels = kept_kernels(FULL)
    told = "\n".join(describe(FULL, kernels))
    assert "            attention: cudnn 2.00 ms; fastest kind sdpa\n" in told
    assert "            linear layers fastest in fp8; plain blocks\n            Triton: gcc\n" in told
    assert "not used: sage2 (not installed)" in told
    data = json.loads(json.dumps(machine_data(FULL, kernels)))
    assert data["gpus"][0]["kernels"]["choices"]["exact"] == "cudnn"
    assert kept_kernels(BARE) == {}


@pytest.mark.parametrize(
    ("gpus", "words"),
    [
        ((), "has no NVIDIA GPU"),
        (
            (replace(GPU, memory_bytes=80 * GIB, memory_free_bytes=None),),
            "-fp8 runs on the GPU, about",
        ),
        ((replace(GPU, memory_free_bytes=None),), "-fp8 runs on the GPU, one part at a time"),
        ((replace(GPU, memory_bytes=8 * GIB, uuid="GPU-2"), GPU), "runs partly on the GPU"),
        ((replace(GPU, memory_free_bytes=GIB),), "do not fit as things are. It needs"),
        ((replace(GPU, memory_bytes=0),), "whose driver does not answer"),
        ((replace(GPU, capability=(7, 0)),), "7.0 is below 7.5"),
        ((Gpu("pci-1", "NVIDIA GPU 2684", None, 0),), "driver does not answer"),
        ((Gpu("pci-1", "AMD GPU 744c", None, 24 * GIB, vendor="amd"),), "an AMD GPU"),
    ],
)
def test_one_line_says_what_it_means(gpus: tuple[Gpu, ...], words: str) -> None:
    line = meaning(replace(BARE, ram_available_bytes=60 * GIB, gpus=gpus))
    assert words in line
    assert "\n" not in line


def test_the_models_drive_is_the_one_they_were_moved_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[dict[str, Path]] = []
    monkeypatch.setattr("core.cli.hardware.inspect_machine", lambda folders: asked.append(folders) or BARE)
    write_choices(Choices(root=tmp_path / "elsewhere"))
    assert main(["hardware"]) == 0
    assert asked[0]["models"] == tmp_path / "elsewhere"


def test_settings_that_cannot_be_read_hide_no_hardware(capsys: pytest.CaptureFixture[str]) -> None:
    choices_path().parent.mkdir(parents=True, exist_ok=True)
    choices_path().write_text("root = [")
    assert main(["hardware"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("System: ")
    assert "models.toml cannot be read" in told
