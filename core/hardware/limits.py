"""Limits of a container (cgroups, second and first version): the kernel tells the whole machine otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_UNLIMITED: Final = 2**60  # the first version writes a number close to 2^63


@dataclass(frozen=True)
class Limits:
    """What this process may use; None where nothing limits it.

    Attributes:
        ram_available_bytes: what is left below the limit, caches counted as free.
        cpus: processors' worth of time.
    """

    ram_bytes: int | None = None
    ram_available_bytes: int | None = None
    swap_bytes: int | None = None
    cpus: float | None = None


def read_limits(root: Path = Path("/")) -> Limits:
    """The tightest limit on the way from our group up to the top.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    memory: list[tuple[int, int]] = []
    swap: list[int] = []
    cpus: list[float] = []
    for folder in group_folders(root, "", ("", "unified")):
        memory += _room(folder, "memory.max", "memory.current", "")
        swap += _size(folder / "memory.swap.max")
        cpus += _share(_words(folder / "cpu.max"))
    for folder in group_folders(root, "memory", ("memory",)):
        memory += _room(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
    for folder in group_folders(root, "cpu", ("cpu,cpuacct", "cpu")):
        cpus += _share(_words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us"))
    return Limits(
        ram_bytes=min((limit for limit, _ in memory), default=None),
        ram_available_bytes=min((left for _, left in memory), default=None),
        swap_bytes=min(swap, default=None),
        cpus=min(cpus, default=None),
    )


def group_folders(root: Path, controller: str, mounts: tuple[str, ...]) -> Iterator[Path]:
    """Our group's folder and those above it, which limit it too; the top alone where ours is out of sight.

    Args:
        root: where ``proc`` and ``sys`` are.
        controller: of the first version, such as ``memory``; empty for the second.
        mounts: names below ``sys/fs/cgroup`` where it may be mounted.
    """
    group = _group(root, controller)
    top = next((root / "sys/fs/cgroup" / name for name in mounts if _is_mount(root, name, controller)), None)
    if group is None or top is None:
        return
    ours = top / group.lstrip("/")
    for folder in (ours, *ours.parents):
        if folder.is_relative_to(top):
            yield folder


def _is_mount(root: Path, name: str, controller: str) -> bool:
    folder = root / "sys/fs/cgroup" / name
    return folder.is_dir() and (bool(controller) or (folder / "cgroup.procs").exists())


def _group(root: Path, controller: str) -> str | None:
    """Our group from lines such as ``4:memory:/box`` or, of the second version, ``0::/box``."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        parts = line.split(":", 2)
        if len(parts) == 3 and controller in parts[1].split(","):
            return parts[2]
    return None


def _room(folder: Path, limit: str, usage: str, prefix: str) -> list[tuple[int, int]]:
    """The limit and what is left below it, in bytes; empty without a limit."""
    limits, used = _size(folder / limit), _size(folder / usage)
    if not limits:
        return []
    stat = _pairs(folder / "memory.stat")
    cached = sum(stat.get(f"{prefix}{name}", 0) for name in ("active_file", "inactive_file"))
    return [(limits[0], max(0, limits[0] - max(0, (used or [0])[0] - cached)))]


def _size(file: Path) -> list[int]:
    """The number of bytes that a file holds; empty for ``max``, for huge ones and without the file."""
    return [int(word) for word in _words(file)[:1] if word.isdigit() and int(word) < _UNLIMITED]


def _share(words: list[str]) -> list[float]:
    """Quota and period in microseconds as a number of processors; ``max`` and -1 mean no limit."""
    if len(words) != 2 or not all(word.isdigit() for word in words):
        return []
    quota, period = int(words[0]), int(words[1])
    return [quota / period] if quota and period else []


def _pairs(file: Path) -> dict[str, int]:
    words = _words(file)
    return {name: int(value) for name, value in zip(words[::2], words[1::2], strict=False) if value.isdigit()}


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").split()
    except OSError:
        return []


def whole_cpus(cpus: float) -> int:
    """Processors to plan with for a share of time: part of one still needs a thread."""
    return max(1, math.ceil(cpus))
