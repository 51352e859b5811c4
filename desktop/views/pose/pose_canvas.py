"""The reference with its own skeleton in white and the motion's in colours, which has handles to move it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop.model.fitted import ByHand
from desktop.presenters.pose_check import PoseCheck
from desktop.views.pose.framing import drawing_of, fitting, pixels_of, scaled_to
from desktop.views.theme import WIDE, tokens_of

Grip = Literal["", "inside", "top left", "top right", "bottom left", "bottom right", "turn"]
_CORNERS: Final[tuple[Grip, ...]] = ("top left", "top right", "bottom right", "bottom left")
_GRIPS: Final[tuple[Grip, ...]] = (*_CORNERS, "turn")
_OPPOSITE: Final[dict[Grip, Grip]] = {
    "top left": "bottom right",
    "top right": "bottom left",
    "bottom right": "top left",
    "bottom left": "top right",
}
_CURSORS: Final[dict[Grip, Qt.CursorShape]] = {
    "": Qt.CursorShape.ArrowCursor,
    "inside": Qt.CursorShape.SizeAllCursor,
    "top left": Qt.CursorShape.SizeFDiagCursor,
    "bottom right": Qt.CursorShape.SizeFDiagCursor,
    "top right": Qt.CursorShape.SizeBDiagCursor,
    "bottom left": Qt.CursorShape.SizeBDiagCursor,
    "turn": Qt.CursorShape.PointingHandCursor,
}
# Device-independent pixels: the box stands off the skeleton, the round handle off the box.
_PAD: Final = 10.0
_STEM: Final = 24.0
_HANDLE: Final = 5.0
_REACH: Final = 11.0
_SHADE: Final = QColor(0, 0, 0, 120)
_STEP: Final = 0.005
_LARGE_STEP: Final = 0.05
_GROWTH: Final = 1.01
_DEGREES: Final = 1.0
_ARROWS: Final = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}


@dataclass(frozen=True)
class _Drag:
    """Where it began, and what was moved by hand before it."""

    grip: Grip
    start: QPointF
    hand: ByHand
    box: QRectF


class PoseCanvas(QWidget):
    """Moves, scales and turns the skeleton by mouse and keyboard."""

    def __init__(self, check: PoseCheck, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._check = check
        self._drag: _Drag | None = None
        self._kept: dict[str, tuple[object, QPixmap]] = {}
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setMinimumSize(QSize(240, 240))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(self.tr("Skeleton of the motion over the reference"))
        self.setToolTip(
            self.tr(
                "Drag to move, a corner to scale, the round handle to turn.\n"
                "Arrows move (Shift: farther), + and − scale, Alt and an arrow turns."
            )
        )
        check.changed.connect(self.update)
        check.moved.connect(self.update)
        check.pictures_changed.connect(self.update)

    def picture_rect(self) -> QRectF:
        """Where the reference is painted."""
        fitted, reference = self._check.fitted, self._check.reference
        if fitted is not None:
            ratio = fitted.ratio
        elif reference is not None and reference.height():
            ratio = reference.width() / reference.height()
        else:
            ratio = 1.0
        return fitting(QRectF(self.rect()).adjusted(WIDE, WIDE, -WIDE, -WIDE), ratio)

    def box_rect(self) -> QRectF:
        """The box around the motion's skeleton; empty where there is none."""
        box, picture = self._check.box(), self.picture_rect()
        if box.isEmpty():
            return QRectF()
        left, top = (
            picture.left() + box.left() * picture.width(),
            picture.top() + box.top() * picture.height(),
        )
        size = QRectF(left, top, box.width() * picture.width(), box.height() * picture.height())
        return size.adjusted(-_PAD, -_PAD, _PAD, _PAD)

    def handle(self, grip: Grip) -> QPointF:
        """The middle of a handle."""
        box = self.box_rect()
        places = {
            "top left": box.topLeft(),
            "top right": box.topRight(),
            "bottom right": box.bottomRight(),
            "bottom left": box.bottomLeft(),
            "turn": QPointF(box.center().x(), box.top() - _STEM),
        }
        return places.get(grip, box.center())

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        tokens = tokens_of(self)
        painter.fillRect(self.rect(), QColor(tokens.stage))
        picture = self.picture_rect()
        self._paint_reference(painter, picture)
        fitted = self._check.fitted
        if fitted is not None:
            size = drawing_of(picture.size(), self.devicePixelRatioF())
            own = self._pixmap(
                "own", (id(fitted), size), lambda: fitted.draw_reference(size.width(), size.height())
            )
            painter.setOpacity(0.7)
            painter.drawPixmap(picture, own, QRectF(own.rect()))
            painter.setOpacity(1.0)
            self._paint_motion(painter, picture, size)
            self._paint_box(painter, QColor(tokens.accent))
        if self.hasFocus():
            painter.setPen(QPen(QColor(tokens.accent), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(picture.adjusted(-4, -4, 4, 4), 3, 3)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        grip = self._grip_at(event.position())
        if grip:
            self._drag = _Drag(grip, event.position(), self._check.hand, self.box_rect())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._drag is None:
            self.setCursor(_CURSORS[self._grip_at(event.position())])
            return
        self._follow(self._drag, event.position())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._drag is not None:
            self._drag = None
            self._check.confirm()

    def event(self, event: QEvent) -> bool:
        """Escape ends a drag before it would end the dialog."""
        if event.type() == QEvent.Type.ShortcutOverride and self._drag is not None:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self._drag is not None:
            self._check.set_hand(self._drag.hand, confirm=False)
            self._drag = None
        elif self._check.fitted is None or not self._moved_by(event):
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()

    def _moved_by(self, event: QKeyEvent) -> bool:
        """Did this key move anything?"""
        hand, modifiers = self._check.hand, event.modifiers()
        if event.key() in _ARROWS:
            across, down = _ARROWS[Qt.Key(event.key())]
            if modifiers & Qt.KeyboardModifier.AltModifier:
                self._check.set_hand(hand.turned(_DEGREES * (across or down)))
            else:
                step = _LARGE_STEP if modifiers & Qt.KeyboardModifier.ShiftModifier else _STEP
                self._check.set_hand(hand.moved(across * step, down * step))
        elif event.key() in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self._check.scale_by(_GROWTH)
        elif event.key() in (Qt.Key.Key_Minus, Qt.Key.Key_Underscore):
            self._check.scale_by(1 / _GROWTH)
        else:
            return False
        return True

    def _follow(self, drag: _Drag, now: QPointF) -> None:
        """The skeleton goes where the pointer is."""
        picture = self.picture_rect()
        way = now - drag.start
        if drag.grip == "inside":
            hand = drag.hand.moved(way.x() / picture.height(), way.y() / picture.height())
            self._check.set_hand(hand, confirm=False)
        elif drag.grip == "turn":
            middle = self._pivot_point(drag)
            degrees = _angle(now - middle) - _angle(drag.start - middle)
            self._check.set_hand(drag.hand.turned(degrees), confirm=False)
        else:
            self._scale(drag, now, picture)

    def _scale(self, drag: _Drag, now: QPointF, picture: QRectF) -> None:
        """The corner across stays; the pointer's way along the diagonal counts."""
        inner = drag.box.adjusted(_PAD, _PAD, -_PAD, -_PAD)
        fixed = _corner(inner, _OPPOSITE[drag.grip])
        diagonal = _corner(inner, drag.grip) - fixed
        length = math.hypot(diagonal.x(), diagonal.y())
        if length < 1:
            return
        way = now - drag.start
        along = (way.x() * diagonal.x() + way.y() * diagonal.y()) / length
        about = (
            (fixed.x() - picture.left()) / picture.width(),
            (fixed.y() - picture.top()) / picture.height(),
        )
        self._check.scale_about(drag.hand, max(0.05, 1 + along / length), about)

    def _pivot_point(self, drag: _Drag) -> QPointF:
        picture, (x, y) = self.picture_rect(), self._check.pivot
        return QPointF(
            picture.left() + x * picture.width() + drag.hand.x * picture.height(),
            picture.top() + (y + drag.hand.y) * picture.height(),
        )

    def _grip_at(self, at: QPointF) -> Grip:
        box = self.box_rect()
        if box.isEmpty():
            return ""
        for grip in _GRIPS:
            way = at - self.handle(grip)
            if math.hypot(way.x(), way.y()) <= _REACH:
                return grip
        return "inside" if box.contains(at) else ""

    def _paint_reference(self, painter: QPainter, picture: QRectF) -> None:
        image = self._check.reference
        if image is None:
            return
        size = pixels_of(picture.size(), self.devicePixelRatioF())
        pixmap = self._pixmap("reference", (image.cacheKey(), size), lambda: scaled_to(image, size))
        painter.drawPixmap(picture, pixmap, QRectF(pixmap.rect()))
        if self._check.fitted is not None:
            painter.fillRect(picture, _SHADE)

    def _paint_motion(self, painter: QPainter, picture: QRectF, size: QSize) -> None:
        image = self._check.overlay(size.width(), size.height())
        if image is not None:
            painter.drawImage(picture, image)

    def _paint_box(self, painter: QPainter, colour: QColor) -> None:
        box = self.box_rect()
        if box.isEmpty():
            return
        painter.setPen(QPen(colour, 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(box)
        turn = self.handle("turn")
        painter.drawLine(QPointF(turn.x(), box.top()), turn)
        painter.setPen(QPen(QColor(Qt.GlobalColor.white), 1.5))
        painter.setBrush(colour)
        for corner in _CORNERS:
            middle = self.handle(corner)
            painter.drawRect(QRectF(middle.x() - _HANDLE, middle.y() - _HANDLE, 2 * _HANDLE, 2 * _HANDLE))
        painter.drawEllipse(turn, _HANDLE + 1, _HANDLE + 1)

    def _pixmap(self, name: str, key: object, make: object) -> QPixmap:
        """Made once for a size; pixels change with it and with what is shown only."""
        kept = self._kept.get(name)
        if kept is None or kept[0] != key:
            image = make()  # type: ignore[operator]
            assert isinstance(image, QImage)
            kept = (key, QPixmap.fromImage(image))
            self._kept[name] = kept
        return kept[1]


def _corner(box: QRectF, grip: Grip) -> QPointF:
    return {
        "top left": box.topLeft(),
        "top right": box.topRight(),
        "bottom right": box.bottomRight(),
        "bottom left": box.bottomLeft(),
    }[grip]


def _angle(way: QPointF) -> float:
    return math.degrees(math.atan2(way.y(), way.x()))
