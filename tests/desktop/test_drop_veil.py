"""Dragging over the window, with the events that the system sends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QMimeData, QObject, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDragMoveEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from desktop.views import theme
from desktop.views.drop_veil import DropVeil
from tests.desktop.library_parts import Parts, keypoints, make_parts, picture

SOON_MS = 15_000
LEFT = Qt.MouseButton.LeftButton
NONE = Qt.KeyboardModifier.NoModifier
COPY = Qt.DropAction.CopyAction


class Window(QWidget):
    """Something to drag over: a text field that takes text by itself, and a button."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.parts = parts
        self.field = QPlainTextEdit()
        self.button = QPushButton("Press")
        layout = QVBoxLayout(self)
        layout.addWidget(self.field)
        layout.addWidget(self.button)
        self.veil = DropVeil(self, parts.intake)
        self.resize(640, 480)


@pytest.fixture
def window(qtbot: QtBot) -> Iterator[Window]:
    parts = make_parts()
    made = Window(parts)
    qtbot.addWidget(made)
    made.show()
    qtbot.waitExposed(made)
    yield made
    parts.close()


def files(*paths: Path) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    data.setText("\n".join(str(path) for path in paths))
    return data


def native(window: Window) -> QObject:
    """What the system's events reach first."""
    handle = window.windowHandle()
    assert handle is not None
    return handle


def enter(target: QObject, data: QMimeData, at: QPoint) -> QDragEnterEvent:
    event = QDragEnterEvent(at, COPY, data, LEFT, NONE)
    QCoreApplication.sendEvent(target, event)
    return event


def move(target: QObject, data: QMimeData, at: QPoint) -> QDragMoveEvent:
    event = QDragMoveEvent(at, COPY, data, LEFT, NONE)
    QCoreApplication.sendEvent(target, event)
    return event


def drop(target: QObject, data: QMimeData, at: QPoint) -> QDropEvent:
    event = QDropEvent(QPointF(at), COPY, data, LEFT, NONE)
    QCoreApplication.sendEvent(target, event)
    return event


def leave(target: QObject) -> None:
    QCoreApplication.sendEvent(target, QDragLeaveEvent())


def test_a_drag_through_the_window_is_named_all_the_way_and_dropped(
    window: Window, tmp_path: Path, qtbot: QtBot
) -> None:
    data = files(picture(tmp_path / "a.png"), keypoints(tmp_path / "b.pose.json"))
    handle = native(window)
    assert enter(handle, data, QPoint(20, 20)).isAccepted()
    assert window.veil.isVisible()
    assert window.veil.geometry() == window.rect()
    assert window.veil.text.headline == "1 picture × 1 motion"
    for at in (window.field.geometry().center(), window.button.geometry().center()):
        event = move(handle, data, at)
        assert event.isAccepted()
        assert event.dropAction() == COPY
        assert window.veil.isVisible()
    with qtbot.waitSignal(window.parts.document.draft_changed, timeout=SOON_MS):
        drop(handle, data, window.button.geometry().center())
    assert not window.veil.isVisible()
    assert window.parts.document.draft.complete


def test_a_text_field_does_not_swallow_a_file_but_gets_its_text(
    window: Window, tmp_path: Path, qtbot: QtBot
) -> None:
    handle, at = native(window), window.field.geometry().center()
    data = files(picture(tmp_path / "a.png"))
    enter(handle, data, at)
    with qtbot.waitSignal(window.parts.document.draft_changed, timeout=SOON_MS):
        drop(handle, data, at)
    assert window.field.toPlainText() == ""
    text = QMimeData()
    text.setText("slow spin")
    enter(handle, text, at)
    assert not window.veil.isVisible()
    drop(handle, text, at)
    assert window.field.toPlainText() == "slow spin"


def test_a_wrong_file_is_refused_before_and_after_the_drop(
    window: Window, tmp_path: Path, qtbot: QtBot
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("words")
    data, handle, at = files(path), native(window), QPoint(300, 200)
    enter(handle, data, at)
    assert window.veil.text.is_refused
    assert move(handle, data, at).dropAction() == Qt.DropAction.IgnoreAction
    assert window.veil.isVisible()
    with qtbot.waitSignal(window.parts.intake.refused, timeout=SOON_MS) as refused:
        drop(handle, data, at)
    assert "notes.txt" in refused.args[0]
    assert not window.veil.isVisible()


def test_leaving_uncovers_the_window_and_nothing_is_eaten(
    window: Window, tmp_path: Path, qtbot: QtBot
) -> None:
    data, handle = files(tmp_path / "a.png"), native(window)
    for _ in range(3):
        enter(handle, data, QPoint(5, 5))
        assert window.veil.isVisible()
        leave(handle)
        assert not window.veil.isVisible()
    with qtbot.waitSignal(window.button.clicked):
        qtbot.mouseClick(window.button, LEFT)
    qtbot.keyClicks(window.field, "typed")
    assert window.field.toPlainText() == "typed"


def test_a_drag_whose_source_died_does_not_leave_the_window_covered(
    window: Window, tmp_path: Path, qtbot: QtBot
) -> None:
    enter(native(window), files(tmp_path / "a.png"), QPoint(5, 5))
    qtbot.mouseClick(window.veil, LEFT)
    assert not window.veil.isVisible()


def test_an_event_for_the_widget_under_the_pointer_will_do_too(
    window: Window, tmp_path: Path, qtbot: QtBot
) -> None:
    data = files(picture(tmp_path / "a.png"))
    at = QPoint(10, 10)
    enter(window.button, data, at)
    assert window.veil.isVisible()
    with qtbot.waitSignal(window.parts.document.draft_changed, timeout=SOON_MS):
        drop(window.veil, data, at)
    assert window.parts.document.draft.reference == tmp_path / "a.png"


def test_drags_of_our_own_rows_pass(window: Window) -> None:
    rows = QMimeData()
    rows.setData("application/x-pirouette-jobs", b"1,2")
    enter(native(window), rows, QPoint(5, 5))
    assert not window.veil.isVisible()


def test_the_veil_follows_the_window_and_the_theme(window: Window, tmp_path: Path) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    sheet, palette = app.styleSheet(), app.palette()
    enter(native(window), files(tmp_path / "a.png"), QPoint(5, 5))
    window.resize(800, 600)
    QCoreApplication.sendPostedEvents(None, QEvent.Type.Resize)
    assert window.veil.size() == window.size()
    seen = []
    try:
        for dark in (False, True):
            theme.apply(app, dark)
            seen.append(window.veil.grab().toImage().pixelColor(4, 4).lightness())
    finally:
        app.setStyleSheet(sheet)
        app.setPalette(palette)
    assert seen[0] > 150 > seen[1]
