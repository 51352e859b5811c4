"""Pictures in rectangles: the largest that fits, in whole pixels of the screen."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import QImage

_FINE: Final = 2.0


def fitting(room: QRectF, ratio: float) -> QRectF:
    """The largest rectangle of this ratio of width to height in the middle of a room."""
    width = min(room.width(), room.height() * ratio)
    fitted = QRectF(0, 0, max(1.0, width), max(1.0, width / ratio))
    fitted.moveCenter(room.center())
    return fitted


def pixels_of(size: QSizeF, ratio: float) -> QSize:
    """Pixels of the screen for a size in device-independent ones."""
    return QSize(max(1, round(size.width() * ratio)), max(1, round(size.height() * ratio)))


def drawing_of(size: QSizeF, ratio: float) -> QSize:
    """Pixels to draw a skeleton with: its lines have no soft edges, so it is drawn larger and scaled down."""
    return pixels_of(size, max(ratio, _FINE))


def scaled_to(image: QImage, size: QSize) -> QImage:
    """An image in exactly this size, smoothly."""
    return image.scaled(
        size, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
    )
