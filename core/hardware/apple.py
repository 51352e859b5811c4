"""What macOS tells about its processor, whose GPU shares the memory."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from core.hardware.facts import Gpu

Sysctl = Callable[[str], str | None]
_WAIT_S = 5.0


def sysctl(name: str) -> str | None:
    """One fact of the kernel by its name; None where it does not know it."""
    try:
        done = subprocess.run(
            ["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, timeout=_WAIT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def list_apple(ask: Sysctl = sysctl) -> tuple[Gpu, ...]:
    """The GPU of an Apple processor. Macs with Intel's have cards that no question here reaches."""
    name, memory = ask("machdep.cpu.brand_string"), ask("hw.memsize")
    if name is None or not name.startswith("Apple"):
        return ()
    size_bytes = int(memory) if memory and memory.isdigit() else 0
    return (Gpu("apple-0", name, None, size_bytes, vendor="apple", unified_memory=True),)
