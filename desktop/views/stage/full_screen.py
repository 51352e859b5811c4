"""A window of its own for the stage; its controls go away while nobody moves the mouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop.views.stage.canvas import Canvas
from desktop.views.stage.transport import Transport
from desktop.views.theme import role

if TYPE_CHECKING:
    from desktop.presenters.playback import Playback

_IDLE_MS: Final = 2500
_WIDEST: Final = 900
_STIRS: Final = (QEvent.Type.MouseMove, QEvent.Type.MouseButtonPress, QEvent.Type.Wheel, QEvent.Type.FocusIn)


class FullScreen(QWidget):
    """Borrows canvas and transport; whoever lent them takes them back when ``left`` comes.

    Signals:
        left: Esc, F or the window's own way of closing.
    """

    left = Signal()

    def __init__(self, canvas: Canvas, transport: Transport, playback: Playback, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        role(self, "stage")
        self.setWindowTitle(self.tr("Stage"))
        self._canvas, self._transport, self._playback = canvas, transport, playback
        self._idle = QTimer(self, singleShot=True, interval=_IDLE_MS)
        self._idle.timeout.connect(self._hide_controls)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(canvas)
        transport.setParent(self)
        canvas.set_bare(True)
        for widget in (canvas, transport):
            widget.setMouseTracking(True)
            widget.installEventFilter(self)
            widget.show()
        self._stir()

    def give_back(self) -> None:
        """Stop watching what was lent."""
        self._idle.stop()
        for widget in (self._canvas, self._transport):
            widget.removeEventFilter(self)
            widget.setMouseTracking(False)
        self._canvas.set_bare(False)
        self._transport.show()

    @property
    def controls_shown(self) -> bool:
        """Is the transport visible?"""
        return self._transport.isVisible()

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """Any stir of the mouse brings the controls back."""
        if event.type() in _STIRS:
            self._stir()
        return False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc and F leave; the keys of playing work here, too."""
        key = Qt.Key(event.key())
        if key in (Qt.Key.Key_Escape, Qt.Key.Key_F, Qt.Key.Key_F11):
            self.left.emit()
            return
        many = 16 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1
        playback = self._playback
        act: dict[Qt.Key, Callable[[], object]] = {
            Qt.Key.Key_Space: playback.toggle,
            Qt.Key.Key_J: lambda: playback.shuttle(-1),
            Qt.Key.Key_K: lambda: playback.shuttle(0),
            Qt.Key.Key_L: lambda: playback.shuttle(1),
            Qt.Key.Key_Left: lambda: playback.step(-many),
            Qt.Key.Key_Right: lambda: playback.step(many),
            Qt.Key.Key_Home: self._transport.start.click,
            Qt.Key.Key_End: self._transport.end.click,
        }
        if key in act:
            act[key]()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The controls lie over the picture's foot."""
        super().resizeEvent(event)
        self._place_controls()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Closing it is leaving."""
        event.ignore()
        self.left.emit()

    def _place_controls(self) -> None:
        height, width = self._transport.sizeHint().height(), min(self.width(), _WIDEST)
        self._transport.setGeometry((self.width() - width) // 2, self.height() - height, width, height)
        self._transport.raise_()

    def _stir(self) -> None:
        if not self._transport.isVisible():
            self._transport.show()
            self._place_controls()
        self.unsetCursor()
        self._idle.start()

    def _hide_controls(self) -> None:
        """Not under the pointer, and not while the keyboard is in them."""
        inside = self._transport.focusWidget()
        if self._transport.underMouse() or (inside is not None and inside.hasFocus()):
            self._idle.start()
            return
        self._transport.hide()
        self.setCursor(Qt.CursorShape.BlankCursor)
