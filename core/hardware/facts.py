"""What is known about a machine. Frozen data; what nobody could tell is None, never a guess."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Vendor = Literal["nvidia", "amd", "apple", "intel", "unknown"]


@dataclass(frozen=True)
class GpuProcess:
    """A process that uses a GPU; Windows tells no figure for most of them."""

    pid: int
    name: str | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Gpu:
    """One GPU, or one MIG instance of it.

    Attributes:
        uuid: what ``cuda:UUID`` names on NVIDIA; elsewhere, or without a driver, the place in the machine
            (``pci-0000:03:00.0``).
        capability: compute capability such as (9, 0); NVIDIA only.
        memory_bytes: its own memory, or the shared one with ``unified_memory``; 0 where unknown.
        memory_free_bytes: now, with what other processes hold taken off.
        cores: CUDA cores.
        clock_hz: highest clock of the multiprocessors.
        memory_bandwidth: bytes per second, from bus width and clock.
        pcie_generation: the highest that card and slot can do together; idle cards fall back below it.
        pcie_width: lanes in use now, since a narrow slot shows only there.
        processes: who uses it, this process left out.
        architecture: AMD's target such as ``gfx1100``.
        host_bandwidth: bytes per second from host memory, where somebody has measured or stated it.
    """

    uuid: str
    name: str
    capability: tuple[int, int] | None
    memory_bytes: int
    vendor: Vendor = "nvidia"
    memory_free_bytes: int | None = None
    cores: int | None = None
    clock_hz: int | None = None
    memory_bandwidth: int | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None
    driver: str | None = None
    processes: tuple[GpuProcess, ...] = ()
    unified_memory: bool = False
    architecture: str | None = None
    host_bandwidth: int | None = None


@dataclass(frozen=True)
class Drive:
    """A drive by its mount point, with the folders of the app that lie on it (``models``, ``results``)."""

    path: str
    total_bytes: int
    free_bytes: int
    uses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """This computer, or as much of it as a container leaves us.

    Attributes:
        cpu_count: logical processors that this process may use.
        ram_bytes, ram_available_bytes: the container's limit where it is lower than the memory built in.
        gpus: NVIDIA first, in NVML's order.
        page_file_bytes: swap space; 0 where there is none.
        cpu_cores: physical cores of the whole machine.
        system: such as ``Ubuntu 24.04 LTS, Linux 6.8.0, x86_64``.
    """

    cpu_count: int
    ram_bytes: int
    ram_available_bytes: int
    gpus: tuple[Gpu, ...]
    page_file_bytes: int | None = None
    cpu_name: str | None = None
    cpu_cores: int | None = None
    drives: tuple[Drive, ...] = ()
    system: str = ""
