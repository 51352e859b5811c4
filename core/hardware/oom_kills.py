"""Processes that the kernel has killed for want of memory: without it nobody can tell who sent a SIGKILL."""

from __future__ import annotations

from pathlib import Path

from core.hardware.limits import group_folders


def oom_kills(root: Path = Path("/")) -> int | None:
    """Kills so far on this machine and in our group; only a change means something. None where nobody counts.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    files = [root / "proc/vmstat"]
    files += [folder / "memory.events" for folder in group_folders(root, "", ("", "unified"))]
    files += [folder / "memory.oom_control" for folder in group_folders(root, "memory", ("memory",))]
    counts = [count for count in map(_count, files) if count is not None]
    return sum(counts) if counts else None


def _count(file: Path) -> int | None:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    words = next((line.split() for line in lines if line.startswith("oom_kill ")), [])
    return int(words[1]) if len(words) == 2 and words[1].isdigit() else None
