"""What can be taken hold of: in and out point, the range between them, the align frame; and the playhead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetricsF,
    QHideEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QWidget

from core.types import FPS
from desktop.presenters.timeline import Part, Timeline
from desktop.views.theme import scaled, tokens_of
from desktop.views.timeline.rows import BAND, Rows
from desktop.views.timeline.tracks import hatch

if TYPE_CHECKING:
    from desktop.views.timeline.canvas import TimelineCanvas

WIDTH: Final = 12
_PIN: Final = 14
_HEAD: Final = 13
_STEPS: Final = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
_ENDS: Final = {Qt.Key.Key_Home: -(10**9), Qt.Key.Key_End: 10**9}
_OVER: Final = 24
_MAY_BE_HELD: Final = Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier


class Handle(QWidget):
    """One part of the selection: dragged with the mouse, moved with arrow keys once Tab has reached it.

    Args:
        part: which.
        name: for screen readers.
        hint: the tool tip.
    """

    def __init__(self, canvas: TimelineCanvas, timeline: Timeline, part: Part, name: str, hint: str) -> None:
        super().__init__(canvas)
        self._canvas, self._timeline, self.part = canvas, timeline, part
        self._grip = 0.0
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAccessibleName(name)
        self.setToolTip(hint)
        self.setCursor(Qt.CursorShape.OpenHandCursor if part == "range" else Qt.CursorShape.SizeHorCursor)

    def place(self, rows: Rows) -> None:
        """Where its time is now; out of view it stays reachable by Tab, which scrolls to it."""
        there = self._timeline.ready and (self.part != "align" or self._timeline.align_s is not None)
        if there:
            self.setGeometry(self._rect(rows))
            value = self._timeline.words.value(self.part)
            if value != self.accessibleDescription():
                self.setAccessibleDescription(value)
        self.setVisible(there)
        self.update()

    def _rect(self, rows: Rows) -> QRect:
        scale, part = self._canvas.scale, self._timeline.selected
        x = round(scale.x_of(self._timeline.value_of(self.part)))
        tall = round(rows.motion.bottom() - rows.band.top())
        if self.part == "in":
            return QRect(x - WIDTH, round(rows.band.top()), WIDTH, tall)
        if self.part == "out":
            return QRect(x, round(rows.band.top()), WIDTH, tall)
        if self.part == "align":
            return QRect(x - _PIN // 2, round(rows.pose.top()) - 2, _PIN, round(rows.pose.height()) + 4)
        # A band that reaches far out of view is no wider than needed.
        left = max(-_OVER, round(scale.x_of(part.start_s)))
        right = min(self._canvas.width() + _OVER, round(scale.x_of(part.end_s)))
        return QRect(left, round(rows.band.top()), max(2, right - left), round(BAND))

    # ---- hands

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take hold."""
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        x = self.mapToParent(event.position()).x()
        self._grip = x - self._canvas.scale.x_of(self._timeline.value_of(self.part))
        self._timeline.begin_drag()
        if self.part == "range":
            self.setCursor(Qt.CursorShape.ClosedHandCursor)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Move; at the edge of the view the clip scrolls along."""
        if self._timeline.dragging:
            self._canvas.pull.follow(self.mapToParent(event.position()).x(), self._drag_to)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._let_go()
            self._timeline.commit(self.part)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """The range fills the view; the align frame is found automatically again."""
        self._let_go()
        self._timeline.cancel_drag()
        if self.part == "align":
            self._timeline.set_align_frame(None)
        elif self.part == "range":
            self._canvas.zoom_to_range()
        event.accept()

    def hideEvent(self, event: QHideEvent) -> None:
        """The motion went away under the hand."""
        self._let_go()
        self._timeline.cancel_drag()
        super().hideEvent(event)

    def _drag_to(self, x: float) -> None:
        self._timeline.drag(self.part, self._canvas.scale.time_at(x - self._grip))

    def _let_go(self) -> None:
        self._canvas.pull.stop()
        if self.part == "range":
            self.setCursor(Qt.CursorShape.OpenHandCursor)

    # ---- keys

    def event(self, event: QEvent) -> bool:
        """Its own keys go before those of the window."""
        asked = event.type() == QEvent.Type.ShortcutOverride
        if asked and isinstance(event, QKeyEvent) and self._is_own(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows: a frame, with Shift a second; Home, End: as far as it goes; Esc: as it was before."""
        key = event.key()
        if not self._is_own(event):
            super().keyPressEvent(event)
        elif key == Qt.Key.Key_Escape:
            self._let_go()
            self._timeline.cancel_drag()
        elif key in _ENDS:
            self._timeline.nudge(self.part, _ENDS[Qt.Key(key)])
        elif not self._timeline.dragging:
            second = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self._timeline.nudge(self.part, _STEPS[Qt.Key(key)] * (FPS if second else 1))
            self._canvas.show_time(self._timeline.value_of(self.part))

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Come into view."""
        if event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason):
            self._canvas.show_time(self._timeline.value_of(self.part))
        super().focusInEvent(event)
        self.update()

    def _is_own(self, event: QKeyEvent) -> bool:
        if event.key() == Qt.Key.Key_Escape:
            return self._timeline.dragging
        plain = not event.modifiers() & ~_MAY_BE_HELD
        return plain and (event.key() in _STEPS or event.key() in _ENDS)

    # ---- looks

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Yellow, as editors have it; a ring where the keyboard is."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.part == "range":
            self._paint_range(painter)
        elif self.part == "align":
            self._paint_align(painter)
        else:
            self._paint_bracket(painter)

    def _paint_bracket(self, painter: QPainter) -> None:
        tokens, rect = tokens_of(self), QRectF(self.rect())
        # Round outside, straight where the clip begins.
        wide = rect.adjusted(0, 0, 6, 0) if self.part == "in" else rect.adjusted(-6, 0, 0, 0)
        path = QPainterPath()
        path.addRoundedRect(wide, 5, 5)
        painter.setClipRect(rect)
        painter.fillPath(path, QColor(tokens.handle))
        painter.setPen(QPen(QColor(tokens.stage), 2, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        middle = QPointF(rect.center().x(), rect.bottom() - (rect.height() - BAND) / 2)
        painter.drawLine(middle - QPointF(0, 6), middle + QPointF(0, 6))
        if self.hasFocus():
            painter.setPen(QPen(QColor(tokens.accent), 4))
            painter.drawPath(path)

    def _paint_range(self, painter: QPainter) -> None:
        tokens, timeline, rect = tokens_of(self), self._timeline, QRectF(self.rect())
        painter.fillRect(rect, QColor(tokens.handle))
        cut_x = max(0.0, self._canvas.scale.x_of(timeline.rendered[1]) - self.x())
        if timeline.taken.cut:
            rest = QRectF(cut_x, 0, rect.right() - cut_x, rect.height())
            painter.fillRect(rest, QColor(tokens.track))
            hatch(painter, rest, QColor(tokens.text))
            rect.setRight(min(rect.right(), cut_x))
        painter.setFont(scaled(self.font(), 0.85, self.font().Weight.DemiBold))
        metrics = QFontMetricsF(painter.font())
        seen = rect & QRectF(-self.x(), 0, self._canvas.width(), rect.height())
        if metrics.horizontalAdvance(timeline.words.length) + 8 <= seen.width():
            painter.setPen(QColor(tokens.stage))
            painter.drawText(seen, Qt.AlignmentFlag.AlignCenter, timeline.words.length)
        if self.hasFocus():
            painter.setPen(QPen(QColor(tokens.accent), 4))
            painter.drawRect(self.rect())

    def _paint_align(self, painter: QPainter) -> None:
        tokens, middle = tokens_of(self), self.width() / 2
        chosen = self._timeline.chosen_align_s is not None
        line = QPen(QColor(tokens.stage_text), 1.5, Qt.PenStyle.SolidLine if chosen else Qt.PenStyle.DashLine)
        painter.setPen(line)
        painter.drawLine(QPointF(middle, 12), QPointF(middle, self.height() - 2))
        head = QPolygonF(
            [
                QPointF(1.5, 1.5),
                QPointF(self.width() - 1.5, 1.5),
                QPointF(self.width() - 1.5, 8),
                QPointF(middle, 14),
                QPointF(1.5, 8),
            ]
        )
        ring = tokens.text if self.hasFocus() else tokens.accent if chosen else tokens.stage
        painter.setPen(QPen(QColor(ring), 2 if self.hasFocus() else 1.2))
        painter.setBrush(QColor(tokens.accent if chosen else tokens.stage_text))
        painter.drawPolygon(head)


class Playhead(QWidget):
    """A line over all tracks where the clock stands; lets the mouse through."""

    def __init__(self, canvas: TimelineCanvas) -> None:
        super().__init__(canvas)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def place(self, x: float, height: float) -> None:
        """At a point of the canvas."""
        self.setGeometry(round(x) - _HEAD // 2, 0, _HEAD, round(height))

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Light with dark edges, so that it is seen on any picture."""
        tokens, middle = tokens_of(self), self.width() / 2
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(QRectF(middle - 1.75, 10, 3.5, self.height()), QColor(tokens.stage))
        painter.fillRect(QRectF(middle - 0.75, 10, 1.5, self.height()), QColor(tokens.stage_text))
        painter.setPen(QPen(QColor(tokens.stage), 1))
        painter.setBrush(QColor(tokens.stage_text))
        painter.drawPolygon(
            QPolygonF(
                [
                    QPointF(1, 4),
                    QPointF(self.width() - 1, 4),
                    QPointF(self.width() - 1, 11),
                    QPointF(middle, 18),
                    QPointF(1, 11),
                ]
            )
        )
