"""The dock driven as a person drives it: mouse, keys, menus, drags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import (
    QContextMenuEvent,
    QDragEnterEvent,
    QDragMoveEvent,
    QDropEvent,
    QKeySequence,
    QShortcut,
)
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QMenu, QPushButton
from pytestqt.qtbot import QtBot
from queue_dock import Dock

from core.errors import DiskError, OutOfMemory
from core.jobs.queue.job import Proposal
from core.jobs.queue.queue import Queue
from core.types import Failed, Failure
from desktop.views.queue import queue_list
from desktop.views.queue.action_words import KEYS
from desktop.views.queue.error_panel import ErrorPanel
from desktop.views.queue.queue_view import QueueView
from desktop.views.queue.row_layout import ROW, layout_of
from tests.fakes.queue_jobs import plan, request

NAMES = ["a", "b", "c", "d"]
LEFT = Qt.MouseButton.LeftButton
CONTROL = Qt.KeyboardModifier.ControlModifier


class Shown:
    """A dock with its widget, and a second hand on the same queue."""

    def __init__(self, qtbot: QtBot, folder: Path) -> None:
        self.dock = Dock(qtbot, folder)
        self.qtbot = qtbot
        self.queue = Queue(folder / "queue")
        self.view = QueueView(self.dock.presenter, self.dock.thumbnails)  # type: ignore[arg-type]
        qtbot.addWidget(self.view)
        self.view.resize(1100, 460)
        self.view.show()
        qtbot.waitExposed(self.view)
        self.list = self.view.list

    def fill(self, *names: str) -> list[str]:
        """Jobs that wait, shown."""
        jobs = self.queue.add([request(number) for number in range(len(names))], names)
        self.dock.presenter.open()
        self.wait_names(*names)
        return [job.id for job in jobs]

    def fail(self, job_id: str, error: OutOfMemory | DiskError, *proposals: Proposal) -> None:
        """As a render that failed."""
        state = Failed(Failure(error.to_json(), error.exit_code))
        with self.queue.open_lease() as lease:
            self.queue.run_next(job_id)
            assert self.queue.claim(lease) is not None
            self.queue.update(lease, job_id, proposals=proposals, state=state)
        self.dock.wait(lambda: self.dock.state(job_id) == "failed")

    def wait_names(self, *names: str) -> None:
        """The list shows these, from the top."""
        self.dock.wait(lambda: self.dock.names() == list(names))

    def place(self, row: int, x: int = 250) -> QPoint:
        """A point in a row."""
        return QPoint(x, self.list.rowViewportPosition(row) + ROW // 2)

    def button(self, row: int, name: str) -> QPoint:
        """Of a row."""
        rect = self.list.visualRect(self.dock.presenter.model.index(row, 0))
        places = dict(layout_of(rect, self.dock.presenter.model.item(row)).buttons)
        return places[name].center()

    def click(self, where: QPoint, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """With the left button."""
        QTest.mouseClick(self.list.viewport(), LEFT, modifier, where)

    def key(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """Into the list."""
        self.list.setFocus()
        QTest.keyClick(self.list, key, modifier)

    def drag(self, row: int, to: QPoint) -> None:
        """Rows that are selected, dropped there; the events that a drag sends."""
        index = self.dock.presenter.model.index(row, 0)
        data = self.dock.presenter.model.mimeData([index])
        viewport, action, none = (
            self.list.viewport(),
            Qt.DropAction.MoveAction,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(viewport, QDragEnterEvent(to, action, data, LEFT, none))
        QApplication.sendEvent(viewport, QDragMoveEvent(to, action, data, LEFT, none))
        drop = QDropEvent(QPointF(to), action, data, LEFT, none, QEvent.Type.Drop)
        QApplication.sendEvent(viewport, drop)

    def menu(self) -> QMenu:
        """The one that is open."""
        self.dock.wait(lambda: isinstance(QApplication.activePopupWidget(), QMenu))
        menu = QApplication.activePopupWidget()
        assert isinstance(menu, QMenu)
        return menu

    def close(self) -> None:
        """The widget goes first."""
        self.view.close()
        self.dock.close()
        self.queue.close()


@pytest.fixture
def shown(qtbot: QtBot, tmp_path: Path) -> Iterator[Shown]:
    made = Shown(qtbot, tmp_path)
    yield made
    made.close()


def choose(menu: QMenu, name: str) -> None:
    """Click an entry."""
    action = next(one for one in menu.actions() if one.objectName() == name)
    QTest.mouseClick(menu, LEFT, Qt.KeyboardModifier.NoModifier, menu.actionGeometry(action).center())


def test_an_empty_queue_says_what_fills_it(shown: Shown) -> None:
    shown.dock.presenter.open()
    shown.dock.wait(lambda: not shown.dock.presenter.head.loading)
    assert shown.view.empty.isVisible()
    assert shown.view.empty_title.text() == "Nothing is queued"
    assert not shown.view.header.clear.isEnabled()


def test_a_drag_moves_a_row_and_undo_takes_it_back(shown: Shown) -> None:
    shown.fill(*NAMES)
    shown.drag(3, QPoint(250, shown.list.rowViewportPosition(1) + 5))
    shown.wait_names("a", "d", "b", "c")
    assert shown.dock.stack.undoText() == "Move in queue"
    shown.dock.stack.undo()
    shown.wait_names(*NAMES)
    shown.dock.stack.redo()
    shown.wait_names("a", "d", "b", "c")


def test_pressing_and_moving_the_mouse_begins_a_drag(shown: Shown) -> None:
    shown.fill(*NAMES)
    viewport = shown.list.viewport()
    QTest.mousePress(viewport, LEFT, Qt.KeyboardModifier.NoModifier, shown.place(0))
    dragged: list[object] = []
    shown.list.startDrag = dragged.append  # type: ignore[method-assign]
    QTest.mouseMove(viewport, shown.place(1))
    QTest.mouseMove(viewport, shown.place(2))
    QTest.mouseRelease(viewport, LEFT, Qt.KeyboardModifier.NoModifier, shown.place(2))
    assert dragged


def test_several_rows_keep_their_order_when_moved(shown: Shown) -> None:
    shown.fill(*NAMES)
    shown.click(shown.place(0))
    shown.click(shown.place(2), CONTROL)
    shown.key(Qt.Key.Key_Down, CONTROL)
    shown.wait_names("b", "d", "a", "c")
    assert [item.name for item in shown.list.selected] == ["a", "c"]


def test_keys_move_the_row_up_and_down(shown: Shown) -> None:
    shown.fill(*NAMES)
    shown.click(shown.place(1))
    shown.key(Qt.Key.Key_Down, CONTROL)
    shown.wait_names("a", "c", "b", "d")
    shown.key(Qt.Key.Key_Up, CONTROL)
    shown.wait_names(*NAMES)
    shown.key(Qt.Key.Key_Home, CONTROL)
    shown.wait_names("b", "a", "c", "d")


def test_delete_takes_rows_off_the_list_and_undo_brings_them_back(shown: Shown) -> None:
    ids = shown.fill(*NAMES)
    shown.click(shown.place(1))
    shown.click(shown.place(2), Qt.KeyboardModifier.ShiftModifier)
    shown.key(Qt.Key.Key_Delete)
    shown.wait_names("a", "d")
    shown.dock.stack.undo()
    shown.wait_names(*NAMES)
    assert [row.id for row in shown.dock.presenter.model.rows] == ids


def test_a_name_is_typed_over_in_place(shown: Shown) -> None:
    shown.fill(*NAMES)
    shown.click(shown.place(1))
    shown.key(Qt.Key.Key_F2)
    line = shown.list.findChild(QLineEdit)
    QTest.keySequence(line, QKeySequence("Ctrl+A"))
    QTest.keyClicks(line, "Opening night")
    QTest.keyClick(line, Qt.Key.Key_Return)
    shown.wait_names("a", "Opening night", "c", "d")
    shown.dock.stack.undo()
    shown.wait_names(*NAMES)


def test_the_menu_of_a_row_offers_what_its_state_allows(shown: Shown) -> None:
    shown.fill(*NAMES)
    shown.click(shown.button(2, "menu"))
    menu = shown.menu()
    offered = {action.objectName() for action in menu.actions()}
    assert {"edit", "duplicate", "run_next", "pause", "cancel", "rename", "remove"} <= offered
    assert not offered & {"play", "retry", "resume", "retry_lighter"}
    choose(menu, "run_next")
    shown.wait_names("c", "a", "b", "d")


def test_the_context_menu_pauses_and_the_button_resumes(shown: Shown) -> None:
    ids = shown.fill(*NAMES)
    shown.click(shown.place(0))
    place = shown.place(0)
    reason = QContextMenuEvent.Reason.Mouse
    QApplication.sendEvent(
        shown.list.viewport(), QContextMenuEvent(reason, place, shown.list.viewport().mapToGlobal(place))
    )
    choose(shown.menu(), "pause")
    shown.dock.wait(lambda: shown.dock.state(ids[0]) == "paused")
    shown.click(shown.button(0, "resume"))
    shown.dock.wait(lambda: shown.dock.state(ids[0]) == "queued")


def test_cancelling_what_waits_can_be_undone(shown: Shown) -> None:
    ids = shown.fill(*NAMES)
    shown.click(shown.button(1, "menu"))
    choose(shown.menu(), "cancel")
    shown.dock.wait(lambda: shown.dock.state(ids[1]) == "cancelled")
    shown.dock.stack.undo()
    shown.wait_names(*NAMES)


def test_a_duplicate_stands_behind_its_model_and_undo_removes_it(shown: Shown) -> None:
    shown.fill(*NAMES)
    shown.click(shown.place(0))
    shown.key(Qt.Key.Key_D, CONTROL)
    shown.wait_names("a", "dance 0 (2)", "b", "c", "d")
    shown.dock.stack.undo()
    shown.wait_names(*NAMES)


def test_return_edits_what_waits(shown: Shown) -> None:
    shown.fill(*NAMES)
    shown.click(shown.place(1))
    with shown.qtbot.waitSignal(shown.dock.presenter.edit_asked) as asked:
        shown.key(Qt.Key.Key_Return)
    assert asked.args[0].name == "b"


def test_a_video_that_is_gone_is_said_instead_of_played(shown: Shown) -> None:
    (job_id,) = shown.fill("a")
    shown.dock.presenter.actions.do("play", [job_id], ["done"])
    shown.dock.wait(lambda: bool(shown.dock.refused))
    assert "not there any more" in shown.dock.refused[0][0]


def test_a_failed_row_folds_out_with_sentence_cause_and_ways_on(shown: Shown) -> None:
    ids = shown.fill(*NAMES)
    error = OutOfMemory(
        "The GPU ran out of memory.", value="23.6 GB", limit="22 GB", action="Retry it lighter."
    )
    lighter = Proposal(replace(plan(), frames=49), ("49 frames instead of 81.",), keeps_quality=False)
    shown.fail(ids[0], error, lighter)

    shown.click(shown.button(3, "unfold"))
    shown.dock.wait(lambda: shown.list.unfolded == ids[0])
    panel = shown.list.findChild(ErrorPanel)
    assert "The GPU ran out of memory. Retry it lighter." in texts(panel)
    assert "Cause: 23.6 GB; limit: 22 GB" in texts(panel)
    assert "Lighter: 49 frames instead of 81." in texts(panel)
    assert shown.list.rowHeight(3) > ROW

    button = panel.findChild(QPushButton, "lighter")
    QTest.mouseClick(button, LEFT)
    shown.dock.wait(lambda: len(shown.dock.names()) == 5)
    made = shown.queue.get(shown.dock.presenter.model.rows[3].id)
    assert made.forced_plan is not None
    assert made.forced_plan.frames == 49


def test_the_menu_of_a_failed_row_lists_the_lighter_ways(shown: Shown) -> None:
    ids = shown.fill("a")
    ways = [
        Proposal(plan(), (text,), keeps_quality=True) for text in ("Stream 12 blocks.", "Tile the decoder.")
    ]
    shown.fail(ids[0], OutOfMemory("Too little memory."), *ways)
    shown.click(shown.button(0, "menu"))
    menu = shown.menu()
    entry = next(one for one in menu.actions() if one.menu() is not None)
    assert [one.text() for one in entry.menu().actions()] == [
        "Stream 12 blocks. (same picture)",
        "Tile the decoder. (same picture)",
    ]
    menu.close()


def test_missing_inputs_and_full_drives_have_buttons_of_their_own(shown: Shown) -> None:
    ids = shown.fill("a")
    shown.fail(ids[0], DiskError("The drive is full."))
    shown.click(shown.place(0))
    shown.key(Qt.Key.Key_Return)
    shown.dock.wait(lambda: shown.list.unfolded == ids[0])
    words = {button.text() for button in shown.list.findChild(ErrorPanel).findChildren(QPushButton)}
    assert {"Choose another picture…", "Choose another motion…", "Open the results folder", "Retry"} <= words


def test_retry_from_the_panel_queues_it_again(shown: Shown) -> None:
    ids = shown.fill("a")
    shown.fail(ids[0], OutOfMemory("Too little memory."))
    shown.click(shown.button(0, "retry"))
    shown.dock.wait(lambda: shown.dock.state(ids[0]) == "queued")


def test_the_filter_and_the_search_narrow_the_list_and_say_when_nothing_matches(shown: Shown) -> None:
    ids = shown.fill(*NAMES)
    shown.fail(ids[0], OutOfMemory("Too little memory."))
    shown.view.header.group.setFocus()
    QTest.keyClick(shown.view.header.group, Qt.Key.Key_End)
    shown.wait_names("a")
    QTest.keyClicks(shown.view.header.search, "zzz")
    shown.wait_names()
    assert shown.view.empty_title.text() == "No render matches"
    QTest.mouseClick(shown.view.show_all, LEFT)
    shown.wait_names("b", "c", "d", "a")


def test_the_header_holds_releases_and_clears(shown: Shown) -> None:
    ids = shown.fill(*NAMES)
    shown.fail(ids[0], OutOfMemory("Too little memory."))
    QTest.mouseClick(shown.view.header.hold, LEFT)
    shown.dock.wait(lambda: shown.view.banner.isVisible())
    assert shown.queue.setting("held", False)
    QTest.mouseClick(shown.view.banner.button, LEFT)
    shown.dock.wait(lambda: not shown.view.banner.isVisible())
    assert not shown.queue.setting("held", True)
    QTest.mouseClick(shown.view.header.clear, LEFT)
    shown.wait_names("b", "c", "d")
    shown.dock.stack.undo()
    shown.wait_names("b", "c", "d", "a")


def test_what_another_program_changes_shows_while_the_dock_is_seen(shown: Shown) -> None:
    shown.fill(*NAMES)
    shown.queue.rename(shown.dock.presenter.model.rows[0].id, "changed elsewhere")
    shown.wait_names("changed elsewhere", "b", "c", "d")


def test_a_render_of_another_program_is_shown_and_said(shown: Shown) -> None:
    ids = shown.fill(*NAMES)
    with shown.queue.open_lease() as lease:
        shown.queue.claim(lease)
        shown.dock.wait(lambda: shown.dock.state(ids[0]) == "running")
        shown.dock.wait(lambda: "Another program" in shown.view.banner.text.text())
        assert shown.dock.presenter.current is None
        assert shown.dock.presenter.overall.busy


def texts(panel: ErrorPanel) -> list[str]:
    from PySide6.QtWidgets import QLabel

    return [label.text() for label in panel.findChildren(QLabel)]


def test_the_lists_keys_come_before_the_windows(shown: Shown) -> None:
    shown.fill(*NAMES)
    stolen = QShortcut(QKeySequence("Del"), shown.view)
    fired: list[bool] = []
    stolen.activated.connect(lambda: fired.append(True))
    shown.click(shown.place(0))
    shown.key(Qt.Key.Key_Delete)
    shown.wait_names("b", "c", "d")
    assert not fired


def test_every_key_that_a_menu_shows_does_something_in_the_list() -> None:
    assert set(KEYS.values()) - {"Return", "F2"} <= set(queue_list._KEYS)
