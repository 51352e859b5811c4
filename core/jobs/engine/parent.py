"""The app beside the engine that it started: when the app is gone, however it went, so is the engine.

Closing its input tells the engine, but one that hangs does not listen. On Linux the kernel kills it
(``core.parent``, which asks for that), on Windows the end of a job object does, elsewhere a watchdog.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from typing import Final, Protocol

from core.errors import EngineError

_KILL_ON_CLOSE: Final = 0x2000
_EXTENDED_LIMITS: Final = 9
# Waits for a line or for the end: the end without a line means that the app is gone.
_WATCHDOG: Final = 'read -r line || kill -KILL "$0"'
_DISMISSED_S: Final = 1.0


class Tie(Protocol):
    """What binds a running engine to us."""

    def close(self) -> None:
        """Let go, once the engine has ended."""


def tie(process: subprocess.Popen[bytes]) -> Tie:
    """See to it that this process ends with ours.

    Raises:
        EngineError: the system refuses; the process must not run on then.
    """
    if sys.platform == "linux":
        return _Kernel()
    elif sys.platform == "win32":
        return JobObject(process)
    else:
        return Watchdog(process.pid)


class _Kernel:
    """The engine has asked the kernel itself."""

    def close(self) -> None:
        """Nothing to let go of."""


class Watchdog:
    """A small process that kills ``pid`` when we are gone, which the end of its input tells it.

    Only we hold the other end of that pipe: Python hands none of its files on to processes it starts.
    """

    def __init__(self, pid: int) -> None:
        # In a session of its own, since Ctrl-C in the terminal must not end it.
        try:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _WATCHDOG, str(pid)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise _unbound(str(error)) from error

    @property
    def pid(self) -> int:
        """Its own process id."""
        return self._shell.pid

    def close(self) -> None:
        """Dismiss it: nobody is killed, for the engine's id may be another's by now."""
        try:
            self._shell.communicate(b"done\n", timeout=_DISMISSED_S)
        except subprocess.TimeoutExpired:
            self._shell.kill()
            self._shell.wait()


class _BasicLimits(ctypes.Structure):
    _fields_ = (
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", ctypes.c_uint32),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", ctypes.c_uint32),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", ctypes.c_uint32),
        ("SchedulingClass", ctypes.c_uint32),
    )


class _Extended(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION; the counters stand for IO_COUNTERS."""

    _fields_ = (
        ("BasicLimitInformation", _BasicLimits),
        ("IoInfo", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    )


if sys.platform == "win32":

    class JobObject:
        """Windows ends what is in it when its last handle is closed, which our end does too.

        A virtual environment's ``python.exe`` only starts the real one, which comes into the same job.
        """

        def __init__(self, process: subprocess.Popen[bytes]) -> None:
            kernel = ctypes.WinDLL("kernel32", use_last_error=True)
            kernel.CreateJobObjectW.restype = ctypes.c_void_p
            kernel.CreateJobObjectW.argtypes = (ctypes.c_void_p, ctypes.c_wchar_p)
            kernel.SetInformationJobObject.argtypes = (
                ctypes.c_void_p,
                ctypes.c_int,
                ctypes.c_void_p,
                ctypes.c_uint32,
            )
            kernel.AssignProcessToJobObject.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
            kernel.CloseHandle.argtypes = (ctypes.c_void_p,)
            self._kernel = kernel
            self._handle: int | None = kernel.CreateJobObjectW(None, None)
            limits = _Extended()
            limits.BasicLimitInformation.LimitFlags = _KILL_ON_CLOSE
            done = (
                self._handle
                and kernel.SetInformationJobObject(
                    self._handle, _EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits)
                )
                and kernel.AssignProcessToJobObject(self._handle, int(vars(process)["_handle"]))
            )
            if not done:
                error = ctypes.WinError(ctypes.get_last_error())
                self.close()
                if process.poll() is None:  # one that has ended already cannot be put into a job
                    raise _unbound(str(error))

        def close(self) -> None:
            """Close the handle, which ends the process if it still runs."""
            if self._handle:
                self._kernel.CloseHandle(self._handle)
            self._handle = None


def _unbound(reason: str) -> EngineError:
    return EngineError(f"The engine cannot be bound to the app: {reason}.", action="Try again.")
