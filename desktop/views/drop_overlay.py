"""Covers the window while files are dragged over it and says what dropping them will do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QMimeData, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QWidget

from core.errors import BadInput
from desktop.presenters.library_presenter import kind_of

_MARGIN = 24


def dropped_files(data: QMimeData) -> list[Path]:
    """Local files of a drag."""
    return [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]


class DropOverlay(QWidget):
    """Lies over its parent, invisible until something is dragged in."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._text = ""
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    @property
    def text(self) -> str:
        """What it says now."""
        return self._text

    def show_for(self, paths: Sequence[Path]) -> None:
        """Name what these files will become."""
        self._text = self._sentence(paths)
        self.setGeometry(self.window().rect())
        self.raise_()
        self.show()
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """A veil, a frame and one sentence."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(0, 0, 0, 205))
        accent = self.palette().color(QPalette.ColorRole.Highlight).lighter(130)
        painter.setPen(QPen(accent, 3, Qt.PenStyle.DashLine))
        inside = self.rect().adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        painter.drawRoundedRect(inside, 12, 12)
        font = painter.font()
        font.setPointSizeF(font.pointSizeF() * 1.7)
        painter.setFont(font)
        painter.setPen(Qt.GlobalColor.white)
        painter.drawText(inside, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._text)

    def _sentence(self, paths: Sequence[Path]) -> str:
        kinds = set()
        for path in paths:
            try:
                kinds.add(kind_of(path))
            except BadInput as error:
                return error.message
        if len(kinds) == 2:
            return self.tr("Use as reference picture and motion")
        if kinds == {"reference"}:
            return self.tr("Use as reference picture")
        return self.tr("Use as motion")
