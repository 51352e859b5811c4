"""Draws a render of the queue: pictures, name and facts, state with its bar, times, two buttons."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QHelpEvent, QPainter, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QLineEdit,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolTip,
    QWidget,
)

from desktop.presenters.queue_model import ITEM_ROLE
from desktop.presenters.queue_pictures import RowThumbnails
from desktop.presenters.queue_words import QueueItem
from desktop.views.queue.action_words import ICONS, STATE_ICONS, tip
from desktop.views.queue.drawn import Drawn
from desktop.views.queue.row_layout import ROW, RowLayout, layout_of
from desktop.views.theme import ICON, RADIUS, TIGHT, Tokens, scaled, tokens_of

Index = QModelIndex | QPersistentModelIndex
_STATE_ICON: Final = 14
_LEFT: Final = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT: Final = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class RowDelegate(QStyledItemDelegate):
    """Paints rows; the view tells it where the pointer is.

    Args:
        thumbnails: of the rows' files.
    """

    def __init__(self, thumbnails: RowThumbnails, view: QAbstractItemView) -> None:
        super().__init__(view)
        self._thumbnails, self._view = thumbnails, view
        self._drawn = Drawn(view)
        self.hovered: tuple[int, str | None] = (-1, None)
        self.unfolded = -1

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Rows are as wide as the list."""
        del index
        return QSize(option.rect.width(), ROW)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """One row."""
        item: QueueItem = index.data(ITEM_ROLE)
        rect: QRect = option.rect
        tokens = tokens_of(self._view)
        places = layout_of(rect, item)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._ground(painter, option, index.row(), tokens)
        self._pictures(painter, item, places, tokens)
        self._words(painter, item, places, tokens)
        self._state(painter, item, places, tokens)
        self._buttons(painter, index.row(), places, tokens)
        painter.restore()

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: Index) -> QWidget:
        """A line for the name."""
        del option, index
        editor = QLineEdit(parent)
        editor.setAccessibleName(self.tr("Name of the render"))
        return editor

    def setEditorData(self, editor: QWidget, index: Index) -> None:
        """Once: a row that is drawn anew must not take back what was typed."""
        if isinstance(editor, QLineEdit) and not editor.isModified():
            editor.setText(index.data(Qt.ItemDataRole.EditRole))
            editor.selectAll()

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: Index) -> None:
        """Asks the model for the new name."""
        assert isinstance(editor, QLineEdit)
        model.setData(index, editor.text(), Qt.ItemDataRole.EditRole)

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, index: Index) -> None:
        """Over the name."""
        name = layout_of(option.rect, index.data(ITEM_ROLE)).name
        editor.setGeometry(name.adjusted(-7, -5, 0, 5))

    def helpEvent(
        self, event: QHelpEvent, view: QAbstractItemView, option: QStyleOptionViewItem, index: Index
    ) -> bool:
        """What a button does; elsewhere what may have been cut off."""
        if not index.isValid():
            return False
        item: QueueItem = index.data(ITEM_ROLE)
        button = layout_of(option.rect, item).button_at(event.pos().x(), event.pos().y())
        parts = [tip(button)] if button else [item.name, item.facts, item.why]
        text = "\n".join(part for part in parts if part)
        QToolTip.showText(event.globalPos(), text, view)
        return True

    def _ground(self, painter: QPainter, option: QStyleOptionViewItem, row: int, tokens: Tokens) -> None:
        rect: QRect = option.rect
        state = option.state
        selected = bool(state & QStyle.StateFlag.State_Selected)
        if selected or row == self.hovered[0]:
            painter.fillRect(rect, QColor(tokens.accent_soft if selected else tokens.hover))
        painter.fillRect(QRect(rect.left(), rect.bottom(), rect.width(), 1), QColor(tokens.line))
        if state & QStyle.StateFlag.State_HasFocus and self._view.hasFocus():
            painter.setPen(QPen(QColor(tokens.accent), 1))
            painter.drawRoundedRect(rect.adjusted(1, 1, -2, -2), RADIUS, RADIUS)

    def _pictures(self, painter: QPainter, item: QueueItem, places: RowLayout, tokens: Tokens) -> None:
        if not places.handle.isEmpty():
            self._icon(painter, "drag", places.handle, tokens.faint, 16)
        for path, rect, sign in (
            (item.reference, places.reference, "image"),
            (item.motion, places.motion, "film"),
        ):
            if rect.isEmpty():
                continue
            image = self._thumbnails.image(path)
            if image is None or image.isNull():
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(tokens.track))
                painter.drawRoundedRect(rect, TIGHT, TIGHT)
                self._icon(painter, sign, rect, tokens.faint, ICON)
            else:
                painter.drawPixmap(rect.topLeft(), self._drawn.picture(image, rect.width()))

    def _words(self, painter: QPainter, item: QueueItem, places: RowLayout, tokens: Tokens) -> None:
        font = self._view.font()
        strong = scaled(font, 1.0, QFont.Weight.DemiBold)
        small = scaled(font, 0.9)
        gone = item.state == "cancelled"
        _text(painter, strong, places.name, item.name, tokens.quiet if gone else tokens.text)
        _text(painter, small, places.facts, item.facts, tokens.quiet)
        if places.stacked:
            _text(painter, small, places.clock, item.clock, tokens.quiet, _RIGHT)
            return
        _text(painter, font, places.time, item.clock, tokens.text, _RIGHT)
        _text(painter, small, places.clock, item.time, tokens.quiet, _RIGHT)

    def _state(self, painter: QPainter, item: QueueItem, places: RowLayout, tokens: Tokens) -> None:
        colour = {
            "running": tokens.accent,
            "done": tokens.success,
            "failed": tokens.danger,
            "interrupted": tokens.warning,
            "paused": tokens.warning,
        }.get(item.state, tokens.quiet)
        sign = QRect(places.status.left(), places.status.top(), _STATE_ICON, places.status.height())
        self._icon(painter, STATE_ICONS[item.state], sign, colour, _STATE_ICON)
        font = scaled(self._view.font(), 0.95)
        words = places.status.adjusted(_STATE_ICON + 6, 0, 0, 0)
        plain = item.state in ("queued", "running", "cancelled")
        text = item.status
        if places.stacked and item.state == "running" and item.time:
            text = f"{item.status} · {item.time}"
        _text(painter, font, words, text, tokens.quiet if plain else colour)
        if item.fraction is not None and (places.stacked or not item.why):
            _bar(painter, places.bar, item.fraction, colour, tokens)
        elif item.why and not places.stacked:
            below = QRect(words.left(), places.facts.top(), words.width(), places.facts.height())
            _text(painter, scaled(self._view.font(), 0.9), below, item.why, tokens.quiet)

    def _buttons(self, painter: QPainter, row: int, places: RowLayout, tokens: Tokens) -> None:
        for name, rect in places.buttons:
            if self.hovered == (row, name):
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(tokens.pressed))
                painter.drawRoundedRect(rect, RADIUS, RADIUS)
            colour = tokens.danger if name == "force_stop" else tokens.text
            sign = "chevron-down" if name == "unfold" and row == self.unfolded else ICONS[name]
            self._icon(painter, sign, rect, colour, ICON if name != "unfold" else _STATE_ICON)

    def _icon(self, painter: QPainter, name: str, rect: QRect, colour: str, side: int) -> None:
        place = QRect(0, 0, side, side)
        place.moveCenter(rect.center())
        painter.drawPixmap(place.topLeft(), self._drawn.icon(name, colour, side))


def _text(
    painter: QPainter,
    font: QFont,
    rect: QRect,
    text: str,
    colour: str,
    align: Qt.AlignmentFlag = _LEFT,
) -> None:
    if rect.isEmpty() or not text:
        return
    painter.setFont(font)
    painter.setPen(QColor(colour))
    cut = QFontMetrics(font).elidedText(" ".join(text.split()), Qt.TextElideMode.ElideRight, rect.width())
    painter.drawText(rect, align, cut)


def _bar(painter: QPainter, rect: QRect, fraction: float, colour: str, tokens: Tokens) -> None:
    radius = rect.height() / 2
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(tokens.track))
    painter.drawRoundedRect(rect, radius, radius)
    done = QRect(rect.topLeft(), QSize(max(round(rect.width() * fraction), rect.height()), rect.height()))
    painter.setBrush(QColor(colour))
    painter.drawRoundedRect(done, radius, radius)
