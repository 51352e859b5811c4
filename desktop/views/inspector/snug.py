"""Scroll areas of the inspector: up and down only."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QWidget


class Scroll(QScrollArea):
    """Its content is as wide as it is."""

    def __init__(self, content: QWidget) -> None:
        super().__init__(widgetResizable=True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.content = content
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(content)
        content.setAutoFillBackground(False)
        self.viewport().setAutoFillBackground(False)


class Snug(Scroll):
    """As high as its content, up to a limit; then it scrolls."""

    def __init__(self, content: QWidget) -> None:
        super().__init__(content)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        content.installEventFilter(self)

    def sizeHint(self) -> QSize:
        """The content's height at the present width."""
        usual, layout = self.content.sizeHint(), self.content.layout()
        wanted = -1 if layout is None else layout.totalHeightForWidth(self.viewport().width())
        return QSize(usual.width(), wanted if wanted > 0 else usual.height())

    def minimumSizeHint(self) -> QSize:
        """It gives way before the window grows."""
        return QSize(0, min(60, self.sizeHint().height()))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Content of another height needs another height here."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)

    def resizeEvent(self, event: object) -> None:
        """Another width wraps lines elsewhere."""
        super().resizeEvent(event)  # type: ignore[arg-type]
        self.updateGeometry()
