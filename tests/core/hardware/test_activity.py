"""Who is at work: GPUs and processes, and whom the kernel killed for want of memory."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from nvml_double import NVMLError, fake_nvml

from core.hardware.activity import cpu_seconds, gpu_busy, read_bytes
from core.hardware.oom_kills import oom_kills

UUIDS = {0: "GPU-first", 1: "GPU-second"}
NVMLError_NotFound = type("NVMLError_NotFound", (NVMLError,), {})


def rates(percent: int) -> types.SimpleNamespace:
    return types.SimpleNamespace(gpu=percent, memory=0)


def sample(pid: int, percent: int) -> types.SimpleNamespace:
    return types.SimpleNamespace(pid=pid, smUtil=percent)


def install(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
    usual = {"DeviceGetCount": 2, "DeviceGetUUID": UUIDS.__getitem__}
    usual["DeviceGetUtilizationRates"] = lambda at: rates(97 if at else 3)
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(**(usual | answers)))


def test_one_gpu_or_any(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    assert gpu_busy("GPU-first") is False
    assert gpu_busy("GPU-second") is True
    assert gpu_busy(None) is True
    assert gpu_busy("GPU-other") is None


def test_the_gpu_of_one_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the driver tells processes apart, another's work is not ours."""
    install(monkeypatch, DeviceGetProcessUtilization=lambda at, _: [sample(70 + at, 50), sample(5, 0)])
    assert gpu_busy("GPU-second", 71, tmp_path) is True
    assert gpu_busy("GPU-second", 70, tmp_path) is False
    assert gpu_busy("GPU-second", 5, tmp_path) is False
    assert gpu_busy(None, 70, tmp_path) is True


def test_no_samples_mean_that_nobody_worked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, DeviceGetProcessUtilization=NVMLError_NotFound("Not Found"))
    assert gpu_busy("GPU-second", 71, tmp_path) is False


def test_the_whole_gpu_counts_where_processes_are_not_told_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, DeviceGetProcessUtilization=NVMLError("Not Supported"))
    assert gpu_busy("GPU-second", 71, tmp_path) is True
    namespace = tmp_path / "proc/self/ns"
    namespace.mkdir(parents=True)
    (namespace / "pid").symlink_to("pid:[4026532000]")  # a container, whose process ids are not the driver's
    install(monkeypatch, DeviceGetProcessUtilization=lambda *_: [])
    assert gpu_busy("GPU-second", 71, tmp_path) is True


def test_without_an_answer_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, DeviceGetUtilizationRates=NVMLError("Not Supported"))
    assert gpu_busy("GPU-first") is None
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(driver=False))
    assert gpu_busy(None) is None


def test_processor_time_grows_with_work() -> None:
    before = cpu_seconds(os.getpid())
    assert before is not None
    while (after := cpu_seconds(os.getpid())) is not None and after <= before + 0.02:
        sum(range(100_000))
    assert after is not None
    assert cpu_seconds(2**22 + 1) is None


def test_kills_are_counted_on_the_machine_and_in_our_group(tmp_path: Path) -> None:
    assert oom_kills(tmp_path) is None
    files = {
        "proc/vmstat": "nr_free_pages 7\noom_kill 3\n",
        "proc/self/cgroup": "4:memory:/box\n0::/box\n",
        "sys/fs/cgroup/memory/box/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n",
        "sys/fs/cgroup/unified/cgroup.procs": "1",
        "sys/fs/cgroup/unified/box/memory.events": "low 0\noom 9\noom_kill 11\noom_group_kill 0\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert oom_kills(tmp_path) == 3 + 5 + 11


@pytest.mark.skipif(sys.platform != "linux", reason="others count otherwise")
def test_what_drives_read_for_a_process_is_told() -> None:
    read = read_bytes(os.getpid())
    assert read is not None
    assert read >= 0
    assert read_bytes(2**22 + 1) is None
