"""A tick box as our lists draw it: the platform's own is hardly seen on a dark ground."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QAbstractItemView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from desktop.views.icons import icon
from desktop.views.theme import Tokens, tokens_of

Index = QModelIndex | QPersistentModelIndex
_RADIUS: Final = 4


def draw_tick(painter: QPainter, box: QRect, ticked: bool, tokens: Tokens) -> None:
    """A square box with round corners, filled and checked where it is ticked."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(tokens.accent if ticked else tokens.strong_line), 1.2))
    painter.setBrush(QColor(tokens.accent if ticked else tokens.raised))
    painter.drawRoundedRect(QRectF(box), _RADIUS, _RADIUS)
    if ticked:
        inside = max(2, box.width() // 6)
        icon("check", tokens.accent_text).paint(painter, box.adjusted(inside, inside, -inside, -inside))
    painter.restore()


class TickDelegate(QStyledItemDelegate):
    """An item with its tick box in our colours, over the platform's, so that clicks hit the same place."""

    def __init__(self, view: QAbstractItemView) -> None:
        super().__init__(view)
        self._view = view

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """As usual, then the box."""
        super().paint(painter, option, index)
        state = index.data(Qt.ItemDataRole.CheckStateRole)
        if state is None:
            return
        known = QStyleOptionViewItem(option)
        self.initStyleOption(known, index)
        place = self._view.style().subElementRect(
            QStyle.SubElement.SE_ItemViewItemCheckIndicator, known, self._view
        )
        ticked = Qt.CheckState(state) == Qt.CheckState.Checked
        draw_tick(painter, place.adjusted(-1, -1, 1, 1), ticked, tokens_of(self._view))
