"""The line between two results: dragged, or moved with the arrow keys."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from desktop.views.theme import tokens_of

WIDTH: Final = 36
_KNOB: Final = 14.0
_STEPS: Final = {
    Qt.Key.Key_Left: -0.01,
    Qt.Key.Key_Right: 0.01,
    Qt.Key.Key_Home: -1.0,
    Qt.Key.Key_End: 1.0,
}


class WipeHandle(QWidget):
    """Lies over the picture; says where it is wanted, and is put there by whoever owns it.

    Signals:
        dragged: to this place, in pixels from the left of the parent.
        stepped: by this share of the picture's width.
    """

    dragged = Signal(float)
    stepped = Signal(float)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._grip: float | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.SplitHCursor)
        self.setAccessibleName(self.tr("Line between A and B"))
        self.setToolTip(
            self.tr("Drag it, or use the left and right arrow keys, Home and End; Shift goes faster")
        )
        self.hide()

    def event(self, event: QEvent) -> bool:
        """Keep the arrow keys from the shortcuts of the window."""
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.key() in _STEPS
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move by a hundredth, or with Shift by a tenth."""
        step = _STEPS.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
            return
        self.stepped.emit(step * (10 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take hold of the line where it was touched."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._grip = event.position().x() - self.width() / 2
            event.accept()
        else:
            event.ignore()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the pointer."""
        if self._grip is not None:
            self.dragged.emit(self.mapToParent(event.position()).x() - self._grip)

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:
        """Let go."""
        self._grip = None

    def focusInEvent(self, event: QFocusEvent) -> None:
        """The ring comes."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """The ring goes."""
        super().focusOutEvent(event)
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """A light line with a dark edge, visible on any picture, and a knob with two arrows."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        tokens, middle = tokens_of(self), QPointF(self.width() / 2, self.height() / 2)
        painter.fillRect(QRectF(middle.x() - 2, 0, 4, self.height()), QColor(0, 0, 0, 110))
        painter.fillRect(QRectF(middle.x() - 1, 0, 2, self.height()), QColor(tokens.stage_text))
        edge = tokens.accent if self.hasFocus() else tokens.stage
        painter.setPen(QPen(QColor(edge), 3.0 if self.hasFocus() else 1.0))
        painter.setBrush(QColor(tokens.stage_text))
        painter.drawEllipse(middle, _KNOB, _KNOB)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(tokens.stage))
        for side in (-1, 1):
            tip = middle + QPointF(side * 9, 0)
            back = middle.x() + side * 4
            painter.drawPolygon(QPolygonF([tip, QPointF(back, tip.y() - 4.5), QPointF(back, tip.y() + 4.5)]))
