"""Whatever is clicked, dragged, typed and scrolled: nothing breaks and nothing is left over."""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
from PySide6.QtCore import QEventLoop, QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QDialog,
    QFileDialog,
    QInputDialog,
    QMessageBox,
    QWidget,
)
from pytestqt.qtbot import QtBot
from whole_app import opened_app

from desktop.build import App
from desktop.views.window_commands import apply_theme

EVENTS: Final = 12
A_BATCH: Final = 25
A_FEW: Final = 12
# Of the later half over the earlier one. Caches of frames and thumbnails may fill, up to their 300 MiB.
MOST_GROWTH_BYTES: Final = 160 * 2**20
KEYS: Final = (
    *(Qt.Key.Key_Space, Qt.Key.Key_J, Qt.Key.Key_K, Qt.Key.Key_L, Qt.Key.Key_I, Qt.Key.Key_O),
    *(Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End),
    *(Qt.Key.Key_Tab, Qt.Key.Key_Backtab, Qt.Key.Key_Return, Qt.Key.Key_Escape, Qt.Key.Key_Delete),
    *(Qt.Key.Key_F, Qt.Key.Key_Plus, Qt.Key.Key_Minus, Qt.Key.Key_PageDown, Qt.Key.Key_A, Qt.Key.Key_F2),
    *(Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3, Qt.Key.Key_4, Qt.Key.Key_5, Qt.Key.Key_6),
)
MODIFIERS: Final = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ShiftModifier,
)
# With Control: undo, redo, paste, render, moves of rows. Not quit, open or save: they end or ask.
WITH_CONTROL: Final = (
    Qt.Key.Key_Z,
    Qt.Key.Key_Y,
    Qt.Key.Key_V,
    Qt.Key.Key_Return,
    Qt.Key.Key_Up,
    Qt.Key.Key_Down,
)


@pytest.fixture(autouse=True)
def no_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dialogs of the system are answered with Cancel, and nothing is opened outside."""
    for name in ("getOpenFileName", "getOpenFileNames", "getSaveFileName"):
        empty: Any = ([] if name.endswith("s") else "", "")
        monkeypatch.setattr(QFileDialog, name, staticmethod(lambda *_, empty=empty, **__: empty))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", staticmethod(lambda *_, **__: ""))
    monkeypatch.setattr(QInputDialog, "getText", staticmethod(lambda *_, **__: ("", False)))
    cancel = QMessageBox.StandardButton.Cancel
    monkeypatch.setattr(QMessageBox, "question", staticmethod(lambda *_, **__: cancel))
    monkeypatch.setattr("PySide6.QtGui.QDesktopServices.openUrl", staticmethod(lambda *_: True))


@pytest.fixture
def app(qtbot: QtBot) -> Iterator[App]:  # noqa: ARG001
    with opened_app() as opened:
        yield opened


@pytest.mark.slow
def test_random_sequences_break_nothing(app: App, picture: Path, motion: Path) -> None:
    live_through(app, range(A_FEW), [picture, motion])


@pytest.mark.faults
@pytest.mark.parametrize("first", range(0, 200, A_BATCH))
def test_two_hundred_random_sequences_break_nothing(
    app: App, first: int, picture: Path, motion: Path
) -> None:
    live_through(app, range(first, first + A_BATCH), [picture, motion])


def live_through(app: App, seeds: range, files: list[Path]) -> None:
    """Do what each seed says; exceptions, Qt's warnings and threads left over fail the test by themselves."""
    memory = []
    closer = QTimer(interval=15)
    closer.timeout.connect(close_popups)
    closer.start()
    for seed in seeds:
        hand = Hand(app, random.Random(seed), files)
        for _ in range(EVENTS):
            hand.act()
        tidy(app)
        gc.collect()
        memory.append(psutil.Process().memory_info().rss)
    closer.stop()
    half = len(memory) // 2
    growth = min(memory[half:]) - max(memory[:half])
    told = f"{growth / 2**20:+.1f} MiB, {threading.active_count()} threads"
    print(f"seeds {seeds.start} to {seeds.stop - 1}: {told}")
    assert growth < MOST_GROWTH_BYTES
    assert threading.active_count() < 48


class Hand:
    """Does one thing after the other, chosen by a seed."""

    def __init__(self, app: App, choose: random.Random, files: list[Path]) -> None:
        self._app, self._choose, self._files = app, choose, files

    def act(self) -> None:
        """One event or one gesture, and what follows from it."""
        acts: list[Callable[[], None]] = [
            self._click,
            self._click,
            self._press_key,
            self._press_key,
            self._drag,
            self._wheel,
            self._type,
            self._drop,
            self._button,
            self._button,
            self._other,
        ]
        self._choose.choice(acts)()
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)

    def _root(self) -> QWidget:
        """A dialog where one is open, else the window."""
        active = QApplication.activeModalWidget()
        return active if active is not None else self._app.window

    def _widget(self) -> QWidget:
        root = self._root()
        shown = [each for each in root.findChildren(QWidget) if self._usable(each)]
        return self._choose.choice(shown) if shown else root

    def _usable(self, widget: QWidget) -> bool:
        return widget.isVisible() and widget.isEnabled() and widget.width() > 4 and widget.height() > 4

    def _spot(self, widget: QWidget) -> QPoint:
        return QPoint(self._choose.randrange(widget.width()), self._choose.randrange(widget.height()))

    def _click(self) -> None:
        widget = self._widget()
        spot = self._spot(widget)
        if self._choose.random() < 0.15:
            QTest.mouseDClick(widget, Qt.MouseButton.LeftButton, pos=spot)
        else:
            QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=spot)

    def _button(self) -> None:
        buttons = [each for each in self._root().findChildren(QAbstractButton) if self._usable(each)]
        if buttons:
            button = self._choose.choice(buttons)
            QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=button.rect().center())

    def _drag(self) -> None:
        widget = self._widget()
        QTest.mousePress(widget, Qt.MouseButton.LeftButton, pos=self._spot(widget))
        for _ in range(3):
            QTest.mouseMove(widget, self._spot(widget))
        QTest.mouseRelease(widget, Qt.MouseButton.LeftButton, pos=self._spot(widget))

    def _press_key(self) -> None:
        target = QApplication.focusWidget() or self._root()
        if self._choose.random() < 0.2:
            QTest.keyClick(target, self._choose.choice(WITH_CONTROL), Qt.KeyboardModifier.ControlModifier)
        else:
            QTest.keyClick(target, self._choose.choice(KEYS), self._choose.choice(MODIFIERS))

    def _type(self) -> None:
        text = self._choose.choice(("a", "12", "-", "Zoo"))
        QTest.keyClicks(QApplication.focusWidget() or self._root(), text)

    def _wheel(self) -> None:
        widget = self._widget()
        spot = QPointF(self._spot(widget))
        event = QWheelEvent(
            spot,
            QPointF(widget.mapToGlobal(spot.toPoint())),
            QPoint(),
            QPoint(0, self._choose.choice((-240, -120, 120, 240))),
            Qt.MouseButton.NoButton,
            self._choose.choice((Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier)),
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(widget, event)

    def _drop(self) -> None:
        if QApplication.activeModalWidget() is not None:
            return
        window = self._app.window
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(self._choose.choice([*self._files, Path("song.mp3")])))])
        copy, button, key = (
            Qt.DropAction.CopyAction,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
        spot = self._spot(window)
        QApplication.sendEvent(window, QDragEnterEvent(spot, copy, data, button, key))
        QApplication.sendEvent(window.veil, QDropEvent(QPointF(spot), copy, data, button, key))

    def _other(self) -> None:
        kind = self._choose.randrange(4)
        window = self._app.window
        if kind == 0:
            apply_theme(self._choose.choice(("light", "dark")))
        elif kind == 1:
            window.resize(self._choose.randrange(1000, 1600), self._choose.randrange(640, 1000))
        elif kind == 2:
            window.menus["undo"].trigger()
        else:
            commands = self._app.commands
            self._choose.choice((commands.pose_check, commands.models, commands.first_run))()


def close_popups() -> None:
    """Menus that a click opened, whose own loop would wait for a choice."""
    popup = QApplication.activePopupWidget()
    if popup is not None:
        popup.close()


def tidy(app: App) -> None:
    """Close what is open; the next sequence starts in the window."""
    for widget in QApplication.topLevelWidgets():
        if isinstance(widget, QDialog) and widget.isVisible():
            widget.reject()
    app.window.stage.close_full_screen()
    QGuiApplication.clipboard().clear()
    QApplication.sendPostedEvents(None, 0)
    QApplication.processEvents()
