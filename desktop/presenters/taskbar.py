"""Progress on the taskbar's button: Windows' own, and Linux docks with Unity's launcher interface."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Protocol

from PySide6.QtCore import QObject

if TYPE_CHECKING:
    from jeepney.io.blocking import DBusConnection

_LOG = logging.getLogger(__name__)
_STEPS: Final = 100
APP_ID: Final = "Pirouette.Pirouette"

_CLSID_TASKBAR_LIST: Final = uuid.UUID("56FDF344-FD6D-11D0-958A-006097C9A090")
_IID_TASKBAR_LIST_3: Final = uuid.UUID("EA1AFB91-9E28-4B86-90E9-9E9F8A5EEFAF")
_IN_PROCESS: Final = 1
# Places in the interface's table of functions.
_RELEASE, _INITIALISE, _SET_VALUE, _SET_STATE = 2, 3, 9, 10
_NO_PROGRESS, _NORMAL, _ERROR = 0x0, 0x2, 0x4

_LAUNCHER: Final = "com.canonical.Unity.LauncherEntry"
_DESKTOP_FILE: Final = "application://pirouette.desktop"


class Bar(Protocol):
    """What shows progress somewhere outside of the window."""

    def show(self, step: int | None, failed: bool) -> None:
        """``step`` of 100, None for no progress; red where the last render failed."""
        ...

    def close(self) -> None:
        """Show nothing any more."""
        ...


class Taskbar(QObject):
    """The progress of the queue, shown on the taskbar when it has changed by a hundredth.

    Args:
        bar: None where there is none.
    """

    def __init__(self, bar: Bar | None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bar = bar
        self._shown: tuple[int | None, bool] = (None, False)

    def show_progress(self, fraction: float | None, failed: bool = False) -> None:
        """Show ``fraction`` (0 to 1, None: nothing runs); ``failed`` stays until the next progress."""
        step = None if fraction is None else min(max(int(_STEPS * fraction), 0), _STEPS)
        if (step, failed) == self._shown:
            return
        self._shown = (step, failed)
        if self._bar is not None:
            self._bar.show(step, failed)

    def close(self) -> None:
        """Show nothing any more."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def taskbar_here(window_handle: Callable[[], int]) -> Bar | None:
    """What this system has.

    Args:
        window_handle: the window as the system knows it; asked for when first needed.
    """
    if sys.platform == "win32":
        return WindowsBar(window_handle)
    if sys.platform == "linux" and os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return LauncherEntry()
    return None


def name_process() -> None:
    """Windows groups windows and finds their icon by this name, not by the Python that runs them.

    To be called before the first window is shown.
    """
    if sys.platform == "win32":
        ctypes.windll.shell32.SetCurrentProcessExplicitAppUserModelID(APP_ID)


class LauncherEntry:
    """Docks of Linux: a signal on the session bus for each change, sent by a thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="launcher")
        self._connection: DBusConnection | None = None
        self._dead = False

    def show(self, step: int | None, failed: bool) -> None:
        """``urgent`` asks for attention where a render has failed."""
        properties = {
            "progress": ("d", (step or 0) / _STEPS),
            "progress-visible": ("b", step is not None),
            "urgent": ("b", failed),
        }
        self._thread.submit(self._send, properties).add_done_callback(self._on_sent)

    def close(self) -> None:
        """Take the progress off the dock, which forgets it with our connection anyway."""
        self.show(None, False)
        self._thread.submit(self._hang_up)
        self._thread.shutdown(wait=True)

    def _send(self, properties: dict[str, tuple[str, Any]]) -> None:
        from jeepney import DBusAddress, new_signal
        from jeepney.io.blocking import open_dbus_connection

        if self._dead:
            return
        if self._connection is None:
            self._connection = open_dbus_connection("SESSION")
        entry = DBusAddress("/com/canonical/unity/launcherentry/1", interface=_LAUNCHER)
        self._connection.send(new_signal(entry, "Update", "sa{sv}", (_DESKTOP_FILE, properties)))

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _on_sent(self, done: Future[None]) -> None:
        """A bus that is gone does not come back while we run."""
        if done.exception() is not None and not self._dead:
            self._dead = True
            _LOG.info("The dock shows no progress: %s", done.exception())


class WindowsBar:
    """``ITaskbarList3`` on the window's thread, where Qt has set COM up.

    Args:
        window_handle: the window's HWND.
        create: makes the object and gives its address, 0 where that fails.
    """

    def __init__(self, window_handle: Callable[[], int], create: Callable[[], int] | None = None) -> None:
        self._window_handle = window_handle
        self._create = create or _create_taskbar_list
        self._address: int | None = None

    def show(self, step: int | None, failed: bool) -> None:
        """A failed render leaves the whole button red."""
        if not self._ready():
            return
        window = ctypes.c_void_p(self._window_handle())
        state = _ERROR if failed else _NO_PROGRESS if step is None else _NORMAL
        self._call(_SET_STATE, window, ctypes.c_int(state))
        if state != _NO_PROGRESS:
            done = _STEPS if step is None else step
            self._call(_SET_VALUE, window, ctypes.c_ulonglong(done), ctypes.c_ulonglong(_STEPS))

    def close(self) -> None:
        """Clear the button and let go of the object."""
        if self._address:
            self._call(_SET_STATE, ctypes.c_void_p(self._window_handle()), ctypes.c_int(_NO_PROGRESS))
            self._call(_RELEASE)
            self._address = 0

    def _ready(self) -> bool:
        if self._address is None:
            self._address = self._create()
            if not self._address or self._call(_INITIALISE) < 0:
                _LOG.info("The taskbar shows no progress.")
                self._address = 0
        return self._address != 0

    def _call(self, place: int, *arguments: Any) -> int:
        """The function at this place of the object's table; its HRESULT, negative where it failed."""
        kind = getattr(ctypes, "WINFUNCTYPE", ctypes.CFUNCTYPE)
        prototype = kind(ctypes.c_long, ctypes.c_void_p, *(type(argument) for argument in arguments))
        table = ctypes.cast(self._address, ctypes.POINTER(ctypes.c_void_p))[0]  # type: ignore[arg-type]
        function = ctypes.cast(table, ctypes.POINTER(ctypes.c_void_p))[place]
        return int(prototype(function)(self._address, *arguments))


def _create_taskbar_list() -> int:
    """The address of a new ``ITaskbarList3``; 0 where Windows gives none."""
    found = ctypes.c_void_p()
    ole: Any = ctypes.windll.ole32  # type: ignore[attr-defined, unused-ignore]
    result = ole.CoCreateInstance(
        ctypes.create_string_buffer(_CLSID_TASKBAR_LIST.bytes_le, 16),
        None,
        _IN_PROCESS,
        ctypes.create_string_buffer(_IID_TASKBAR_LIST_3.bytes_le, 16),
        ctypes.byref(found),
    )
    return found.value or 0 if result >= 0 else 0
