"""A widget that shows a picture or plays a list of pictures in a loop."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop.views.style import STAGE_TEXT


class Filmstrip(QWidget):
    """Paints the present picture as large as fits, with its ratio kept.

    Signals:
        frame_changed: number of the picture shown, from 0.
    """

    frame_changed = Signal(int)

    def __init__(self, fps: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._images: Sequence[QImage] = ()
        self._index = 0
        self._empty_text = ""
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(round(1000 / fps))
        self._timer.timeout.connect(self._advance)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(120, 120)

    @property
    def playing(self) -> bool:
        """Does it move?"""
        return self._timer.isActive()

    @property
    def index(self) -> int:
        """Number of the picture shown."""
        return self._index

    def set_empty_text(self, text: str) -> None:
        """What to say while there is no picture."""
        self._empty_text = text
        self.update()

    def set_images(self, images: Sequence[QImage]) -> None:
        """Show these from the first one on; more than one play."""
        self._images = images
        self._show(0)
        self.set_playing(True)

    def show_once(self, images: Sequence[QImage]) -> None:
        """As ``set_images``, but leave these pictures alone if they are on already."""
        if images is not self._images:
            self.set_images(images)

    def set_playing(self, playing: bool) -> None:
        """Play or hold; a single picture never plays."""
        if playing and len(self._images) > 1:
            self._timer.start()
        else:
            self._timer.stop()

    def step(self, count: int) -> None:
        """Hold, and go forwards or back by this many pictures."""
        self.set_playing(False)
        if self._images:
            self._show((self._index + count) % len(self._images))

    def sizeHint(self) -> QSize:
        """Room for a small stage."""
        return QSize(420, 420)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """The picture, or the text that stands for it."""
        painter = QPainter(self)
        if not self._images:
            painter.setPen(STAGE_TEXT)
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect().adjusted(16, 16, -16, -16), flags, self._empty_text)
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        image = self._images[self._index]
        painter.drawImage(self._place(image), image)

    def _place(self, image: QImage) -> QRectF:
        size = image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        left, top = (self.width() - size.width()) / 2, (self.height() - size.height()) / 2
        return QRectF(left, top, size.width(), size.height())

    def _advance(self) -> None:
        if self.isVisible():
            self._show((self._index + 1) % len(self._images))

    def _show(self, index: int) -> None:
        self._index = index
        self.frame_changed.emit(index)
        self.update()
