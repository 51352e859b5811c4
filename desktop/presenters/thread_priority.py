"""Work on pictures steps back behind the window's own thread."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

# The engine runs at 5: what somebody is looking at, or soon will be, comes before it.
DECODING = 2
AHEAD = 4


def lower(niceness: int) -> None:
    """Of the calling thread and those it starts; only Linux has a niceness for each thread."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a sandbox may forbid it, then all are equal
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
