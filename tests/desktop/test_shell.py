"""What the app does outside of its window, together: files of a later start, quitting, staying awake."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QCloseEvent
from PySide6.QtWidgets import QMainWindow, QMessageBox
from pytestqt.qtbot import QtBot
from test_tray import RUNNING, Icon, Queue

from desktop import shell as shells
from desktop.presenters.queue_head import Overall
from desktop.presenters.single_instance import AlreadyOpen, SingleInstance
from desktop.presenters.window_settings import WindowSettings
from desktop.shell import Shell, hand_over
from desktop.views import tray as trays


class Window(QMainWindow):
    """A window with the menu entry that ends the app."""

    closed = Signal()

    def __init__(self) -> None:
        super().__init__()
        leave = QAction("Quit", self)
        leave.setShortcut("Ctrl+Q")
        leave.triggered.connect(self.close)
        self.addAction(leave)
        self.menus = {"quit": leave}

    def closeEvent(self, event: QCloseEvent) -> None:
        super().closeEvent(event)
        self.closed.emit()


class Noted:
    """Notes what the taskbar shows."""

    def __init__(self) -> None:
        self.shown: list[tuple[int | None, bool]] = []

    def show(self, step: int | None, failed: bool) -> None:
        self.shown.append((step, failed))

    def close(self) -> None:
        self.shown.append((-1, False))


class Scene:
    """A window, what stands behind it, and its shell."""

    def __init__(self, qtbot: QtBot, folder: Path) -> None:
        self.window, self.queue, self.taken = Window(), Queue(), []
        qtbot.addWidget(self.window)
        intake = SimpleNamespace(take=self.taken.append)
        self.parts = SimpleNamespace(queue=self.queue, settings=WindowSettings(), intake=intake)
        self.instance = SingleInstance(folder)
        assert self.instance.claim()
        self.window.show()
        self.shell = Shell(self.window, self.parts, self.instance)  # type: ignore[arg-type]


@pytest.fixture
def bar(monkeypatch: pytest.MonkeyPatch) -> Noted:
    bar = Noted()
    monkeypatch.setattr(shells, "taskbar_here", lambda _handle: bar)
    return bar


@pytest.fixture
def scene(qtbot: QtBot, bar: Noted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:  # noqa: ARG001
    monkeypatch.setattr(trays.QSystemTrayIcon, "isSystemTrayAvailable", staticmethod(lambda: True))
    monkeypatch.setattr(trays, "QSystemTrayIcon", _Tray)
    monkeypatch.setattr("desktop.presenters.keep_awake.ways_here", tuple)
    with tempfile.TemporaryDirectory(prefix="one-") as folder:
        scene = Scene(qtbot, Path(folder))
        yield scene
        scene.shell.close()


class _Tray(Icon):
    """Stands for the class, too."""

    def __init__(self, _parent: object = None) -> None:
        super().__init__()

    @staticmethod
    def isSystemTrayAvailable() -> bool:
        return True


def test_files_of_a_later_start_are_taken_and_the_window_comes_forward(scene: Scene) -> None:
    scene.window.showMinimized()
    scene.instance.files_given.emit([Path("/a.png")])
    assert scene.taken == [[Path("/a.png")]]
    assert not scene.window.isMinimized()
    scene.instance.files_given.emit([])
    assert len(scene.taken) == 1


def test_the_door_is_open_and_closed_with_the_window(scene: Scene) -> None:
    assert Path(scene.instance.name).exists()
    scene.window.close()
    assert not Path(scene.instance.name).exists()
    assert scene.instance.claim()  # free again
    scene.instance.close()


def test_awake_and_progress_while_a_render_runs(scene: Scene, bar: Noted) -> None:
    scene.queue.show(RUNNING)
    assert scene.shell.awake.on
    scene.queue.end("a girl", message="No.")
    scene.queue.show(Overall())
    assert not scene.shell.awake.on
    scene.queue.show(replace(RUNNING, fraction=0.1))
    assert bar.shown == [(45, False), (45, True), (None, True), (10, False)]


def test_quit_ends_an_app_that_stays_when_its_window_is_closed(scene: Scene, qtbot: QtBot) -> None:
    scene.parts.settings.set_flag("stay_in_tray", True)
    assert not scene.window.close()
    scene.shell.tray.bring_forward()
    with qtbot.waitSignal(scene.window.closed):
        qtbot.keyClick(scene.window, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
    assert not scene.window.isVisible()


def test_nothing_is_shown_after_the_end(scene: Scene, bar: Noted) -> None:
    scene.window.close()
    scene.queue.show(RUNNING)
    assert bar.shown == [(-1, False)]


def test_a_later_start_that_is_not_heard_says_so(monkeypatch: pytest.MonkeyPatch, qtbot: QtBot) -> None:
    told: list[str] = []
    monkeypatch.setattr(QMessageBox, "critical", lambda _parent, _title, text: told.append(text))
    instance = SingleInstance(Path("/nowhere"))
    monkeypatch.setattr(instance, "hand_over", _refuse)
    assert hand_over(instance, []) == 1
    assert told == ["It does not answer. Close it."]
    assert qtbot is not None


def _refuse(_files: object) -> None:
    raise AlreadyOpen("It does not answer.", action="Close it.")


def test_without_a_tray_the_desktop_shows_the_notes(qtbot: QtBot, bar: Noted) -> None:
    with tempfile.TemporaryDirectory(prefix="one-") as folder:
        scene = Scene(qtbot, Path(folder))
        told: list[tuple[str, str, bool]] = []
        scene.shell.notes.show = lambda *note: told.append(note)  # type: ignore[method-assign]
        scene.window.hide()
        scene.queue.end("b")
        assert told == [("The render is done", "b", False)]
        scene.shell.close()
    assert bar.shown == [(-1, False)]
