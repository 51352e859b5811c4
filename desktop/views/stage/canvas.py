"""The dark ground that pictures stand on: zoomed, moved, beside each other or wiped."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QHideEvent,
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QGestureEvent, QPinchGesture, QWidget

from desktop.presenters.stage import Stage
from desktop.presenters.stage_layers import Pane
from desktop.presenters.viewport import Box, Viewport, columns
from desktop.views.stage.painting import (
    Scaled,
    paint_caption,
    paint_layers,
    paint_message,
    paint_pill,
    rect_of,
)
from desktop.views.stage.wipe_handle import WIDTH, WipeHandle
from desktop.views.theme import NARROW, SPACE, scaled, tokens_of

_CAPTION: Final = 28.0
_NOTICE_MS: Final = 4000
_NOTCH: Final = 120.0
_PER_NOTCH: Final = 1.2
_ZOOM_KEYS: Final = {
    Qt.Key.Key_Plus: _PER_NOTCH,
    Qt.Key.Key_Equal: _PER_NOTCH,
    Qt.Key.Key_Minus: 1 / _PER_NOTCH,
    Qt.Key.Key_0: 0.0,
}


class Canvas(QWidget):
    """Paints the stage's panes.

    Signals:
        play_asked: the space bar was pressed and not used for dragging.
        zoom_changed: 1 fits.
    """

    play_asked = Signal()
    zoom_changed = Signal(float)

    def __init__(self, stage: Stage, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stage = stage
        self._panes: tuple[Pane, ...] = ()
        self._viewport = Viewport()
        self._pan: QPointF | None = None
        self._space, self._space_used = False, False
        self._ring = False
        self._notice = ""
        self._foot = 0.0
        self.bare = False
        self.scaled_pictures = Scaled()
        self.handle = WipeHandle(self)
        self._notice_timer = QTimer(self, singleShot=True, interval=_NOTICE_MS)
        self._notice_timer.timeout.connect(lambda: self.say(""))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(240, 180)
        self.setAccessibleName(self.tr("Stage"))
        self.grabGesture(Qt.GestureType.PinchGesture)
        self.handle.dragged.connect(self._on_dragged)
        self.handle.stepped.connect(lambda step: stage.set_wipe(stage.wipe + step))
        stage.changed.connect(self._on_changed)
        stage.refused.connect(self.say)

    @property
    def zoom(self) -> float:
        """1 fits."""
        return self._viewport.zoom

    def say(self, text: str) -> None:
        """Lay a sentence over the stage for a while; an empty one goes at once."""
        self._notice = text
        if text:
            self._notice_timer.start()
        self.update()

    def set_bare(self, bare: bool) -> None:
        """Without margins, as in full screen."""
        self.bare = bare
        self._place()

    def keep_free(self, foot: float) -> None:
        """Leave room for something at the foot, in pixels."""
        self._foot = foot
        self._place()

    def fit(self) -> None:
        """Show whole pictures."""
        self._look(Viewport())

    def zoom_by(self, factor: float, at: QPointF | None = None) -> None:
        """Closer or farther at a point, by default the middle of the first pane."""
        boxes = self._boxes()
        if boxes:
            place = at or rect_of(boxes[0]).center()
            box, ratio = self._under(place)
            self._look(self._viewport.zoomed(factor, (place.x(), place.y()), box, ratio))

    # ---- where things are

    def _area(self) -> Box:
        side = 0.0 if self.bare else float(SPACE)
        top = _CAPTION if self._captioned() else side
        return Box(
            side,
            top,
            max(self.width() - 2 * side, 1.0),
            max(self.height() - top - side - self._foot, 1.0),
        )

    def _captioned(self) -> bool:
        return not self.bare or len(self._panes) > 1

    def _boxes(self) -> list[Box]:
        """Room of each pane; both of a wipe have the same."""
        if self._stage.mode == "wipe" or len(self._panes) == 1:
            return [self._area()] * len(self._panes)
        return columns(self._area(), self._ratios(), SPACE) if self._panes else []

    def _ratios(self) -> list[float]:
        known = [pane.ratio for pane in self._panes]
        other = next((ratio for ratio in known if ratio is not None), 0.75)
        return [other if ratio is None else ratio for ratio in known]

    def _under(self, place: QPointF) -> tuple[Box, float]:
        """The pane at a point, else the first."""
        pairs = list(zip(self._boxes(), self._ratios(), strict=True))
        return next((pair for pair in pairs if rect_of(pair[0]).contains(place)), pairs[0])

    def _place(self) -> None:
        """Put the wipe's handle where the line is."""
        wiping = self._stage.mode == "wipe" and len(self._panes) == 2 and bool(self._panes[0].layers)
        if wiping:
            room = self._boxes()[0]
            x = self._line(room)
            self.handle.setGeometry(round(x - WIDTH / 2), round(room.y), WIDTH, round(room.height))
            share = round(100 * self._stage.wipe)
            self.handle.setAccessibleDescription(self.tr("{share} % A").format(share=share))
        self.handle.setVisible(wiping)
        self.update()

    def _line(self, room: Box) -> float:
        picture = self._viewport.place(room, self._ratios()[0])
        x = picture.x + self._stage.wipe * picture.width
        return min(max(x, room.x), room.x + room.width)

    def _look(self, viewport: Viewport) -> None:
        if viewport != self._viewport:
            self._viewport = viewport
            self.zoom_changed.emit(viewport.zoom)
            self._place()

    # ---- what happens

    def _on_changed(self) -> None:
        self._panes = self._stage.panes()
        self.scaled_pictures.keep(self._panes)
        said = (
            f"{pane.title} {pane.detail}: {pane.message or pane.badge}".strip(": ") for pane in self._panes
        )
        text = "; ".join(said)
        if text != self.accessibleDescription():
            self.setAccessibleDescription(text)
        self._place()

    def _on_dragged(self, x: float) -> None:
        picture = self._viewport.place(self._boxes()[0], self._ratios()[0])
        self._stage.set_wipe((x - picture.x) / picture.width)

    def event(self, event: QEvent) -> bool:
        """Pinches, and the keys that the window's shortcuts must not take."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            plain = not event.modifiers() & ~Qt.KeyboardModifier.ShiftModifier
            if plain and (event.key() == Qt.Key.Key_Space or event.key() in _ZOOM_KEYS):
                event.accept()
                return True
        zooming = Qt.NativeGestureType.ZoomNativeGesture
        if isinstance(event, QNativeGestureEvent) and event.gestureType() == zooming:
            self.zoom_by(1 + event.value(), event.position())
            return True
        if isinstance(event, QGestureEvent):
            pinch = event.gesture(Qt.GestureType.PinchGesture)
            if isinstance(pinch, QPinchGesture):
                self.zoom_by(pinch.scaleFactor(), QPointF(self.mapFromGlobal(pinch.hotSpot().toPoint())))
                return True
        return super().event(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom at the pointer."""
        if self._panes:
            self.zoom_by(_PER_NOTCH ** (event.angleDelta().y() / _NOTCH), event.position())
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The space bar plays, or drags together with the mouse; plus, minus and 0 zoom."""
        if event.key() == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self._space, self._space_used = True, False
                self._set_cursor()
        elif event.key() in _ZOOM_KEYS:
            factor = _ZOOM_KEYS[Qt.Key(event.key())]
            self.zoom_by(factor) if factor else self.fit()
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """A space bar that dragged nothing plays."""
        if event.key() != Qt.Key.Key_Space or event.isAutoRepeat():
            super().keyReleaseEvent(event)
        elif self._space:
            self._space = False
            self._set_cursor()
            if not self._space_used:
                self.play_asked.emit()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take hold of the picture: middle button, space bar, or simply once it is zoomed."""
        left = event.button() == Qt.MouseButton.LeftButton and (self._space or not self._viewport.fits)
        if self._panes and (left or event.button() == Qt.MouseButton.MiddleButton):
            self._pan = event.position()
            self._space_used = self._space
            self._set_cursor()
        else:
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Move the pictures with the pointer."""
        if self._pan is None or not self._panes:
            super().mouseMoveEvent(event)
            return
        box, ratio = self._under(self._pan)
        delta = event.position() - self._pan
        self._pan = event.position()
        self._look(self._viewport.panned(delta.x(), delta.y(), box, ratio))

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:
        """Let go."""
        self._pan = None
        self._set_cursor()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Show all again."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._pan = None
            self.fit()

    def _set_cursor(self) -> None:
        if self._pan is not None:
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        elif self._space:
            self.setCursor(Qt.CursorShape.OpenHandCursor)
        else:
            self.unsetCursor()

    def focusInEvent(self, event: QFocusEvent) -> None:
        """A ring for those who came by the keyboard."""
        self._ring = event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """The space bar's release goes elsewhere now."""
        self._ring, self._space = False, False
        self._set_cursor()
        super().focusOutEvent(event)
        self.update()

    def showEvent(self, event: QShowEvent) -> None:
        """Somebody looks."""
        super().showEvent(event)
        self._stage.set_visible(True)
        self._on_changed()

    def hideEvent(self, event: QHideEvent) -> None:
        """Nobody looks."""
        super().hideEvent(event)
        self._stage.set_visible(False)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The handle moves along."""
        super().resizeEvent(event)
        self._place()

    # ---- painting

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Ground, pictures, words."""
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.SmoothPixmapTransform | QPainter.RenderHint.Antialiasing)
        tokens = tokens_of(self)
        painter.fillRect(self.rect(), QColor(tokens.stage))
        boxes, ratios = self._boxes(), self._ratios()
        for number, (pane, box) in enumerate(zip(self._panes, boxes, strict=True)):
            self._paint_pane(painter, number, pane, box, ratios[number])
        if self._notice:
            paint_pill(painter, tokens, rect_of(self._area()), self._notice, self.font(), foot=True)
        if self._ring:
            painter.setPen(QColor(tokens.accent))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))

    def _paint_pane(self, painter: QPainter, number: int, pane: Pane, box: Box, ratio: float) -> None:
        tokens, room = tokens_of(self), rect_of(box)
        seen = self._side(room, number)
        small = scaled(self.font(), 0.95)
        if pane.layers:
            picture = self._viewport.place(box, ratio)
            dpr = self.devicePixelRatioF()
            paint_layers(painter, self.scaled_pictures, number, pane, picture, seen, dpr, self.zoom)
            shown = rect_of(picture).intersected(seen)
            if pane.badge:
                paint_pill(painter, tokens, shown, pane.badge, small)
            if pane.message:
                paint_pill(painter, tokens, seen, f"{pane.message} {pane.action}".strip(), small, foot=True)
        elif pane.message:
            paint_message(painter, tokens, seen, pane, self.font())
        if self._captioned():
            # Just above the picture, which may be lower than its room.
            foot = max(_CAPTION, self._viewport.place(box, ratio).y) if pane.layers else _CAPTION
            caption = QRectF(seen.left() + NARROW, foot - _CAPTION, seen.width() - 2 * NARROW, _CAPTION)
            if caption.width() > SPACE * 2:
                paint_caption(painter, tokens, caption, pane, small)

    def _side(self, room: QRectF, number: int) -> QRectF:
        """Of a wipe the part left or right of the line, else all."""
        if self._stage.mode != "wipe" or len(self._panes) < 2:
            return room
        x = self._line(self._boxes()[0])
        return (
            QRectF(room.left(), room.top(), x - room.left(), room.height())
            if number == 0
            else QRectF(x, room.top(), room.right() - x, room.height())
        )
