"""The computer stays awake while something renders; its screen may go dark.

Each system has a way or several, tried in turn on a thread of their own: asking may take a moment, and
Windows counts the wish of the thread that asks. All of them end with this process, however it ends.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Protocol

from PySide6.QtCore import QObject

if TYPE_CHECKING:
    from jeepney.io.blocking import DBusConnection

_LOG = logging.getLogger(__name__)
_REASON: Final = "A video is being rendered"
_ANSWER_S: Final = 2.0
_REFUSED_WITHIN_S: Final = 0.5
_ES_CONTINUOUS: Final = 0x80000000
_ES_SYSTEM_REQUIRED: Final = 0x00000001
# Service, object, interface and what it is called in the log. The first lets the screen go dark.
_SERVICES: Final = (
    (
        "org.freedesktop.PowerManagement",
        "/org/freedesktop/PowerManagement/Inhibit",
        "org.freedesktop.PowerManagement.Inhibit",
    ),
    ("org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver", "org.freedesktop.ScreenSaver"),
)


class Way(Protocol):
    """One way to keep the computer awake, called on one thread only."""

    name: str

    def begin(self) -> bool:
        """Keep awake from now on; False where that cannot be had here."""
        ...

    def end(self) -> None:
        """Let it sleep again."""
        ...


class KeepAwake(QObject):
    """Holds the computer awake between ``set_on(True)`` and ``set_on(False)``; never blocks but in ``close``.

    Args:
        ways: in the order to be tried; None for those of this system.
    """

    def __init__(self, ways: Sequence[Way] | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._ways = tuple(ways_here() if ways is None else ways)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="keep-awake")
        self._on = False
        self._way: Way | None = None  # of the thread
        self._told = False

    @property
    def on(self) -> bool:
        """Is it wanted now?"""
        return self._on

    def set_on(self, on: bool) -> None:
        """While a render runs; the same value again costs nothing."""
        if on != self._on:
            self._on = on
            self._thread.submit(self._begin if on else self._end).add_done_callback(_log_trouble)

    def close(self) -> None:
        """Let it sleep, and wait for that."""
        self.set_on(False)
        self._thread.shutdown(wait=True)

    def _begin(self) -> None:
        self._way = next((way for way in self._ways if way.begin()), None)
        if not self._told:
            self._told = True
            if self._way is None:
                _LOG.warning("Nothing here keeps the computer from going to sleep during a render.")
            else:
                _LOG.info("The computer is kept awake during renders, by %s.", self._way.name)

    def _end(self) -> None:
        if self._way is not None:
            self._way.end()
            self._way = None


def _log_trouble(done: Future[None]) -> None:
    error = done.exception()
    if error is not None:
        _LOG.error("The computer cannot be kept awake.", exc_info=error)


def ways_here(platform: str = sys.platform) -> tuple[Way, ...]:
    """Those of this system, the gentlest first."""
    if platform == "win32":
        return (ExecutionState(),)
    if platform == "darwin":
        return (Companion("caffeinate", ("-i", "-w", str(os.getpid()))),)
    systemd = ("--what=idle:sleep", "--who=Pirouette", f"--why={_REASON}", "--mode=block", "cat")
    return (*(SessionBus(*service) for service in _SERVICES), Companion("systemd-inhibit", systemd))


class SessionBus:
    """A service of the desktop, over D-Bus. What was asked for ends with the connection it was asked over.

    Args:
        service, path, interface: with a method ``Inhibit(application, reason)``.
    """

    def __init__(self, service: str, path: str, interface: str) -> None:
        self.name = service
        self._path, self._interface = path, interface
        self._connection: DBusConnection | None = None

    def begin(self) -> bool:
        """Ask over a connection of our own."""
        # Not Qt's D-Bus: its blocking calls keep all of Python waiting, the window's thread too.
        from jeepney import DBusAddress, DBusErrorResponse, new_method_call
        from jeepney.io.blocking import open_dbus_connection
        from jeepney.wrappers import unwrap_msg

        if not os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
            return False
        service = DBusAddress(self._path, self.name, self._interface)
        try:
            self._connection = open_dbus_connection("SESSION")
            reply = self._connection.send_and_get_reply(
                new_method_call(service, "Inhibit", "ss", ("Pirouette", _REASON)), timeout=_ANSWER_S
            )
            unwrap_msg(reply)
        except (
            OSError,
            RuntimeError,
            DBusErrorResponse,
        ) as error:  # a bus that is gone, silent, or without it
            _LOG.debug("%s does not keep the computer awake: %s", self.name, error)
            self.end()
            return False
        return True

    def end(self) -> None:
        """Hang up: that ends it even where the service has lost count."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Companion:
    """A small program of the system that keeps it awake as long as it runs.

    Args:
        program: its name.
        arguments: with which it ends when we do: told our process, or waiting for the end of its input.
    """

    def __init__(self, program: str, arguments: Sequence[str]) -> None:
        self.name = program
        self._arguments = tuple(arguments)
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> bool:
        """Start it; one that is not allowed to do so ends at once."""
        program = shutil.which(self.name)
        if program is None:
            return False
        try:
            self._process = subprocess.Popen(
                [program, *self._arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            self._process.wait(_REFUSED_WITHIN_S)
        except OSError:
            return False
        except subprocess.TimeoutExpired:
            return True
        self.end()
        return False

    def end(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.communicate()  # closes its input, which what it has started may wait for
            self._process = None


class ExecutionState:
    """Windows.

    Args:
        set_state: ``SetThreadExecutionState``; 0 where it is refused.
    """

    name = "Windows"

    def __init__(self, set_state: Callable[[int], int] | None = None) -> None:
        self._set_state = set_state

    def begin(self) -> bool:
        """The system is needed; the display is not."""
        return self._set(_ES_CONTINUOUS | _ES_SYSTEM_REQUIRED) != 0

    def end(self) -> None:
        """Nothing is needed any more."""
        self._set(_ES_CONTINUOUS)

    def _set(self, state: int) -> int:
        if self._set_state is None:
            import ctypes

            windll: Any = ctypes.windll  # type: ignore[attr-defined, unused-ignore]
            set_state = windll.kernel32.SetThreadExecutionState
            set_state.argtypes, set_state.restype = [ctypes.c_uint32], ctypes.c_uint32
            self._set_state = set_state
        return int(self._set_state(state))
