"""The foot of the window, with real clicks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMainWindow, QMenu
from pytestqt.qtbot import QtBot

from core.catalogue.store.choices import Choices, write_choices
from core.catalogue.store.connect import open_hub
from core.hardware import Machine
from core.hardware.meter import Reading
from desktop.views.status_bar import StatusBar
from tests.desktop.setup_parts import GIB, Parts, card, computer, forget_environment, make_parts, paper_hub
from tests.fakes.hub_faults import Slow
from tests.fakes.small_store import paper_store

LONG = "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition"
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def show(qtbot: QtBot) -> Iterator[Callable[..., tuple[Parts, StatusBar]]]:
    made: list[Parts] = []

    def build(described: Machine, **options: object) -> tuple[Parts, StatusBar]:
        parts = make_parts(described, **options)  # type: ignore[arg-type]
        made.append(parts)
        window = QMainWindow()
        bar = StatusBar(parts.machine, parts.downloads)
        window.setStatusBar(bar)
        qtbot.addWidget(window)
        window.resize(1000, 300)
        window.show()
        parts.machine.start()
        parts.wait(lambda: parts.machine.reading)
        parts.window = window  # type: ignore[attr-defined]  # lives as long as the bar
        return parts, bar

    yield build
    for parts in made:
        parts.close()


def test_gpu_and_memory_are_told(show: Callable[..., tuple[Parts, StatusBar]]) -> None:
    _, bar = show(computer(card("a card", 24)))
    assert bar.gpu.text() == "a card"
    assert "24 GiB, compute capability 8.9" in bar.gpu.toolTip()
    assert bar.vram.text.text() == "3 of 24 GiB"
    assert bar.ram.text.text() == "11 of 64 GiB"


def test_a_long_name_is_cut_and_told_whole(show: Callable[..., tuple[Parts, StatusBar]]) -> None:
    parts, bar = show(computer(card(LONG, 96, (12, 0))))
    assert bar.gpu.text().endswith("…")
    assert LONG in bar.gpu.toolTip()
    assert bar.minimumSizeHint().width() <= 1000
    assert parts.machine.gpu is not None


def test_without_a_gpu_only_the_hosts_memory_is_shown(
    show: Callable[..., tuple[Parts, StatusBar]],
) -> None:
    _, bar = show(computer())
    assert bar.gpu.text() == "No usable GPU"
    assert bar.vram.isHidden()
    assert bar.ram.isVisible()
    assert bar.gpu.menu() is None


def test_a_meter_that_is_nearly_full_warns(show: Callable[..., tuple[Parts, StatusBar]]) -> None:
    parts, bar = show(computer(card("a card", 24)))
    assert bar.vram.bar.property("role") != "over"
    parts.machine.meters.emit(Reading(GIB, 64 * GIB, 24 * GIB, 24 * GIB))
    assert bar.vram.bar.property("role") == "over"
    assert bar.vram.bar.value() == bar.vram.bar.maximum()


def test_another_gpu_is_chosen_from_the_menu(
    show: Callable[..., tuple[Parts, StatusBar]], qtbot: QtBot
) -> None:
    parts, bar = show(computer(card("one", 24), card("two", 12, (8, 6), 2)))
    menu = bar.gpu.menu()
    assert isinstance(menu, QMenu)
    menu.popup(bar.mapToGlobal(bar.rect().topLeft()))
    target = next(action for action in menu.actions() if action.text().startswith("two"))
    qtbot.mouseClick(menu, LEFT, pos=menu.actionGeometry(target).center())
    assert parts.machine.device == "cuda:GPU-2"
    assert bar.gpu.text() == "two"


def test_a_hidden_window_reads_no_memory(show: Callable[..., tuple[Parts, StatusBar]], qtbot: QtBot) -> None:
    parts, bar = show(computer(card("a card", 24)))
    assert parts.machine._timer.isActive()
    bar.window().hide()
    assert not parts.machine._timer.isActive()
    bar.window().show()
    qtbot.waitUntil(parts.machine._timer.isActive)


def test_the_models_state_is_told(show: Callable[..., tuple[Parts, StatusBar]]) -> None:
    _, bar = show(computer())
    assert bar.engine.whole == "No model loaded"
    bar.show_engine("rendering", "steadydancer-14b-fp8")
    assert bar.engine.whole == "Rendering"
    assert "steadydancer-14b-fp8" in bar.engine.toolTip()


@pytest.mark.usefixtures("loopback")
def test_a_download_is_paused_and_gone_on_with_from_here(
    show: Callable[..., tuple[Parts, StatusBar]],
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forget_environment(monkeypatch, tmp_path)
    store = paper_store(tmp_path / "models")
    with paper_hub(store) as hub:
        write_choices(Choices(endpoint=hub.endpoint))
        hub.fail("half.safetensors", Slow(50, 0.05))
        parts, bar = show(computer(), open_store=lambda: store, make_hub=open_hub)
        assert bar.download.isHidden()
        parts.downloads.get(["steadydancer-14b-fp8"], "fp8")
        parts.wait(lambda: 0 < bar.download.bar.value() < bar.download.bar.maximum())
        assert bar.download.isVisible()
        qtbot.mouseClick(bar.download.pause, LEFT)
        parts.wait(lambda: parts.downloads.transfers[0].state == "paused")
        assert bar.download.text.whole.startswith("Paused at")
        qtbot.mouseClick(bar.download.pause, LEFT)
        parts.wait(lambda: parts.downloads.transfers[0].state == "done")
        assert bar.download.isHidden()


def test_details_lead_to_the_models(show: Callable[..., tuple[Parts, StatusBar]], qtbot: QtBot) -> None:
    parts, bar = show(computer(), make_hub=open_hub)
    write_choices(Choices(offline=True))
    parts.downloads.get(["vae-bf16"])
    parts.wait(lambda: parts.downloads.transfers[0].state == "failed")
    assert bar.download.text.property("role") == "problem"
    with qtbot.waitSignal(bar.models_asked):
        qtbot.mouseClick(bar.download.details, LEFT)
