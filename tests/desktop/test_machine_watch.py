"""The watch over the machine: what is there, which GPU is meant, and meters only while somebody looks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from pytestqt.qtbot import QtBot

from core.hardware import Machine
from core.hardware.meter import Meter
from desktop.presenters import machine_watch
from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.machine_watch import MachineWatch
from tests.desktop.setup_parts import GIB, Parts, card, computer, make_parts

FAST, OLD = card("a fast one", 24, (8, 9), 1), card("a large but old one", 48, (3, 7), 2)
SMALL = card("a small one", 8, (8, 6), 3)


@pytest.fixture
def make(qtbot: QtBot) -> Iterator[Callable[..., Parts]]:  # noqa: ARG001 (has the app)
    made: list[Parts] = []

    def build(described: Machine, document: Document | None = None) -> Parts:
        made.append(make_parts(described, document=document))
        return made[-1]

    yield build
    for parts in made:
        parts.close()


@pytest.fixture
def document(qtbot: QtBot) -> Iterator[Document]:  # noqa: ARG001 (has the app)
    background = Background("files")
    yield Document(background)
    background.close()


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readings follow each other quickly."""
    monkeypatch.setattr(machine_watch, "EVERY_MS", 5)


def test_nothing_is_looked_at_before_the_start(qtbot: QtBot) -> None:
    looked: list[str] = []

    def look() -> Machine:
        looked.append("machine")
        return computer()

    watch = MachineWatch(look=look)
    watch.set_visible(True)
    qtbot.wait(20)
    assert watch.machine is None
    assert not looked
    with qtbot.waitSignal(watch.machine_changed):
        watch.start()
    assert looked == ["machine"]
    watch.close()


@pytest.mark.usefixtures("often")
def test_meters_are_read_only_while_they_can_be_seen(make: Callable[..., Parts], qtbot: QtBot) -> None:
    parts = make(computer(FAST))
    parts.machine.start()
    parts.wait(lambda: parts.machine.machine)
    qtbot.wait(30)
    assert not parts.meter.asked
    parts.machine.set_visible(True)
    parts.wait(lambda: len(parts.meter.asked) >= 3)
    assert set(parts.meter.asked) == {"GPU-1"}
    assert parts.machine._timer.isActive()
    parts.machine.set_visible(False)
    assert not parts.machine._timer.isActive()


def test_the_gpu_is_the_planners_choice_until_one_is_named(make: Callable[..., Parts]) -> None:
    """A supported one counts for more than a larger one."""
    parts = make(computer(OLD, SMALL, FAST))
    parts.machine.start()
    parts.wait(lambda: parts.machine.machine)
    assert parts.machine.gpu == FAST
    parts.machine.choose("cuda:GPU-3")
    assert parts.machine.gpu == SMALL
    parts.machine.choose("cpu")
    assert parts.machine.gpu is None
    parts.machine.choose("cuda:GPU-9")
    assert parts.machine.gpu is None


def test_the_choice_is_the_drafts_and_can_be_undone(
    make: Callable[..., Parts], document: Document, qtbot: QtBot
) -> None:
    parts = make(computer(SMALL, FAST), document)
    parts.machine.start()
    parts.wait(lambda: parts.machine.machine)
    with qtbot.waitSignal(parts.machine.device_changed):
        parts.machine.choose("cuda:GPU-3")
    assert document.draft.device == "cuda:GPU-3"
    document.undo_stack.undo()
    assert (parts.machine.device, parts.machine.gpu) == ("auto", FAST)


def test_the_driver_is_let_go_at_the_end(make: Callable[..., Parts]) -> None:
    parts = make(computer(FAST))
    parts.machine.start()
    parts.machine.set_visible(True)
    parts.wait(lambda: parts.machine.reading)
    parts.machine.close()
    assert parts.meter.closed


def test_the_hosts_memory_is_read_without_a_gpu() -> None:
    meter = Meter()
    reading = meter.read(None)
    meter.close()
    assert 0 < reading.ram_used_bytes < reading.ram_total_bytes
    assert reading.vram_used_bytes is reading.vram_total_bytes is None


def test_the_gpu_is_opened_once_and_asked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def handle(uuid: str) -> str:
        calls.append("handle")
        return uuid

    library = SimpleNamespace(
        nvmlInit=lambda: calls.append("init"),
        nvmlShutdown=lambda: calls.append("shutdown"),
        nvmlDeviceGetHandleByUUID=handle,
        nvmlDeviceGetMemoryInfo=lambda _: SimpleNamespace(used=3 * GIB, total=24 * GIB),
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    meter = Meter()
    readings = [meter.read("GPU-1") for _ in range(3)]
    meter.close()
    assert {(one.vram_used_bytes, one.vram_total_bytes) for one in readings} == {(3 * GIB, 24 * GIB)}
    assert calls == ["init", "handle", "shutdown"]


def test_a_gpu_that_falls_silent_leaves_the_rest_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def lost(_: object) -> object:
        raise RuntimeError("the GPU is lost")

    library = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetHandleByUUID=lost,
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    meter = Meter(tmp_path)
    reading = meter.read("GPU-1")
    meter.close()
    assert reading.vram_used_bytes is None
    assert reading.ram_total_bytes > 0
