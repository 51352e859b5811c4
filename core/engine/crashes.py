"""A native crash leaves its stacks on standard error, where the app keeps them, and no file or window."""

from __future__ import annotations

import faulthandler
import signal
import sys

_SEM_FAILCRITICALERRORS = 0x0001
_SEM_NOGPFAULTERRORBOX = 0x0002


def tell_crashes() -> None:
    """Stacks of all threads at a crash, and at ``SIGUSR1`` where there is one, for a process that hangs."""
    faulthandler.enable(sys.stderr, all_threads=True)
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.kernel32.SetErrorMode(_SEM_FAILCRITICALERRORS | _SEM_NOGPFAULTERRORBOX)
    else:
        import resource

        faulthandler.register(signal.SIGUSR1, sys.stderr, all_threads=True)
        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, most))  # a core file is as large as the model
