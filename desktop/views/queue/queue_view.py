"""The queue dock: header, list, what is folded out, and what is shown where there is nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QPoint, Qt, QUrl
from PySide6.QtGui import QDesktopServices, QHideEvent, QKeySequence, QShowEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from desktop.presenters.queue_details import Details
from desktop.presenters.queue_head import Head
from desktop.presenters.queue_presenter import QueuePresenter
from desktop.presenters.queue_words import ACTIONS, Action, QueueItem
from desktop.views.icons import icon
from desktop.views.queue.action_words import ICONS, KEYS, label
from desktop.views.queue.banner import QueueBanner
from desktop.views.queue.error_panel import ErrorPanel, way_words
from desktop.views.queue.header import QueueHeader
from desktop.views.queue.queue_list import QueueList
from desktop.views.theme import TIGHT, WIDE, role

if TYPE_CHECKING:
    from desktop.presenters.thumbnails import Thumbnails

# Several rows at once: what can be done with each of them.
_TOGETHER: Final[frozenset[Action]] = frozenset(
    {
        *("pause", "resume", "cancel", "retry", "duplicate", "run_next", "move_up", "move_down"),
        *("remove", "force_stop"),
    }
)
_SEPARATED: Final[frozenset[Action]] = frozenset({"run_next", "edit", "remove"})
_PICTURES: Final = "*.png *.jpg *.jpeg *.webp *.bmp *.tif *.tiff"
_MOTIONS: Final = "*.mp4 *.mov *.mkv *.webm *.avi *.m4v *.json *.npz"


class QueueView(QWidget):
    """Shows a ``QueuePresenter``.

    Args:
        queue: what is shown.
        thumbnails: of the rows' files; the presenter asks for them.
    """

    def __init__(self, queue: QueuePresenter, thumbnails: Thumbnails, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        del thumbnails
        self._queue = queue
        self._menu_wanted: tuple[str, QPoint] | None = None
        self._unfold_wanted = ""
        self.header = QueueHeader()
        self.banner = QueueBanner()
        self.list = QueueList(queue.model, queue.thumbnails)
        self.empty = self._empty()
        self._lay_out()
        self._connect()
        self._show_head(queue.head)

    def showEvent(self, event: QShowEvent) -> None:
        """What other programs do to the queue shows while it is seen."""
        super().showEvent(event)
        self._queue.set_visible(True)

    def hideEvent(self, event: QHideEvent) -> None:
        """Nobody looks."""
        super().hideEvent(event)
        self._queue.set_visible(False)

    def _lay_out(self) -> None:
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        role(self, "panel")
        self._pages = QStackedLayout()
        self._pages.addWidget(self.list)
        self._pages.addWidget(self.empty)
        line = role(QWidget(), "separator")
        line.setFixedHeight(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.header)
        column.addWidget(self.banner)
        column.addWidget(line)
        column.addLayout(self._pages, 1)

    def _connect(self) -> None:
        queue, actions = self._queue, self._queue.actions
        self.header.filter_changed.connect(queue.show_only)
        self.header.hold_asked.connect(actions.hold)
        self.header.stop_asked.connect(actions.stop_now)
        self.header.clear_asked.connect(actions.clear_finished)
        self.header.schedule_asked.connect(lambda fields: actions.set_schedule(**fields))
        self.banner.pressed.connect(self._on_banner)
        self.list.acted.connect(self._act)
        self.list.menu_asked.connect(self._on_menu)
        self.list.unfold_asked.connect(self._on_unfold)
        queue.head_changed.connect(self._show_head)
        queue.details_changed.connect(self._on_details)
        queue.thumbnails_changed.connect(self.list.viewport().update)
        queue.reveal_asked.connect(reveal)
        queue.model.rowsInserted.connect(self._show_page)
        queue.model.rowsRemoved.connect(self._show_page)

    def _empty(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.addStretch(1)
        column.setSpacing(TIGHT)
        self.empty_title = role(QLabel(), "heading")
        self.empty_text = role(QLabel(), "quiet")
        self.empty_text.setWordWrap(True)
        self.show_all = QPushButton(self.tr("Show all"))
        self.show_all.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.show_all.clicked.connect(self.header.clear_filter)
        for label_ in (self.empty_title, self.empty_text):
            label_.setAlignment(Qt.AlignmentFlag.AlignCenter)
            column.addWidget(label_)
        column.addWidget(self.show_all, 0, Qt.AlignmentFlag.AlignCenter)
        column.addStretch(1)
        column.setContentsMargins(WIDE, 0, WIDE, 0)
        return page

    def _show_head(self, head: Head) -> None:
        self.header.show_head(head)
        self.banner.show_head(head)
        self._show_page()

    def _show_page(self) -> None:
        """The list, or why there is none."""
        head = self._queue.head
        rows = self._queue.model.rowCount()
        self._pages.setCurrentWidget(self.list if rows else self.empty)
        if rows:
            return
        self.show_all.setVisible(head.filtered and not head.loading)
        if head.loading:
            self.empty_title.setText(self.tr("Opening the queue …"))
            self.empty_text.setText("")
        elif head.filtered and head.total:
            self.empty_title.setText(self.tr("No render matches"))
            self.empty_text.setText("")
        else:
            self.empty_title.setText(self.tr("Nothing is queued"))
            self.empty_text.setText(
                self.tr("Press Render, or drop several pictures and motions to queue all their pairs.")
            )

    def _on_banner(self, pressed: str) -> None:
        match pressed:
            case "try_again":
                self._queue.try_again()
            case "release":
                self._queue.actions.hold(False)
            case _:
                self._queue.dismiss_note()

    def _act(self, action: str, job_ids: Sequence[str], states: Sequence[str]) -> None:
        if action == "rename":
            self.list.rename_current()
        else:
            self._queue.actions.do(action, job_ids, states)  # type: ignore[arg-type]

    def _on_menu(self, place: QPoint) -> None:
        """At once, or as soon as the lighter ways are known that stand in it."""
        items = self.list.selected
        if not items:
            return
        if len(items) == 1 and "retry_lighter" in items[0].actions:
            self._menu_wanted = (items[0].id, place)
            self._queue.ask_details(items[0].id)
        else:
            self._pop_up(items, place, None)

    def _pop_up(self, items: Sequence[QueueItem], place: QPoint, details: Details | None) -> None:
        menu = self.menu_for(items, details)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(place)

    def menu_for(self, items: Sequence[QueueItem], details: Details | None) -> QMenu:
        """What may be done with these rows."""
        menu = QMenu(self)
        for action in ACTIONS:
            able = [item for item in items if action in item.actions]
            if not able or (len(items) > 1 and action not in _TOGETHER):
                continue
            if action in _SEPARATED and not menu.isEmpty():
                menu.addSeparator()
            if action == "retry_lighter":
                self._add_lighter(menu, details)
            else:
                self._add(menu, action, able)
        return menu

    def _add(self, menu: QMenu, action: Action, items: Sequence[QueueItem]) -> None:
        ids, states = [item.id for item in items], [item.state for item in items]
        made = menu.addAction(icon(ICONS[action]), label(action))
        made.setObjectName(action)
        if action in KEYS:
            made.setShortcut(QKeySequence(KEYS[action]))
            made.setShortcutVisibleInContextMenu(True)
            made.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        made.triggered.connect(lambda: self._act(action, ids, states))

    def _add_lighter(self, menu: QMenu, details: Details | None) -> None:
        """A submenu that says what each way changes; nothing where there is none."""
        if details is None or not details.lighter:
            return
        ways = menu.addMenu(icon(ICONS["retry_lighter"]), label("retry_lighter"))
        ways.setObjectName("retry_lighter")
        for way in details.lighter:
            made = ways.addAction(way_words(self, way))
            made.triggered.connect(
                lambda _=False, number=way.number: self._queue.actions.retry_lighter(details.id, number)
            )

    def _on_unfold(self, job_id: str) -> None:
        if self.list.unfolded == job_id:
            self.list.unfold("", None)
        else:
            self._unfold_wanted = job_id
            self._queue.ask_details(job_id)

    def _on_details(self, details: Details) -> None:
        if self._menu_wanted is not None and self._menu_wanted[0] == details.id:
            (_, place), self._menu_wanted = self._menu_wanted, None
            self._pop_up(self.list.selected, place, details)
        if self._unfold_wanted == details.id:
            self._unfold_wanted = ""
            self.list.unfold(details.id, self._panel(details))

    def _panel(self, details: Details) -> ErrorPanel:
        actions, job_id = self._queue.actions, details.id
        row = self._queue.model.row_of(job_id)
        panel = ErrorPanel(details, retryable=row is not None and row.state == "failed")
        panel.retry_asked.connect(lambda: self._folded("retry", job_id))
        panel.edit_asked.connect(lambda: actions.do("edit", [job_id], ["failed"]))
        panel.lighter_asked.connect(lambda number: actions.retry_lighter(job_id, number))
        panel.input_asked.connect(lambda name: self._choose_input(job_id, name))
        panel.folder_asked.connect(lambda folder: QDesktopServices.openUrl(QUrl.fromLocalFile(folder)))
        panel.resized.connect(self.list.resize_panel)
        return panel

    def _folded(self, action: Action, job_id: str) -> None:
        self.list.unfold("", None)
        self._queue.actions.do(action, [job_id], ["failed"])

    def _choose_input(self, job_id: str, name: str) -> None:
        kinds = _PICTURES if name == "reference" else _MOTIONS
        path, _ = QFileDialog.getOpenFileName(
            self, self.tr("Choose another file"), "", self.tr("Files ({kinds})").format(kinds=kinds)
        )
        if path:
            self.list.unfold("", None)
            self._queue.actions.replace_input(job_id, name, Path(path))  # type: ignore[arg-type]


def reveal(path: str) -> None:
    """Open the folder that a video lies in."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(Path(path).parent)))
