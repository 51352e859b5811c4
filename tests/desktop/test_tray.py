"""The tray: progress and commands outside of the window, notifications, an app that stays without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace

import pytest
from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QAction, QIcon
from PySide6.QtWidgets import QSystemTrayIcon, QWidget
from pytestqt.qtbot import QtBot

from desktop.presenters.announcer import Announcer
from desktop.presenters.queue_head import Head, Overall
from desktop.presenters.window_settings import WindowSettings
from desktop.views import theme
from desktop.views.tray import Tray, ring_icon

RUNNING = Overall(
    fraction=0.456, phase="sample", finish_at=datetime(2030, 5, 1, 14, 32), waiting=2, name="a girl"
)


class Queue(QObject):
    """What the tray hears and calls of the queue."""

    progress_changed = Signal(object)
    head_changed = Signal(object)
    finished = Signal(str, object)
    failed = Signal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self.overall, self.head = Overall(), Head()
        self.holds: list[bool] = []
        self.actions = SimpleNamespace(hold=lambda on: self.holds.append(on))

    def show(self, overall: Overall) -> None:
        self.overall = overall
        self.progress_changed.emit(overall)

    def end(self, name: str, message: str = "") -> None:
        """One job has ended, with an error if there is a message."""
        if message:
            error = {"message": message, "action": "Do this."}
            state = SimpleNamespace(failure=SimpleNamespace(error=error))
            self.failed.emit(name, SimpleNamespace(name=name, state=state))
        else:
            self.finished.emit(name, SimpleNamespace(name=name))


class Icon(QSystemTrayIcon):
    """Notes what would be shown: without a screen there is no tray."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[tuple[str, str]] = []
        self.shown = False

    def show(self) -> None:
        self.shown = True

    def hide(self) -> None:
        self.shown = False

    def showMessage(self, title: str, text: str, _icon: QIcon, _shown_ms: int) -> None:  # type: ignore[override]
        self.messages.append((title, text))


class Scene:
    """A window with a tray."""

    def __init__(self, qtbot: QtBot) -> None:
        self.queue, self.settings, self.icon = Queue(), WindowSettings(), Icon()
        self.window = QWidget()
        qtbot.addWidget(self.window)
        self.announcer = Announcer(self.queue, self.settings)  # type: ignore[arg-type]
        self.tray = Tray(self.window, self.queue, self.announcer, self.settings, self.icon)  # type: ignore[arg-type]
        self.window.show()

    def pick(self, qtbot: QtBot, action: QAction) -> None:
        """Open the menu and click an entry."""
        menu = self.tray.menu
        menu.popup(self.window.pos())
        qtbot.waitUntil(menu.isVisible)
        qtbot.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(action).center())


@pytest.fixture
def scene(qtbot: QtBot) -> Iterator[Scene]:
    scene = Scene(qtbot)
    yield scene
    scene.tray.close()


def test_the_tool_tip_tells_how_the_work_stands(scene: Scene) -> None:
    scene.queue.show(RUNNING)
    assert scene.icon.toolTip() == "Pirouette\na girl: 45 %, all done at 14:32, 2 waiting"
    scene.queue.show(Overall())
    assert scene.icon.toolTip() == "Pirouette"


def test_the_icon_goes_with_the_app(scene: Scene) -> None:
    assert scene.icon.shown
    scene.tray.close()
    assert not scene.icon.shown


def test_the_ring_fills_with_progress() -> None:
    accent = theme.DARK.accent

    def filled(fraction: float) -> int:
        image = ring_icon(fraction).pixmap(64, 64).toImage()
        return sum(
            image.pixelColor(x, y).name() == accent
            for x in range(image.width())
            for y in range(image.height())
        )

    quarter, half, whole = filled(0.25), filled(0.5), filled(1.0)
    assert 0 < quarter < half < whole
    assert half == pytest.approx(2 * quarter, rel=0.1)


def test_the_icon_is_painted_anew_only_where_it_looks_different(scene: Scene) -> None:
    scene.queue.show(RUNNING)
    before = scene.icon.icon().cacheKey()
    scene.queue.show(replace(RUNNING, fraction=0.4561))
    assert scene.icon.icon().cacheKey() == before
    scene.queue.show(replace(RUNNING, fraction=0.5))
    assert scene.icon.icon().cacheKey() != before


def test_the_queue_is_held_from_the_menu(scene: Scene, qtbot: QtBot) -> None:
    scene.pick(qtbot, scene.tray.hold)
    assert scene.queue.holds == [True]
    scene.queue.head_changed.emit(Head(held=False))
    assert not scene.tray.hold.isChecked()


def test_closing_the_window_ends_it_unless_the_user_wants_the_tray(scene: Scene, qtbot: QtBot) -> None:
    assert scene.window.close()
    scene.window.show()
    scene.pick(qtbot, scene.tray.stay)
    assert not scene.window.close()
    assert not scene.window.isVisible()
    assert scene.icon.messages[-1][0] == "Pirouette is still running"
    assert scene.settings.flag("stay_in_tray")


def test_the_window_comes_back_from_the_tray(scene: Scene, qtbot: QtBot) -> None:
    scene.pick(qtbot, scene.tray.stay)
    scene.window.close()
    scene.icon.activated.emit(QSystemTrayIcon.ActivationReason.Trigger)
    assert scene.window.isVisible()
    scene.window.close()
    scene.pick(qtbot, scene.tray.show_window)
    assert scene.window.isVisible()
    assert len(scene.icon.messages) == 1  # explained once is enough


def test_quit_in_the_menu_closes_a_window_that_would_stay(scene: Scene, qtbot: QtBot) -> None:
    closed: list[bool] = []
    scene.window.closeEvent = lambda event: closed.append(event.isAccepted())  # type: ignore[method-assign]
    scene.pick(qtbot, scene.tray.stay)
    scene.window.close()
    assert closed == []
    scene.pick(qtbot, scene.tray.leave)
    assert closed == [True]


def test_the_end_of_a_session_is_not_held_up(scene: Scene, qtbot: QtBot) -> None:
    scene.pick(qtbot, scene.tray.stay)
    scene.tray.let_close()  # asked for by a session manager, which is not here
    assert scene.window.close()


def test_one_notification_when_all_is_done(scene: Scene) -> None:
    scene.window.hide()
    scene.queue.show(RUNNING)
    scene.queue.end("a girl")
    scene.queue.show(replace(RUNNING, name="b", waiting=0))
    assert scene.icon.messages == []
    scene.queue.end("b")
    scene.queue.show(Overall())
    assert scene.icon.messages == [("2 renders are done", "a girl, b")]
    scene.queue.show(replace(RUNNING, waiting=0))
    scene.queue.end("c")
    scene.queue.show(Overall())
    assert scene.icon.messages[1:] == [("The render is done", "c")]


def test_a_queue_held_by_the_user_counts_as_done(scene: Scene) -> None:
    scene.window.hide()
    scene.queue.show(RUNNING)
    scene.queue.end("a girl")
    scene.queue.overall, scene.queue.head = Overall(waiting=1), Head(held=True)
    scene.queue.head_changed.emit(scene.queue.head)
    assert scene.icon.messages == [("The render is done", "a girl")]


def test_a_failed_render_is_told_at_once_with_what_to_do(scene: Scene) -> None:
    scene.window.hide()
    scene.queue.show(RUNNING)
    scene.queue.end("a girl", message="There is no more memory.")
    assert scene.icon.messages == [("“a girl” was not rendered", "There is no more memory. Do this.")]


def test_a_failure_marks_the_icon_until_the_next_render_begins(scene: Scene) -> None:
    scene.queue.show(RUNNING)
    scene.announcer.set_wanted(False)
    plain = scene.icon.icon().cacheKey()
    scene.queue.end("a girl", message="There is no more memory.")
    assert scene.icon.icon().cacheKey() != plain
    scene.queue.show(Overall())
    assert scene.announcer.failed
    scene.queue.show(replace(RUNNING, fraction=0.0))
    assert not scene.announcer.failed


def test_nothing_is_told_once_that_is_turned_off(scene: Scene, qtbot: QtBot) -> None:
    scene.window.hide()
    assert scene.tray.notify.isChecked()
    scene.pick(qtbot, scene.tray.notify)
    scene.queue.end("a girl", message="There is no more memory.")
    scene.queue.end("b")
    assert scene.icon.messages == []


def test_a_window_that_is_looked_at_tells_it_itself(scene: Scene, qtbot: QtBot) -> None:
    scene.window.activateWindow()
    qtbot.waitUntil(scene.window.isActiveWindow)
    scene.queue.end("b")
    assert scene.icon.messages == []


def test_without_a_tray_the_window_closes_as_ever(qtbot: QtBot) -> None:
    window, queue, settings = QWidget(), Queue(), WindowSettings()
    qtbot.addWidget(window)
    settings.set_flag("stay_in_tray", True)
    announcer = Announcer(queue, settings)  # type: ignore[arg-type]
    tray = Tray(window, queue, announcer, settings)  # type: ignore[arg-type]
    window.show()
    queue.show(RUNNING)
    queue.end("a girl", message="No.")
    assert not tray.stays
    assert window.close()
    tray.close()
