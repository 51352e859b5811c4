"""What NVML's answers become, and what its silence does not take away."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nvml_double import GIB, NVMLError, fake_nvml, good_answers, memory, process

from core.hardware import Gpu, GpuProcess, list_gpus
from core.hardware.nvidia import list_nvidia

UUID = "GPU-2f1c9a7e-0000-4444-8888-123456789abc"
WHOLE = Gpu(
    UUID,
    "Some GPU",
    (8, 9),
    24 * GIB,
    memory_free_bytes=20 * GIB,
    cores=16384,
    clock_hz=2_520_000_000,
    memory_bandwidth=384 // 8 * 10_501_000_000 * 2,
    pcie_generation=4,
    pcie_width=16,
    driver="580.1",
)
# Which question fills which field.
FIELDS = {
    "SystemGetDriverVersion": {"driver": None},
    "DeviceGetUUID": {"uuid": ""},
    "DeviceGetName": {"name": "unknown NVIDIA GPU"},
    "DeviceGetCudaComputeCapability": {"capability": None},
    "DeviceGetMemoryInfo": {"memory_bytes": 0, "memory_free_bytes": None},
    "DeviceGetNumGpuCores": {"cores": None},
    "DeviceGetMaxClockInfo": {"clock_hz": None, "memory_bandwidth": None},
    "DeviceGetMemoryBusWidth": {"memory_bandwidth": None},
    "DeviceGetMaxPcieLinkGeneration": {"pcie_generation": None},
    "DeviceGetCurrPcieLinkWidth": {"pcie_width": None},
    "DeviceGetComputeRunningProcesses": {},
}


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """A root without ``/proc``: no Linux, so process ids are our own."""
    return tmp_path / "root"


def install(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(**(good_answers(UUID) | answers)))


def test_everything_that_nvml_tells(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    install(monkeypatch)
    assert list_gpus(nowhere) == (WHOLE,)


@pytest.mark.parametrize("question", FIELDS)
@pytest.mark.parametrize("failure", [NVMLError("Not Supported"), AttributeError("too old"), OSError("lost")])
def test_one_question_without_an_answer_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, nowhere: Path, question: str, failure: Exception
) -> None:
    install(monkeypatch, **{question: failure})
    assert list_nvidia(nowhere) == (replace(WHOLE, **FIELDS[question]),)


def test_a_lost_gpu_does_not_hide_the_other(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    def handle(index: int) -> int:
        if index == 0:
            raise NVMLError("GPU is lost")
        return index

    install(monkeypatch, DeviceGetCount=2, DeviceGetHandleByIndex=handle)
    assert list_nvidia(nowhere) == (WHOLE,)


def test_without_driver_or_binding_nvml_says_nothing(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    install(monkeypatch, driver=False)
    assert list_nvidia(nowhere) is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert list_nvidia(nowhere) is None
    assert list_gpus(nowhere) == ()


def test_a_split_card_is_listed_by_its_instances(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    """Handles of instances count from ten; the card itself is 0 and cannot be used as a whole."""

    def instance(_: int, index: int) -> int:
        if index == 1:
            raise NVMLError("Not Found")
        return 10 + index

    install(
        monkeypatch,
        DeviceGetMigMode=[1, 1],
        DeviceGetMaxMigDeviceCount=3,
        DeviceGetMigDeviceHandleByIndex=instance,
        DeviceGetUUID=lambda handle: f"MIG-{handle}",
        DeviceGetMemoryInfo=lambda handle: memory(handle * GIB, GIB),
    )
    gpus = list_nvidia(nowhere)
    assert gpus is not None
    assert [(gpu.uuid, gpu.memory_bytes, gpu.capability) for gpu in gpus] == [
        ("MIG-10", 10 * GIB, (8, 9)),
        ("MIG-12", 12 * GIB, (8, 9)),
    ]
    assert all(gpu.cores is gpu.memory_bandwidth is None for gpu in gpus)


def test_processes_are_told_once_the_largest_first(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    ended = 2**31 - 2
    install(
        monkeypatch,
        DeviceGetComputeRunningProcesses=[process(os.getppid(), 5 * GIB), process(os.getpid(), GIB)],
        DeviceGetGraphicsRunningProcesses=[process(ended, None), process(os.getppid(), 4 * GIB)],
    )
    gpus = list_nvidia(nowhere)
    assert gpus is not None
    first, second = gpus[0].processes
    assert (first.pid, first.memory_bytes) == (os.getppid(), 5 * GIB)
    assert first.name
    assert second == GpuProcess(ended, None, None)


def test_older_drivers_know_an_older_form(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    install(
        monkeypatch,
        DeviceGetComputeRunningProcesses=NVMLError("Function Not Found"),
        DeviceGetComputeRunningProcesses_v2=[process(2**31 - 2, GIB)],
    )
    gpus = list_nvidia(nowhere)
    assert gpus is not None
    assert gpus[0].processes == (GpuProcess(2**31 - 2, None, GIB),)


def test_a_container_does_not_name_the_hosts_processes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    namespace = tmp_path / "proc" / "self" / "ns" / "pid"
    namespace.parent.mkdir(parents=True)
    install(monkeypatch, DeviceGetComputeRunningProcesses=[process(os.getppid(), GIB)])
    names = []
    for target in ("pid:[4026531836]", "pid:[4026532999]"):
        namespace.unlink(missing_ok=True)
        namespace.symlink_to(target)
        gpus = list_nvidia(tmp_path)
        assert gpus is not None
        names.append(gpus[0].processes[0].name)
    assert names[0]
    assert names[1] is None


def test_a_card_without_a_driver_is_still_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """NVML's own list replaces what the kernel shows of NVIDIA's cards; without NVML that is all there is."""
    monkeypatch.setattr("platform.system", lambda: "Linux")
    for number, vendor in enumerate(("0x10de", "0x1002")):
        device = tmp_path / f"sys/class/drm/card{number}/device"
        device.mkdir(parents=True)
        (device / "vendor").write_text(vendor)
        (device / "device").write_text("0x1")
    install(monkeypatch, driver=False)
    assert [(gpu.vendor, gpu.capability) for gpu in list_gpus(tmp_path)] == [("nvidia", None), ("amd", None)]
    install(monkeypatch)
    assert [gpu.name for gpu in list_gpus(tmp_path)] == ["Some GPU", "AMD GPU 0001"]
