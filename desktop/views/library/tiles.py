"""Draws an item of the library: picture, name, whether it is chosen, missing or cannot be shown."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from desktop.model.library_items import Kind, LibraryItem
from desktop.presenters.library_model import CHOSEN_ROLE, ITEM_ROLE
from desktop.views.icons import icon
from desktop.views.theme import RADIUS, TIGHT, Tokens, scaled, tokens_of

Index = QModelIndex | QPersistentModelIndex
SMALL: Final = 0.9
_MARGIN: Final = 3
_BADGE: Final = 20
_ICON: Final = 26
_MOST_PIXMAPS: Final = 300
# Of what a portrait has too much of in height, so much is cut off above: heads are at the top.
_ABOVE: Final = 0.2


class TileDelegate(QStyledItemDelegate):
    """Paints tiles in the size of the view's grid.

    Args:
        kind: references fill their tile, motions are shown whole.
        view: the list.
    """

    def __init__(self, kind: Kind, view: QListView) -> None:
        super().__init__(view)
        self._kind, self._view = kind, view
        self._pixmaps: OrderedDict[tuple[int, int, float], QPixmap] = OrderedDict()
        self._waiting_icon = "person" if kind == "reference" else "film"

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """All tiles have the grid's size."""
        del option, index
        return self._view.gridSize()

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """One tile."""
        item: LibraryItem = index.data(ITEM_ROLE)
        tokens = tokens_of(self._view)
        chosen = bool(index.data(CHOSEN_ROLE))
        whole: QRect = option.rect.adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        side = whole.width() - 2 * TIGHT
        place = QRect(whole.left() + TIGHT, whole.top() + TIGHT, side, side)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._ground(painter, option, whole, chosen, tokens)
        self._picture(painter, place, item, index.data(Qt.ItemDataRole.DecorationRole), tokens)
        if chosen:
            self._mark(painter, place, tokens)
        self._name(painter, whole, place, item, chosen, tokens)
        painter.restore()

    def _ground(
        self, painter: QPainter, option: QStyleOptionViewItem, whole: QRect, chosen: bool, tokens: Tokens
    ) -> None:
        state: QStyle.StateFlag = option.state
        hovered = bool(state & QStyle.StateFlag.State_MouseOver)
        focused = bool(state & QStyle.StateFlag.State_HasFocus) and self._view.hasFocus()
        fill = tokens.accent_soft if chosen else tokens.hover if hovered else None
        painter.setPen(QPen(QColor(tokens.accent), 1.5) if focused else Qt.PenStyle.NoPen)
        painter.setBrush(QColor(fill) if fill else Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(QRectF(whole).adjusted(0.75, 0.75, -0.75, -0.75), RADIUS, RADIUS)

    def _picture(
        self, painter: QPainter, place: QRect, item: LibraryItem, image: QImage | None, tokens: Tokens
    ) -> None:
        wrong = item.missing or bool(item.trouble)
        if image is not None and not wrong:
            painter.drawPixmap(place.topLeft(), self._pixmap(image, place.width(), tokens))
            return
        painter.setPen(QPen(QColor(tokens.line), 1, Qt.PenStyle.DashLine) if wrong else Qt.PenStyle.NoPen)
        painter.setBrush(Qt.BrushStyle.NoBrush if wrong else QColor(tokens.track))
        painter.drawRoundedRect(QRectF(place).adjusted(0.5, 0.5, -0.5, -0.5), RADIUS - 1, RADIUS - 1)
        name = "warning" if wrong else self._waiting_icon
        colour = tokens.danger if item.trouble else tokens.warning if item.missing else tokens.faint
        sign = QRect(0, 0, _ICON, _ICON)
        sign.moveCenter(place.center() - QPoint(0, 8 if wrong else 0))
        icon(name, colour).paint(painter, sign)
        if wrong:
            painter.setPen(QColor(colour))
            painter.setFont(scaled(self._view.font(), SMALL))
            below = place.adjusted(TIGHT, place.height() // 2 + 8, -TIGHT, 0)
            text = self.tr("Missing") if item.missing else self.tr("Unreadable")
            painter.drawText(below, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop, text)

    def _mark(self, painter: QPainter, place: QRect, tokens: Tokens) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(tokens.accent), 2))
        painter.drawRoundedRect(QRectF(place).adjusted(0, 0, 0, 0), RADIUS - 1, RADIUS - 1)
        badge = QRect(place.right() - _BADGE - 3, place.top() + 4, _BADGE, _BADGE)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(tokens.accent))
        painter.drawEllipse(badge)
        icon("check", tokens.accent_text).paint(painter, badge.adjusted(4, 4, -4, -4))

    def _name(
        self, painter: QPainter, whole: QRect, place: QRect, item: LibraryItem, chosen: bool, tokens: Tokens
    ) -> None:
        line = QRect(
            whole.left() + TIGHT,
            place.bottom() + 1,
            whole.width() - 2 * TIGHT,
            whole.bottom() - place.bottom(),
        )
        painter.setFont(scaled(self._view.font(), SMALL))
        painter.setPen(QColor(tokens.faint if item.missing else tokens.text if chosen else tokens.quiet))
        # The middle goes: numbers at the end tell files apart.
        text = painter.fontMetrics().elidedText(item.name, Qt.TextElideMode.ElideMiddle, line.width())
        painter.drawText(line, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignVCenter, text)

    def _pixmap(self, image: QImage, side: int, tokens: Tokens) -> QPixmap:
        ratio = self._view.devicePixelRatioF()
        key = (image.cacheKey(), side, ratio)
        made = self._pixmaps.get(key)
        if made is None:
            made = _rounded(image, side, ratio, self._kind == "reference", QColor(tokens.stage))
            self._pixmaps[key] = made
            if len(self._pixmaps) > _MOST_PIXMAPS:
                self._pixmaps.popitem(last=False)
        return made


def _rounded(image: QImage, side: int, ratio: float, fills: bool, ground: QColor) -> QPixmap:
    """The picture in a square with round corners: cut to it, or whole on a dark ground."""
    pixels = round(side * ratio)
    mode = Qt.AspectRatioMode.KeepAspectRatioByExpanding if fills else Qt.AspectRatioMode.KeepAspectRatio
    small = image.scaled(pixels, pixels, mode, Qt.TransformationMode.SmoothTransformation)
    left = (pixels - small.width()) // 2
    spare = pixels - small.height()
    top = round(spare * _ABOVE) if spare < 0 else spare // 2
    pixmap = QPixmap(pixels, pixels)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ground)
    painter.drawRoundedRect(0, 0, pixels, pixels, (RADIUS - 1) * ratio, (RADIUS - 1) * ratio)
    # Only where the ground is, so that its corners stay round.
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceAtop)
    painter.drawImage(left, top, small)
    painter.end()
    pixmap.setDevicePixelRatio(ratio)
    return pixmap
