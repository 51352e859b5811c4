"""The computer stays awake while something renders, by whatever the system offers."""

from __future__ import annotations

import logging
import os
import shlex
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from session_bus import Inhibited, bus, needs_a_bus

from desktop.presenters.keep_awake import Companion, ExecutionState, KeepAwake, SessionBus, ways_here

__all__ = ["bus"]
SERVICE = ("org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver", "org.freedesktop.ScreenSaver")


class Noted:
    """A way that works, or not, and notes what it is told and by which thread."""

    def __init__(self, name: str, works: bool = True, gate: threading.Event | None = None) -> None:
        self.name, self._works, self._gate = name, works, gate
        self.calls: list[tuple[str, int]] = []

    def begin(self) -> bool:
        if self._gate is not None:
            self._gate.wait(10)
        self.calls.append(("begin", threading.get_ident()))
        return self._works

    def end(self) -> None:
        self.calls.append(("end", threading.get_ident()))


@pytest.fixture
def service(bus: str) -> Iterator[Inhibited]:
    inhibited = Inhibited(bus, SERVICE[0])
    yield inhibited
    inhibited.close()


def test_the_first_way_that_works_is_taken_and_ended_on_the_same_thread() -> None:
    refused, taken, spare = Noted("refused", works=False), Noted("taken"), Noted("spare")
    awake = KeepAwake([refused, taken, spare])
    awake.set_on(True)
    awake.set_on(True)
    awake.close()
    assert [what for what, _ in taken.calls] == ["begin", "end"]
    assert [what for what, _ in refused.calls] == ["begin"]
    assert spare.calls == []
    assert len({thread for _, thread in taken.calls} | {threading.get_ident()}) == 2


def test_asking_a_system_that_does_not_answer_holds_nobody_up() -> None:
    gate = threading.Event()
    awake = KeepAwake([Noted("slow", gate=gate)])
    before_s = time.monotonic()
    awake.set_on(True)
    awake.set_on(False)
    assert time.monotonic() - before_s < 5, "it waited for the gate, which opens by itself after ten seconds"
    gate.set()
    awake.close()


def test_it_is_said_once_which_way_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    awake = KeepAwake([Noted("a coffee")])
    for on in (True, False, True, False):
        awake.set_on(on)
    awake.close()
    assert [record.message for record in caplog.records] == [
        "The computer is kept awake during renders, by a coffee."
    ]


def test_it_is_said_once_that_nothing_works(caplog: pytest.LogCaptureFixture) -> None:
    awake = KeepAwake([Noted("none", works=False)])
    for on in (True, False, True):
        awake.set_on(on)
    awake.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@needs_a_bus
def test_the_desktop_is_asked_and_let_go_of_over_the_session_bus(service: Inhibited) -> None:
    awake = KeepAwake([SessionBus(*SERVICE)])
    awake.set_on(True)
    assert service.holds.wait(10)
    assert service.asked == [("Pirouette", "A video is being rendered")]
    assert not service.released.is_set()
    awake.set_on(False)
    assert service.released.wait(10)
    awake.close()


@needs_a_bus
def test_it_can_be_asked_again_after_it_was_let_go_of(service: Inhibited) -> None:
    way = SessionBus(*SERVICE)
    for times in (1, 2):
        service.released.clear()
        assert way.begin()
        way.end()
        assert service.released.wait(10)
        assert len(service.asked) == times


@needs_a_bus
def test_a_bus_without_the_service_is_no_way(bus: str) -> None:
    assert bus
    assert not SessionBus(*SERVICE).begin()


def test_without_a_session_bus_the_next_way_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    assert not SessionBus(*SERVICE).begin()


def test_a_companion_runs_as_long_as_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = program(tmp_path, monkeypatch, "stay-up", 'echo $$ > "$(dirname "$0")/pid"\nexec cat\n')
    way = Companion("stay-up", ("-w", "1"))
    assert way.begin()
    process = psutil.Process(int(pids.read_text()))
    assert process.is_running()
    way.end()
    assert not process.is_running()


def test_a_companion_that_is_refused_is_no_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, "stay-up", "echo Failed to inhibit >&2\nexit 1\n")
    assert not Companion("stay-up", ()).begin()
    assert not Companion("not-installed-anywhere", ()).begin()


def test_windows_is_told_that_the_system_is_needed_but_not_the_display() -> None:
    states: list[int] = []
    way = ExecutionState(lambda state: states.append(state) or 1)  # type: ignore[func-returns-value]
    assert way.begin()
    way.end()
    assert states == [0x80000001, 0x80000000]


def test_each_system_has_its_ways() -> None:
    assert [way.name for way in ways_here("win32")] == ["Windows"]
    assert [way.name for way in ways_here("darwin")] == ["caffeinate"]
    assert [way.name for way in ways_here("linux")][-1] == "systemd-inhibit"


def program(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str) -> Path:
    """Put a program of the system's on the path; where it may note its process."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shlex.quote(str(folder))}{os.pathsep}{os.environ['PATH']}")
    return folder / "pid"
