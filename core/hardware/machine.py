"""This machine's facts together."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

from core.hardware import host
from core.hardware.apple import list_apple
from core.hardware.facts import Gpu, Machine
from core.hardware.limits import read_limits
from core.hardware.linux_gpus import list_linux
from core.hardware.nvidia import list_nvidia
from core.hardware.windows_gpus import list_windows


def inspect_machine(folders: Mapping[str, Path] | None = None, root: Path = Path("/")) -> Machine:
    """The facts of this machine, now. Nothing leaves it for that.

    Args:
        folders: name -> folder whose drives are wanted.
        root: where ``proc``, ``sys`` and ``usr`` are.
    """
    limits = read_limits(root)
    total, available = host.memory(limits)
    return Machine(
        cpu_count=host.usable_cpus(root),
        ram_bytes=total,
        ram_available_bytes=available,
        gpus=list_gpus(root),
        page_file_bytes=host.page_file(limits),
        cpu_name=host.cpu_name(root),
        cpu_cores=host.cpu_cores(),
        drives=host.drives(folders or {}),
        system=host.system(),
    )


def list_gpus(root: Path = Path("/")) -> tuple[Gpu, ...]:
    """All GPUs: NVIDIA's through NVML, then what the system shows.

    Without NVML an NVIDIA card is listed by its place and name alone, so that its driver can be missed.
    """
    nvidia = list_nvidia(root)
    others = _seen_by_the_system(root)
    if nvidia is None:
        return others
    return (*nvidia, *(gpu for gpu in others if gpu.vendor != "nvidia"))


def _seen_by_the_system(root: Path) -> tuple[Gpu, ...]:
    match platform.system():
        case "Linux":
            return list_linux(root)
        case "Windows":
            return list_windows()
        case "Darwin":
            return list_apple()
    return ()
