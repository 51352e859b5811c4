"""Covers the whole window while something is dragged over it and says what dropping it would do."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QMimeData, QObject, QRect, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QFont,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QTextOption,
    QWindow,
)
from PySide6.QtWidgets import QWidget

from desktop.model.intake import OverlayText
from desktop.presenters.intake import Intake
from desktop.views.icons import icon
from desktop.views.theme import SPACE, WIDE, Tokens, scaled, tokens_of

_EDGE: Final = 14
_CARD_WIDTH: Final = 460
_ICON: Final = 44
_SCRIM: Final = 222
_RADIUS: Final = 14
_MOST_LINES: Final = 3


class DropVeil(QWidget):
    """Hidden until a drag comes that is ours; then it is the drop target itself, whatever lies below.

    The window's native half hears of a drag before any widget does, so a text field cannot swallow a file.

    Args:
        window: that it lies over.
        intake: says what a drag is for, and takes the drop.
    """

    def __init__(self, window: QWidget, intake: Intake) -> None:
        super().__init__(window)
        self._intake = intake
        self._window = window
        self._handle: QWindow | None = None
        self._text = OverlayText("", "", "image")
        self.hide()
        self.setAcceptDrops(True)
        window.setAcceptDrops(True)
        window.installEventFilter(self)
        intake.overlay_changed.connect(self._on_better)
        self._attach()

    @property
    def text(self) -> OverlayText:
        """What it says, or said last."""
        return self._text

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Hears the window and its native half."""
        kind = event.type()
        if watched is self._handle:
            if kind == QEvent.Type.DragEnter and isinstance(event, QDropEvent):
                self._begin(event.mimeData())
            return False
        if kind in (QEvent.Type.Show, QEvent.Type.WinIdChange):
            self._attach()
        elif kind == QEvent.Type.Resize:
            self.setGeometry(self._window.rect())
        elif kind == QEvent.Type.DragEnter and isinstance(event, QDragEnterEvent):
            return self._enter(event)
        elif self.isVisible() and isinstance(event, QDragMoveEvent):
            self._agree(event)
            return True
        elif self.isVisible() and kind == QEvent.Type.DragLeave:
            self.hide()
            return True
        elif self.isVisible() and kind == QEvent.Type.Drop and isinstance(event, QDropEvent):
            self._drop(event)
            return True
        return False

    def detach(self) -> None:
        """Hear nothing any more: a window that is being destroyed must not ask us."""
        self._window.removeEventFilter(self)
        if self._handle is not None:
            self._handle.removeEventFilter(self)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """The drag is over the veil, which is everywhere."""
        if not self._enter(event):
            event.ignore()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        """The answer is the same all over the window."""
        self._agree(event)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """It went elsewhere."""
        self.hide()
        super().dragLeaveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        """Take it."""
        self._drop(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """No drag is going on any more, or there would be no such event: the source has died."""
        self.hide()
        super().mouseMoveEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """As for a move."""
        self.hide()
        super().mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """As for a move."""
        self.hide()
        super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """A scrim, a frame, and a card that names the target."""
        del event
        tokens = tokens_of(self)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        scrim = QColor(tokens.danger_fill if self._text.is_refused else tokens.window)
        scrim.setAlpha(_SCRIM)
        painter.fillRect(self.rect(), scrim)
        frame = QColor(tokens.danger if self._text.is_refused else tokens.accent)
        painter.setPen(QPen(frame, 2, Qt.PenStyle.DashLine))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(_EDGE, _EDGE, -_EDGE, -_EDGE), _RADIUS, _RADIUS)
        self._card(painter, tokens)
        painter.end()

    def _card(self, painter: QPainter, tokens: Tokens) -> None:
        colour = tokens.danger if self._text.is_refused else tokens.accent
        heading, quiet = scaled(self.font(), 1.6, QFont.Weight.DemiBold), scaled(self.font(), 1.05)
        width = min(_CARD_WIDTH, self.width() - 4 * _EDGE)
        inner = width - 2 * WIDE
        option = QTextOption(Qt.AlignmentFlag.AlignHCenter)
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        heights = [self._height(painter, font, text, inner) for font, text in self._lines(heading, quiet)]
        card = QRect(0, 0, width, _ICON + sum(heights) + 2 * WIDE + 2 * SPACE)
        card.moveCenter(self.rect().center())
        painter.setPen(QPen(QColor(colour if self._text.is_refused else tokens.line), 1))
        painter.setBrush(QColor(tokens.raised))
        painter.drawRoundedRect(QRectF(card).adjusted(0.5, 0.5, -0.5, -0.5), _RADIUS, _RADIUS)
        sign = QRect(card.center().x() - _ICON // 2, card.top() + WIDE, _ICON, _ICON)
        icon(self._text.icon, colour).paint(painter, sign)
        top = sign.bottom() + SPACE
        colours = (colour if self._text.is_refused else tokens.text, tokens.quiet)
        for (font, text), height, ink in zip(self._lines(heading, quiet), heights, colours, strict=True):
            painter.setFont(font)
            painter.setPen(QColor(ink))
            painter.drawText(QRectF(card.left() + WIDE, top, inner, height), text, option)
            top += height + SPACE // 2

    def _lines(self, heading: QFont, quiet: QFont) -> tuple[tuple[QFont, str], ...]:
        return (heading, self._text.headline), (quiet, self._text.detail)

    def _height(self, painter: QPainter, font: QFont, text: str, width: int) -> int:
        painter.setFont(font)
        flags = Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWrapAnywhere
        metrics = painter.fontMetrics()
        needed = metrics.boundingRect(QRect(0, 0, width, 10_000), int(flags), text).height()
        return min(needed, _MOST_LINES * metrics.lineSpacing()) + 2

    def _attach(self) -> None:
        """The native half comes with the first show, and anew where the window is made again."""
        handle = self._window.windowHandle()
        if handle is not None and handle is not self._handle:
            self._handle = handle
            handle.installEventFilter(self)

    def _begin(self, data: QMimeData) -> bool:
        """Show what this drag is for; false where it is not ours."""
        text = self._intake.sentence(data)
        if text is None:
            return False
        self._show(text)
        self.setGeometry(self._window.rect())
        self.show()
        self.raise_()
        return True

    def _enter(self, event: QDragEnterEvent) -> bool:
        if not (self.isVisible() or self._begin(event.mimeData())):
            return False
        self._agree(event)
        return True

    def _agree(self, event: QDropEvent) -> None:
        """What is refused is accepted all the same, with no action, or we would not hear of its leaving."""
        refused = self._text.is_refused
        event.setDropAction(Qt.DropAction.IgnoreAction if refused else Qt.DropAction.CopyAction)
        event.accept()

    def _drop(self, event: QDropEvent) -> None:
        """What is refused says so once more in a line that stays."""
        self.hide()
        self._agree(event)
        self._intake.take_mime(event.mimeData())

    def _on_better(self, text: OverlayText) -> None:
        if self.isVisible():
            self._show(text)

    def _show(self, text: OverlayText) -> None:
        self._text = text
        self.setAccessibleName(f"{text.headline}. {text.detail}")
        self.update()
