"""The checkpoints, with what is here of each: chosen ones narrow the table of files."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import (
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from desktop.model.model_rows import ModelRow, Shelf
from desktop.presenters import model_words
from desktop.presenters.downloads import Downloads
from desktop.views.theme import NARROW, RADIUS, SPACE, TIGHT, scaled, tokens_of

_ROW: Final = 50
_SMALL: Final = 0.9
_ID: Final = Qt.ItemDataRole.UserRole
_STATE: Final = Qt.ItemDataRole.UserRole + 1
_PRESENCE: Final = Qt.ItemDataRole.UserRole + 2


class ModelList(QListWidget):
    """“All files”, then a row a checkpoint.

    Signals:
        chosen: id of the checkpoint, empty for all files.
    """

    chosen = Signal(str)

    def __init__(self, downloads: Downloads, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._downloads = downloads
        self._shelf: Shelf | None = None
        self.setAccessibleName(self.tr("Models"))
        self.setItemDelegate(_RowDelegate(self))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setUniformItemSizes(True)
        self.currentItemChanged.connect(lambda *_: self.chosen.emit(self.model_id))

    @property
    def model_id(self) -> str:
        """The one that is chosen; empty for all files."""
        item = self.currentItem()
        return "" if item is None else str(item.data(_ID))

    def show_shelf(self, shelf: Shelf) -> None:
        """The models of a shelf; the choice stays."""
        ids = [row.id for row in shelf.models]
        known = [str(self.item(number).data(_ID)) for number in range(1, self.count())]
        self._shelf = shelf
        if ids != known:
            before = self.model_id
            self.blockSignals(True)
            self.clear()
            self._add("")
            for name in ids:
                self._add(name)
            self.blockSignals(False)
            self.choose(before)
        self.tell_states()

    def choose(self, model_id: str) -> None:
        """Make a checkpoint the current one; all files where it is not known."""
        for number in range(self.count()):
            if self.item(number).data(_ID) == model_id:
                self.setCurrentRow(number)
                return
        self.setCurrentRow(0)

    def tell_states(self) -> None:
        """Downloads have come further, or the shelf is another one."""
        shelf = self._shelf
        if shelf is None:
            return
        here = sum(bool(row.present_bytes) for row in shelf.files)
        for number in range(self.count()):
            item = self.item(number)
            row = shelf.model(str(item.data(_ID)))
            if row is None:
                state = self.tr("{here} of {count} on this computer")
                item.setData(_STATE, state.format(here=here, count=len(shelf.files)))
            else:
                self._show_model(item, row)

    def sizeHint(self) -> QSize:
        """Wide enough for the usual titles."""
        return QSize(250, 400)

    def _add(self, model_id: str) -> None:
        item = QListWidgetItem(self.tr("All files"))
        item.setData(_ID, model_id)
        self.addItem(item)

    def _show_model(self, item: QListWidgetItem, row: ModelRow) -> None:
        state = model_words.model_state(row, self._downloads.of(row.id))
        if row.best and row.state == "missing" and self._downloads.of(row.id) is None:
            size = model_words.size_short(row.missing_bytes, row.exact)
            state = self.tr("{size}, suits this computer").format(size=size)
        item.setText(row.title)
        item.setData(_STATE, state)
        item.setData(_PRESENCE, row.state)
        best = self.tr("Suits this computer") if row.best else ""
        item.setToolTip("\n".join(part for part in (row.title, row.id, state, best) if part))
        item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{row.title}, {state}")


class _RowDelegate(QStyledItemDelegate):
    """Two lines and a dot."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: QModelIndex | QPersistentModelIndex) -> QSize:
        """All rows alike."""
        return QSize(200, _ROW)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Title, state below, dot on the left; the one that suits is named on the right."""
        widget: QWidget = option.widget
        tokens = tokens_of(widget)
        rect: QRect = option.rect.adjusted(TIGHT, 1, -TIGHT, -1)
        state: QStyle.StateFlag = option.state
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        if state & QStyle.StateFlag.State_Selected:
            painter.setBrush(QColor(tokens.accent_soft))
            painter.drawRoundedRect(rect, RADIUS, RADIUS)
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.setBrush(QColor(tokens.hover))
            painter.drawRoundedRect(rect, RADIUS, RADIUS)
        if state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QColor(tokens.accent))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(rect, RADIUS, RADIUS)
        self._draw_text(painter, rect, index, widget)
        painter.restore()

    def _draw_text(
        self, painter: QPainter, rect: QRect, index: QModelIndex | QPersistentModelIndex, widget: QWidget
    ) -> None:
        tokens = tokens_of(widget)
        presence = index.data(_PRESENCE)
        left = rect.left() + SPACE
        if presence:
            colours = {"installed": tokens.success, "partial": tokens.warning}
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.get(presence, tokens.strong_line)))
            painter.drawEllipse(QRect(left, rect.top() + 13, NARROW, NARROW))
        left += NARROW + SPACE - 2
        width = rect.right() - left - NARROW
        title = QRect(left, rect.top() + TIGHT + 2, width, 20)
        painter.setFont(widget.font())
        painter.setPen(QColor(tokens.text))
        align = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        text = painter.fontMetrics().elidedText(str(index.data()), Qt.TextElideMode.ElideMiddle, width)
        painter.drawText(title, align, text)
        painter.setFont(scaled(widget.font(), _SMALL))
        line = str(index.data(_STATE) or "")
        painter.setPen(QColor(tokens.quiet))
        below = QRect(left, title.bottom() + 1, width, 18)
        painter.drawText(
            below, align, painter.fontMetrics().elidedText(line, Qt.TextElideMode.ElideRight, width)
        )
