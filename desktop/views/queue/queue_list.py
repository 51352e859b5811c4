"""The rows: selecting, dragging, keys, the menu of each, and one row that is folded out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from PySide6.QtCore import (
    QEvent,
    QItemSelectionModel,
    QKeyCombination,
    QMimeData,
    QModelIndex,
    QPoint,
    QRect,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractItemView, QFrame, QHeaderView, QTableView, QWidget

from desktop.presenters.queue_model import ITEM_ROLE, ROWS_MIME, QueueModel
from desktop.presenters.queue_pictures import RowThumbnails
from desktop.presenters.queue_words import Action, QueueItem
from desktop.views.queue.action_words import KEYS
from desktop.views.queue.row_delegate import RowDelegate
from desktop.views.queue.row_layout import ROW, layout_of
from desktop.views.theme import tokens_of

# Keys of single actions; Return and F2 depend on the row.
_KEYS: Final[Mapping[str, Action]] = {
    **{key: action for action, key in KEYS.items() if action not in ("play", "edit", "rename")},
    "Backspace": "remove",
}
# While the list has the focus these are its own, whatever they are in the window's menus.
_OWN_KEYS: Final = frozenset(
    {*_KEYS, *("Return", "Enter", "F2", "Up", "Down", "Home", "End", "PgUp", "PgDown", "Ctrl+A")}
)


class QueueList(QTableView):
    """The queue's model in one column.

    Signals:
        acted: action, ids of the rows it is for, their states.
        menu_asked: where on the screen; of what is selected.
        unfold_asked: id of a row that should show or hide what it has to tell.
    """

    acted = Signal(str, object, object)
    menu_asked = Signal(QPoint)
    unfold_asked = Signal(str)

    def __init__(self, model: QueueModel, thumbnails: RowThumbnails, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows = model
        self._drop_row: int | None = None
        self._panel: QWidget | None = None
        self._unfolded = ""
        self._is_tall = False
        self.setModel(model)
        self._delegate = RowDelegate(thumbnails, self)
        self.setItemDelegate(self._delegate)
        self._set_up_looks()
        self._set_up_dragging()
        for changed in (
            model.rowsInserted,
            model.rowsRemoved,
            model.rowsMoved,
            model.layoutChanged,
            model.modelReset,
        ):
            changed.connect(self._place_panel)
        self.verticalScrollBar().valueChanged.connect(self._follow)
        self.setAccessibleName(self.tr("Queue of renders"))

    @property
    def selected(self) -> list[QueueItem]:
        """Selected rows from the top."""
        numbers = sorted(index.row() for index in self.selectionModel().selectedRows())
        return [self._rows.item(number) for number in numbers]

    @property
    def unfolded(self) -> str:
        """Id of the row that is folded out, empty where none is."""
        return self._unfolded

    def unfold(self, job_id: str, panel: QWidget | None) -> None:
        """Show a panel under a row; None folds it in."""
        if self._panel is not None:
            self._panel.hide()
            self._panel.deleteLater()
        self._panel, self._unfolded = panel, job_id if panel is not None else ""
        if panel is not None:
            panel.setParent(self.viewport())
            panel.show()
        self._place_panel()
        number = self._rows.number_of(job_id)
        if panel is not None and number is not None:
            self.updateGeometries()  # the bar's range has to know the new height
            self.scrollTo(self._rows.index(number, 0))

    def resize_panel(self) -> None:
        """What it shows has become longer or shorter."""
        self._place_panel()

    def select(self, job_ids: Sequence[str]) -> None:
        """Select these rows and none else; the first becomes the current one."""
        selection = self.selectionModel()
        selection.clearSelection()
        flags = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
        numbers = [number for one in job_ids if (number := self._rows.number_of(one)) is not None]
        for number in numbers:
            selection.select(self._rows.index(number, 0), flags)
        if numbers:
            index = self._rows.index(numbers[0], 0)
            selection.setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)
            self.scrollTo(index)

    def rename_current(self) -> None:
        """Type over the name."""
        if self.currentIndex().isValid():
            self.edit(self.currentIndex())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys of the rows; the others are the table's, or the window's."""
        key = _name_of(event)
        action = _KEYS.get(key)
        if action is not None:
            self._act(action)
        elif key in ("Return", "Enter"):
            self._open(self.currentIndex())
        elif key == "F2":
            self.rename_current()
        elif key == "Space":
            event.ignore()  # plays, wherever the focus is
            return
        else:
            super().keyPressEvent(event)
            return
        event.accept()

    def event(self, event: QEvent) -> bool:
        """The list's keys come before the window's."""
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and _name_of(event) in _OWN_KEYS
        ):
            event.accept()
            return True
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A button of a row acts; elsewhere rows are selected and dragged."""
        hit = self._hit(event.position().toPoint())
        if hit is None or event.button() != Qt.MouseButton.LeftButton:
            super().mousePressEvent(event)
            return
        item, button, rect = hit
        self.select([item.id])
        if button == "unfold":
            self.unfold_asked.emit(item.id)
        elif button == "menu":
            self.menu_asked.emit(self.viewport().mapToGlobal(rect.bottomLeft()))
        else:
            self.acted.emit(button, [item.id], [item.state])

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Plays what is done, edits what waits, opens what failed."""
        if self._hit(event.position().toPoint()) is None:
            self._open(self.indexAt(event.position().toPoint()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """The row and the button under the pointer stand out."""
        point = event.position().toPoint()
        index, hit = self.indexAt(point), self._hit(point)
        self._hover((index.row() if index.isValid() else -1, None if hit is None else hit[1]))
        super().mouseMoveEvent(event)

    def viewportEvent(self, event: QEvent) -> bool:
        """Nothing stands out once the pointer is away."""
        if event.type() == QEvent.Type.Leave:
            self._hover((-1, None))
        return super().viewportEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """By mouse or by the menu key."""
        if event.reason() == QContextMenuEvent.Reason.Keyboard and self.currentIndex().isValid():
            place = self.visualRect(self.currentIndex()).center()
            self.menu_asked.emit(self.viewport().mapToGlobal(place))
        elif self.indexAt(event.pos()).isValid():
            self.menu_asked.emit(event.globalPos())

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Only our own rows; files go on to the window."""
        self._consider(event, event.mimeData())

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        """A line shows where the rows would go."""
        super().dragMoveEvent(event)
        self._consider(event, event.mimeData())

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """No line."""
        self._show_drop(None)
        super().dragLeaveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        """Asks the model for the move."""
        row = self._row_at(event.position().toPoint())
        self._show_drop(None)
        data = event.mimeData()
        action = Qt.DropAction.MoveAction
        if self._rows.canDropMimeData(data, action, row, 0, QModelIndex()):
            self._rows.dropMimeData(data, action, row, 0, QModelIndex())
            event.setDropAction(action)
            event.accept()
        else:
            event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The line of a drop lies over the rows."""
        super().paintEvent(event)
        if self._drop_row is None:
            return
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colour = QColor(tokens_of(self).accent)
        y = max(self._top_of(self._drop_row), 2)
        painter.setPen(QPen(colour, 2))
        painter.drawLine(10, y, self.viewport().width() - 4, y)
        painter.setBrush(colour)
        painter.drawEllipse(QPoint(7, y), 3, 3)
        painter.end()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The panel is as wide as the row."""
        super().resizeEvent(event)
        self._place_panel()

    def _set_up_looks(self) -> None:
        self.horizontalHeader().hide()
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.verticalHeader().hide()
        self.verticalHeader().setMinimumSectionSize(ROW)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(ROW)
        self.setShowGrid(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMouseTracking(True)
        self.setTabKeyNavigation(False)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)

    def _set_up_dragging(self) -> None:
        self.setDragEnabled(True)
        self.setAcceptDrops(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragDrop)
        self.setDragDropOverwriteMode(False)
        self.setDropIndicatorShown(False)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.setAutoScroll(True)

    def _act(self, action: Action) -> None:
        items = [item for item in self.selected if action in item.actions]
        if items:
            self.acted.emit(action, [item.id for item in items], [item.state for item in items])

    def _open(self, index: QModelIndex) -> None:
        if not index.isValid():
            return
        item: QueueItem = index.data(ITEM_ROLE)
        if item.state in ("failed", "interrupted"):
            self.unfold_asked.emit(item.id)
        elif "play" in item.actions:
            self.acted.emit("play", [item.id], [item.state])
        elif "edit" in item.actions:
            self.acted.emit("edit", [item.id], [item.state])

    def _hit(self, point: QPoint) -> tuple[QueueItem, str, QRect] | None:
        index = self.indexAt(point)
        if not index.isValid():
            return None
        item: QueueItem = index.data(ITEM_ROLE)
        for name, rect in layout_of(self.visualRect(index), item).buttons:
            if rect.contains(point):
                return item, name, rect
        return None

    def _hover(self, at: tuple[int, str | None]) -> None:
        if at != self._delegate.hovered:
            self._delegate.hovered = at
            self.viewport().update()

    def _consider(self, event: QDropEvent, data: QMimeData) -> None:
        row = self._row_at(event.position().toPoint())
        if not data.hasFormat(ROWS_MIME):
            event.ignore()
        elif self._rows.canDropMimeData(data, Qt.DropAction.MoveAction, row, 0, QModelIndex()):
            event.setDropAction(Qt.DropAction.MoveAction)
            event.accept()
            self._show_drop(row)
        else:
            event.ignore()
            self._show_drop(None)

    def _show_drop(self, row: int | None) -> None:
        if row != self._drop_row:
            self._drop_row = row
            self.viewport().update()

    def _row_at(self, point: QPoint) -> int:
        """Before which row a drop there goes."""
        index = self.indexAt(point)
        if not index.isValid():
            return self._rows.rowCount()
        rect = self.visualRect(index)
        return index.row() + (point.y() > rect.top() + ROW // 2)

    def _top_of(self, row: int) -> int:
        if row < self._rows.rowCount():
            return self.rowViewportPosition(row)
        return self.rowViewportPosition(row - 1) + self.rowHeight(row - 1) if row else 0

    def _place_panel(self) -> None:
        """Under its row, which is as high as both; other rows have their usual height."""
        header = self.verticalHeader()
        number = self._rows.number_of(self._unfolded) if self._panel is not None else None
        height = ROW
        if self._panel is not None:
            width = self.viewport().width()
            hint = self._panel.sizeHint().height()
            height += max(self._panel.heightForWidth(width), 0) or hint
        if self._is_tall or number is not None:
            for row in range(header.count()):
                wanted = height if row == number else ROW
                if header.sectionSize(row) != wanted:
                    header.resizeSection(row, wanted)
        self._is_tall = number is not None
        self._follow()

    def _follow(self) -> None:
        number = self._rows.number_of(self._unfolded) if self._panel is not None else None
        self._delegate.unfolded = -1 if number is None else number
        if self._panel is None:
            return
        self._panel.setVisible(number is not None)
        if number is not None:
            top = self.rowViewportPosition(number) + ROW
            self._panel.setGeometry(0, top, self.viewport().width(), self.rowHeight(number) - ROW - 1)


def _name_of(event: QKeyEvent) -> str:
    """A key with its modifiers, as in ``KEYS``; where it stands on the keyboard does not count."""
    plain = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    keys = QKeyCombination(plain, Qt.Key(event.key()))
    return QKeySequence(keys).toString(QKeySequence.SequenceFormat.PortableText)
