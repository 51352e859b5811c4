"""A process beside the app that started it: it ends with the app, and leaves the processor to it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping

import psutil

from core.protocol import PARENT_VARIABLE, PRIORITY_VARIABLE

_PR_SET_PDEATHSIG = 1
_NICENESS = 5


def die_with_parent(environment: Mapping[str, str] = os.environ) -> None:
    """On Linux the kernel ends us with the app, even while a C call holds the interpreter.

    Elsewhere the app sees to it (``core.jobs.engine.parent``). The app may have died before the kernel was
    asked, which it then never tells: so the parent is looked at afterwards, and must be the one that the
    environment names. The command has to become the interpreter itself, not its parent.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        named = environment.get(PARENT_VARIABLE)
        if named is not None and named != str(os.getppid()):
            sys.stderr.write(f"The app {named} is gone, or did not start this process directly.\n")
            sys.stderr.flush()
            os._exit(1)


def lower_priority(environment: Mapping[str, str] = os.environ) -> None:
    """Take less of the processor than the window, where the environment asks for it.

    On Linux each thread has a niceness of its own, which those it starts take over: call this before any.
    """
    if environment.get(PRIORITY_VARIABLE) != "low":
        return
    if sys.platform == "win32":
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        os.nice(_NICENESS)
