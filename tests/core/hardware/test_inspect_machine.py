"""Memory, processors and drives; a container's limits in both versions of cgroups."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

import psutil
import pytest

from core.hardware import Machine, inspect_machine, list_gpus, usable_cpus
from core.hardware.host import page_file, system
from core.hardware.limits import Limits, read_limits

GIB = 2**30


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


def test_this_machine(own_home: Path) -> None:
    machine = inspect_machine({"models": own_home / "models", "results": own_home / "results"})
    assert machine.cpu_count >= 1
    assert 0 < machine.ram_available_bytes <= machine.ram_bytes <= psutil.virtual_memory().total
    assert machine.system
    assert [drive.uses for drive in machine.drives] == [("models", "results")]
    assert machine.drives[0].total_bytes == shutil.disk_usage(own_home).total
    assert own_home.is_relative_to(machine.drives[0].path)
    assert os.path.ismount(machine.drives[0].path)
    assert not list(own_home.iterdir())


def test_no_question_opens_a_socket_of_any_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("A socket was opened.")

    monkeypatch.setattr(socket, "socket", refuse)
    assert isinstance(inspect_machine(), Machine)


def test_a_container_of_the_second_version(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/pod/box"
    write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/pod/box",
            "sys/fs/cgroup/cgroup.procs": "1",
            f"{group}/memory.max": "max",
            f"{group}/memory.swap.max": "0",
            f"{group}/cpu.max": "150000 100000",
            "sys/fs/cgroup/pod/memory.max": str(8 * GIB),
            "sys/fs/cgroup/pod/memory.current": str(5 * GIB),
            "sys/fs/cgroup/pod/memory.stat": f"anon {GIB}\nactive_file {GIB}\ninactive_file {2 * GIB}",
            "sys/fs/cgroup/pod/cpu.max": "max 100000",
        },
    )
    assert read_limits(tmp_path) == Limits(8 * GIB, 6 * GIB, 0, 1.5)


@pytest.mark.parametrize("group", ["/docker/box", "/"])
def test_a_container_of_the_first_version(tmp_path: Path, group: str) -> None:
    """Inside, the group's path is the host's and cannot be seen: the limits stand at the top."""
    write(
        tmp_path,
        {
            "proc/self/cgroup": f"5:memory:{group}\n3:cpu,cpuacct:{group}\n0::{group}",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": str(4 * GIB),
            "sys/fs/cgroup/memory/memory.usage_in_bytes": str(3 * GIB),
            "sys/fs/cgroup/memory/memory.stat": f"cache 5\ntotal_active_file 0\ntotal_inactive_file {GIB}",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        },
    )
    assert read_limits(tmp_path) == Limits(4 * GIB, 2 * GIB, None, 0.5)


@pytest.mark.parametrize(
    ("name", "start"), [("Linux", ""), ("Darwin", "macOS "), ("Windows", "Windows "), ("Haiku", "Haiku ")]
)
def test_the_system_in_words(monkeypatch: pytest.MonkeyPatch, name: str, start: str) -> None:
    monkeypatch.setattr("platform.system", lambda: name)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    told = system()
    assert told.startswith(start)
    assert told.endswith(", x86_64")
    assert ("Linux" in told) == (name == "Linux")


def test_a_page_file_is_as_large_as_the_container_allows() -> None:
    whole = page_file(Limits())
    assert whole == psutil.swap_memory().total
    assert page_file(Limits(swap_bytes=0)) == 0


def test_a_system_that_does_not_tell_its_page_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("no /proc/swaps")

    monkeypatch.setattr(psutil, "swap_memory", fail)
    assert page_file(Limits()) is None


def test_without_limits_nothing_is_limited(tmp_path: Path) -> None:
    assert read_limits(tmp_path) == Limits()
    write(
        tmp_path,
        {
            "proc/self/cgroup": "5:memory:/\n3:cpu:/",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
    )
    assert read_limits(tmp_path) == Limits()


def test_the_machine_is_as_large_as_its_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/",
            "proc/cpuinfo": "processor : 0\nmodel name\t: Some   Processor\nmodel name : Another",
            "sys/fs/cgroup/cgroup.procs": "1",
            "sys/fs/cgroup/memory.max": str(GIB // 8),
            "sys/fs/cgroup/memory.current": str(GIB // 16),
            "sys/fs/cgroup/cpu.max": "10000 100000",
        },
    )
    machine = inspect_machine(root=tmp_path)
    assert (machine.ram_bytes, machine.ram_available_bytes) == (GIB // 8, GIB // 16)
    assert (machine.cpu_count, machine.cpu_name) == (1, "Some Processor")
    assert machine.gpus == list_gpus(tmp_path) == ()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity here")
def test_affinity_is_respected(tmp_path: Path) -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert usable_cpus(tmp_path) == 1
    finally:
        os.sched_setaffinity(0, allowed)
