"""Paints the ruler with what is looped."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPen

from desktop.model.timescale import Timescale, ticks
from desktop.views.theme import Tokens, scaled


def paint_ruler(
    painter: QPainter,
    rect: QRectF,
    scale: Timescale,
    tokens: Tokens,
    font: QFont,
    loop: tuple[float, float] | None,
) -> None:
    """Ticks with labels, full seconds before frames; ``loop`` is from start to end in seconds."""
    if loop is not None:
        left, right = scale.x_of(loop[0]), scale.x_of(loop[1])
        painter.fillRect(QRectF(left, rect.bottom() - 3, right - left, 3), QColor(tokens.accent))
    painter.setFont(scaled(font, 0.82))
    for tick in ticks(scale):
        x = round(scale.x_of(tick.time_s)) + 0.5
        tall = 8 if tick.label else 4
        painter.setPen(QPen(QColor(tokens.strong_line), 1))
        painter.drawLine(QPointF(x, rect.bottom() - tall), QPointF(x, rect.bottom()))
        if tick.label:
            painter.setPen(QColor(tokens.quiet if tick.whole else tokens.faint))
            box = QRectF(x + 4, rect.top(), rect.right() - x - 4, rect.height() - 4)
            if painter.fontMetrics().horizontalAdvance(tick.label) <= box.width():
                painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, tick.label)
