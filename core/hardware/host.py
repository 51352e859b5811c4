"""Processor, memory, drives and system, as far as the process may use them."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path

import psutil

from core.hardware.apple import sysctl
from core.hardware.facts import Drive
from core.hardware.limits import Limits, read_limits, whole_cpus

_WINDOWS_PROCESSOR = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"


def usable_cpus(root: Path = Path("/")) -> int:
    """Logical processors that this process may run on: affinity and a container's share respected.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = read_limits(root).cpus
    return allowed if share is None else min(allowed, whole_cpus(share))


def memory(limits: Limits) -> tuple[int, int]:
    """Memory and what is available of it now, in bytes."""
    built_in = psutil.virtual_memory()
    total, available = int(built_in.total), int(built_in.available)
    if limits.ram_bytes is not None:
        total = min(total, limits.ram_bytes)
    if limits.ram_available_bytes is not None:
        available = min(available, limits.ram_available_bytes)
    return total, min(total, available)


def page_file(limits: Limits) -> int | None:
    """Swap space in bytes; None where the system does not tell."""
    try:
        total = int(psutil.swap_memory().total)
    except (OSError, RuntimeError, psutil.Error):
        return None
    return total if limits.swap_bytes is None else min(total, limits.swap_bytes)


def cpu_name(root: Path = Path("/")) -> str | None:
    """What the maker calls the processor; many ARM systems do not say."""
    match platform.system():
        case "Linux":
            return _linux_processor(root)
        case "Darwin":
            return sysctl("machdep.cpu.brand_string")
        case "Windows":
            return _windows_processor()
    return None


def _linux_processor(root: Path) -> str | None:
    try:
        lines = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next((" ".join(name.split()) for name in names if name), None)


def _windows_processor() -> str | None:
    winreg = importlib.import_module("winreg")
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _WINDOWS_PROCESSOR) as key:
            return str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip() or None
    except OSError:
        return None


def cpu_cores() -> int | None:
    """Physical cores; None where the system does not tell."""
    return psutil.cpu_count(logical=False) or None


def drives(folders: Mapping[str, Path]) -> tuple[Drive, ...]:
    """The drives of these folders, each once, with the names of the folders on it.

    Args:
        folders: name -> folder; those that do not exist yet count where they would be made.
    """
    uses: dict[Path, list[str]] = {}
    for name, folder in folders.items():
        uses.setdefault(_mount_point(folder), []).append(name)
    found = (_drive(mount, tuple(names)) for mount, names in uses.items())
    return tuple(drive for drive in found if drive is not None)


def _mount_point(folder: Path) -> Path:
    resolved = folder.absolute().resolve()
    return next(
        (path for path in (resolved, *resolved.parents) if os.path.ismount(path)), Path(resolved.anchor)
    )


def _drive(mount: Path, uses: tuple[str, ...]) -> Drive | None:
    try:
        space = shutil.disk_usage(mount)
    except OSError:
        return None  # taken out
    return Drive(str(mount), space.total, space.free, uses)


def system() -> str:
    """The operating system in words."""
    machine = platform.machine()
    match platform.system():
        case "Linux":
            return ", ".join(filter(None, (_distribution(), f"Linux {platform.release()}", machine)))
        case "Darwin":
            return f"macOS {platform.mac_ver()[0]}, {machine}"
        case "Windows":
            return f"Windows {platform.release()} ({platform.version()}), {machine}"
        case other:
            return f"{other} {platform.release()}, {machine}"


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""
