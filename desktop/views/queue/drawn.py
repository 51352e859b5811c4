"""Icons and small pictures drawn once for a size, so that rows are painted quickly."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPainterPath, QPixmap
from PySide6.QtWidgets import QWidget

from desktop.views.icons import icon
from desktop.views.theme import TIGHT

_MOST: Final = 256


class Drawn:
    """Keeps the latest few hundred, for the screen that the widget is on.

    Args:
        widget: whose pixels count.
    """

    def __init__(self, widget: QWidget) -> None:
        self._widget = widget
        self._kept: OrderedDict[tuple[object, ...], QPixmap] = OrderedDict()

    def icon(self, name: str, colour: str, side: int) -> QPixmap:
        """An icon in a colour."""
        ratio = self._widget.devicePixelRatioF()
        key = (name, colour, side, ratio)
        found = self._kept.get(key)
        return found or self._keep(key, icon(name, colour).pixmap(QSize(side, side), ratio))

    def picture(self, image: QImage, side: int) -> QPixmap:
        """The middle of a picture, filling a rounded square."""
        ratio = self._widget.devicePixelRatioF()
        key = (image.cacheKey(), side, ratio)
        return self._kept.get(key) or self._keep(key, _cropped(image, side, ratio))

    def _keep(self, key: tuple[object, ...], made: QPixmap) -> QPixmap:
        self._kept[key] = made
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return made


def _cropped(image: QImage, side: int, ratio: float) -> QPixmap:
    made = QPixmap(round(side * ratio), round(side * ratio))
    made.setDevicePixelRatio(ratio)
    made.fill(Qt.GlobalColor.transparent)
    shorter = min(image.width(), image.height())
    source = QRect(0, 0, shorter, shorter)
    source.moveCenter(QPoint(image.width() // 2, image.height() // 2))
    path = QPainterPath()
    path.addRoundedRect(0, 0, side, side, TIGHT, TIGHT)
    painter = QPainter(made)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.setClipPath(path)
    painter.drawImage(QRect(0, 0, side, side), image, source)
    painter.end()
    return made
