"""Paints panes: pictures scaled once and kept, captions, badges and what is to be said."""

from __future__ import annotations

import math
from typing import Final

from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPainterPath, QPixmap

from desktop.presenters.stage_layers import Pane
from desktop.presenters.viewport import Box
from desktop.views.theme import NARROW, RADIUS, SPACE, TIGHT, Tokens, scaled

# Magnified more than this, pixels are meant to be seen.
_PIXELS_FROM: Final = 4.0
_VEIL: Final = QColor(0, 0, 0, 176)


class Scaled:
    """The present picture of each layer in the size it is painted in; nothing is kept of older ones."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], tuple[tuple[int, QRect, QSize], QPixmap]] = {}
        self.count = 0

    def pixmap(
        self, slot: tuple[int, int], image: QImage, part: QRect, size: QSize, smooth: bool = True
    ) -> QPixmap:
        """A part of an image in so many device pixels.

        Args:
            slot: number of the pane and of the layer.
            part: of the image, in its pixels.
            smooth: else each pixel of the image becomes a square.
        """
        key = (image.cacheKey(), part, size)
        kept = self._kept.get(slot)
        if kept is not None and kept[0] == key:
            return kept[1]
        self.count += 1
        cut = image if part == image.rect() else image.copy(part)
        modes = Qt.TransformationMode
        how = modes.SmoothTransformation if smooth else modes.FastTransformation
        made = QPixmap.fromImage(cut.scaled(size, Qt.AspectRatioMode.IgnoreAspectRatio, how))
        self._kept[slot] = (key, made)
        return made

    def keep(self, panes: tuple[Pane, ...]) -> None:
        """Let go of layers that are not there any more."""
        there = {(i, j) for i, pane in enumerate(panes) for j in range(len(pane.layers))}
        self._kept = {slot: kept for slot, kept in self._kept.items() if slot in there}


def rect_of(box: Box) -> QRectF:
    """As Qt has it."""
    return QRectF(box.x, box.y, box.width, box.height)


def paint_layers(
    painter: QPainter,
    cache: Scaled,
    number: int,
    pane: Pane,
    picture: Box,
    room: QRectF,
    dpr: float,
    zoom: float,
) -> None:
    """The visible part of a pane's picture, on whole device pixels so that it is sharp.

    Args:
        number: of the pane.
        picture: where the whole picture lies.
        room: what of it may be seen.
        dpr: device pixels in a pixel.
        zoom: how much closer than whole one looks.
    """
    whole = _on_pixels(rect_of(picture), dpr)
    seen = whole.intersected(room)
    if seen.isEmpty():
        return
    painter.save()
    painter.setClipRect(room, Qt.ClipOperation.IntersectClip)
    for index, layer in enumerate(pane.layers):
        part, target = _part(layer.image, whole, seen)
        size = QSize(max(1, round(target.width() * dpr)), max(1, round(target.height() * dpr)))
        # A small preview is made large all the same; pixels are for those who came close to see them.
        smooth = zoom < _PIXELS_FROM or size.width() <= part.width() * _PIXELS_FROM
        pixmap = cache.pixmap((number, index), layer.image, part, size, smooth)
        painter.setOpacity(layer.opacity)
        painter.drawPixmap(target, pixmap, QRectF(pixmap.rect()))
    painter.restore()


def _on_pixels(rect: QRectF, dpr: float) -> QRectF:
    left, top = round(rect.left() * dpr) / dpr, round(rect.top() * dpr) / dpr
    right, bottom = round(rect.right() * dpr) / dpr, round(rect.bottom() * dpr) / dpr
    return QRectF(left, top, max(right - left, 1 / dpr), max(bottom - top, 1 / dpr))


def _part(image: QImage, whole: QRectF, seen: QRectF) -> tuple[QRect, QRectF]:
    """The image's pixels that are seen, and where they lie."""
    across, down = whole.width() / image.width(), whole.height() / image.height()
    left = max(0, math.floor((seen.left() - whole.left()) / across))
    top = max(0, math.floor((seen.top() - whole.top()) / down))
    right = min(image.width(), math.ceil((seen.right() - whole.left()) / across))
    bottom = min(image.height(), math.ceil((seen.bottom() - whole.top()) / down))
    target = QRectF(
        whole.left() + left * across,
        whole.top() + top * down,
        (right - left) * across,
        (bottom - top) * down,
    )
    return QRect(left, top, right - left, bottom - top), target


def paint_caption(painter: QPainter, tokens: Tokens, room: QRectF, pane: Pane, font: QFont) -> None:
    """Title and, in a quieter colour, whose it is; what does not fit is left out in its middle."""
    bold = scaled(font, 1.0, QFont.Weight.DemiBold)
    title = QFontMetricsF(bold).horizontalAdvance(pane.title)
    quiet = QFontMetricsF(font)
    detail = quiet.elidedText(pane.detail, Qt.TextElideMode.ElideMiddle, room.width() - title - NARROW)
    width = title + (NARROW + quiet.horizontalAdvance(detail) if detail else 0)
    x = room.left() + max(0.0, (room.width() - width) / 2)
    middle = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
    painter.setFont(bold)
    painter.setPen(QColor(tokens.stage_text))
    painter.drawText(QRectF(x, room.top(), title + 1, room.height()), middle, pane.title)
    painter.setFont(font)
    painter.setPen(QColor(tokens.stage_quiet))
    painter.drawText(QRectF(x + title + NARROW, room.top(), room.width(), room.height()), middle, detail)


def paint_pill(
    painter: QPainter, tokens: Tokens, room: QRectF, text: str, font: QFont, foot: bool = False
) -> None:
    """A short text on a dark ground over the picture, at its top left or in the middle of its foot."""
    wrapped = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignCenter
    most = QRectF(0, 0, max(room.width() - 4 * SPACE, 1.0), room.height())
    needed = QFontMetricsF(font).boundingRect(most, wrapped, text)
    box = QRectF(0, 0, needed.width() + 2 * SPACE, needed.height() + 2 * TIGHT + 2)
    if not foot:
        box.moveTopLeft(room.topLeft() + QPointF(NARROW, NARROW))
    else:
        box.moveCenter(QPointF(room.center().x(), room.bottom() - box.height() / 2 - SPACE))
    path = QPainterPath()
    path.addRoundedRect(box, RADIUS, RADIUS)
    painter.fillPath(path, _VEIL)
    painter.setFont(font)
    painter.setPen(QColor(tokens.stage_text))
    painter.drawText(box, wrapped, text)


def paint_message(painter: QPainter, tokens: Tokens, room: QRectF, pane: Pane, font: QFont) -> None:
    """What is to be said where there is no picture, in the middle of its room, which a line shows."""
    painter.setPen(QColor(tokens.stage_raised))
    painter.drawRoundedRect(room.adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)
    wrapped = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop
    width = min(max(room.width() - 2 * SPACE, 1.0), 420.0)
    most = QRectF(0, 0, width, room.height())
    lines = [(pane.message, tokens.stage_text), (pane.action, tokens.stage_quiet)]
    metrics = QFontMetricsF(font)
    heights = [metrics.boundingRect(most, wrapped, text).height() if text else 0.0 for text, _ in lines]
    y = room.center().y() - (sum(heights) + (TIGHT if pane.action else 0)) / 2
    painter.setFont(font)
    for (text, colour), height in zip(lines, heights, strict=True):
        painter.setPen(QColor(colour))
        painter.drawText(QRectF(room.center().x() - width / 2, y, width, height + 1), wrapped, text)
        y += height + TIGHT
