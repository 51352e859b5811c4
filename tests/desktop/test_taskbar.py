"""Progress on the taskbar: over a real bus on Linux, and through a table of functions as Windows has it."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator

import pytest
from session_bus import bus, needs_a_bus

from desktop.presenters.taskbar import LauncherEntry, Taskbar, WindowsBar

__all__ = ["bus"]
WINDOW = 0x1234


class Noted:
    """A bar that notes what it is told."""

    def __init__(self) -> None:
        self.shown: list[tuple[int | None, bool] | str] = []

    def show(self, step: int | None, failed: bool) -> None:
        self.shown.append((step, failed))

    def close(self) -> None:
        self.shown.append("closed")


class TaskbarList:
    """``ITaskbarList3`` in memory: an object whose first word is the address of its table of functions."""

    def __init__(self, result: int = 0) -> None:
        self.calls: list[tuple[str, ...] | tuple[str, int, int] | tuple[str, int, int, int]] = []
        kind = ctypes.CFUNCTYPE
        this, word, long = ctypes.c_void_p, ctypes.c_ulonglong, ctypes.c_long

        def begin(_this: int) -> int:
            self.calls.append(("init",))
            return result

        def release(_this: int) -> int:
            self.calls.append(("release",))
            return 0

        def value(_this: int, window: int, done: int, total: int) -> int:
            self.calls.append(("value", window, done, total))
            return 0

        def state(_this: int, window: int, flag: int) -> int:
            self.calls.append(("state", window, flag))
            return 0

        self._functions = {
            2: kind(long, this)(release),
            3: kind(long, this)(begin),
            9: kind(long, this, this, word, word)(value),
            10: kind(long, this, this, ctypes.c_int)(state),
        }
        self._table = (ctypes.c_void_p * 11)()
        for place, function in self._functions.items():
            self._table[place] = ctypes.cast(function, ctypes.c_void_p)
        self._object = ctypes.c_void_p(ctypes.addressof(self._table))
        self.address = ctypes.addressof(self._object)


def test_only_what_can_be_seen_is_told() -> None:
    bar = Noted()
    taskbar = Taskbar(bar)
    for fraction in (0.0, 0.001, 0.5, 0.5049, 1.2, None):
        taskbar.show_progress(fraction)
    taskbar.close()
    assert bar.shown == [(0, False), (50, False), (100, False), (None, False), "closed"]


def test_windows_gets_progress_failure_and_an_end() -> None:
    made = TaskbarList()
    bar = WindowsBar(lambda: WINDOW, lambda: made.address)
    bar.show(25, False)
    bar.show(None, True)
    bar.show(None, False)
    bar.close()
    assert made.calls == [
        ("init",),
        ("state", WINDOW, 2),
        ("value", WINDOW, 25, 100),
        ("state", WINDOW, 4),
        ("value", WINDOW, 100, 100),
        ("state", WINDOW, 0),
        ("state", WINDOW, 0),
        ("release",),
    ]


@pytest.mark.parametrize("made", [None, TaskbarList(result=-1)])
def test_a_windows_without_a_taskbar_is_asked_once(made: TaskbarList | None) -> None:
    asked: list[int] = []

    def create() -> int:
        asked.append(1)
        return made.address if made else 0

    bar = WindowsBar(lambda: WINDOW, create)
    for step in (1, 2):
        bar.show(step, False)
    bar.close()
    assert asked == [1]
    assert made is None or made.calls == [("init",)]


class Dock:
    """Listens as a dock does."""

    def __init__(self, address: str, wanted: int) -> None:
        from jeepney.bus_messages import MatchRule, message_bus
        from jeepney.io.blocking import Proxy, open_dbus_connection

        self.updates: list[tuple[str, dict[str, tuple[str, object]]]] = []
        self._wanted = wanted
        self._connection = open_dbus_connection(address)
        rule = MatchRule(type="signal", interface="com.canonical.Unity.LauncherEntry")
        Proxy(message_bus, self._connection).AddMatch(rule)
        self._thread = threading.Thread(target=self._listen, name="dock")
        self._thread.start()

    def _listen(self) -> None:
        from jeepney import HeaderFields

        while len(self.updates) < self._wanted:
            message = self._connection.receive(timeout=10)
            if message.header.fields.get(HeaderFields.member) == "Update":
                self.updates.append(message.body)

    def close(self) -> None:
        self._thread.join()
        self._connection.close()


@pytest.fixture
def dock(bus: str) -> Iterator[Dock]:
    dock = Dock(bus, wanted=3)
    yield dock
    dock.close()


@needs_a_bus
def test_a_dock_hears_progress_attention_and_the_end(dock: Dock) -> None:
    entry = LauncherEntry()
    entry.show(40, False)
    entry.show(None, True)
    entry.close()
    dock.close()
    assert [name for name, _ in dock.updates] == ["application://pirouette.desktop"] * 3
    shown = [{key: value for key, (_, value) in update.items()} for _, update in dock.updates]
    assert shown == [
        {"progress": 0.4, "progress-visible": True, "urgent": False},
        {"progress": 0.0, "progress-visible": False, "urgent": True},
        {"progress": 0.0, "progress-visible": False, "urgent": False},
    ]


def test_a_bus_that_is_gone_is_mentioned_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/at/all")
    caplog.set_level("INFO")
    entry = LauncherEntry()
    for step in (1, 2, 3):
        entry.show(step, False)
    entry.close()
    assert [record.message[:28] for record in caplog.records] == ["The dock shows no progress: "]
