"""Icons of our own: SVG drawings in one colour, tinted as the theme asks, sharp at every scale."""

from __future__ import annotations

from functools import cache
from typing import Final

from PySide6.QtCore import QByteArray, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QGuiApplication, QIcon, QIconEngine, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer

from core.settings import resources

_SIDE: Final = 24


class _Tinted(QIconEngine):
    """Draws an SVG in the present palette's colour of text, or in one colour for good."""

    def __init__(self, svg: bytes, colour: str | None) -> None:
        super().__init__()
        self._svg, self._colour = svg, colour

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, _state: QIcon.State) -> None:
        """Vector drawing straight into the painter."""
        coloured = self._svg.replace(b"#000", self._colour_for(mode).encode())
        QSvgRenderer(QByteArray(coloured)).render(painter, _square(rect))

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        """For those who ask for pixels."""
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(0, 0, size.width(), size.height()), mode, state)
        painter.end()
        return pixmap

    def clone(self) -> QIconEngine:
        """Qt copies an engine before it is changed."""
        return _Tinted(self._svg, self._colour)

    def _colour_for(self, mode: QIcon.Mode) -> str:
        if mode == QIcon.Mode.Disabled or self._colour is None:
            group = (
                QPalette.ColorGroup.Disabled if mode == QIcon.Mode.Disabled else QPalette.ColorGroup.Active
            )
            return QGuiApplication.palette().color(group, QPalette.ColorRole.WindowText).name()
        return self._colour


def icon(name: str, colour: str | None = None) -> QIcon:
    """An icon by the name of its file in resources/icons.

    Args:
        colour: as ``#rrggbb``; None follows the theme's text by itself.
    """
    return QIcon(_Tinted(_drawing(name), colour))


def app_icon() -> QIcon:
    """The app's own, in colours."""
    return QIcon(str(resources() / "icons" / "app.svg"))


@cache
def _drawing(name: str) -> bytes:
    """Read once: lists ask for their icons with every painting."""
    return (resources() / "icons" / f"{name}.svg").read_bytes()


def _square(rect: QRect) -> QRectF:
    side = min(rect.width(), rect.height())
    square = QRectF(0, 0, side, side)
    square.moveCenter(QPointF(rect.center()) + QPointF(0.5, 0.5))
    return square
