"""A line under the header: the queue is held, waits for something, or cannot be worked."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from desktop.presenters.queue_head import Head
from desktop.views.icons import icon
from desktop.views.theme import NARROW, SPACE, TIGHT, icon_size, restyle, role, tokens_of

_SIGNS = {"error": "error", "caution": "hold", "note": "info"}


class QueueBanner(QFrame):
    """Hidden where there is nothing to tell; what is most pressing is told.

    Signals:
        pressed: what is to be done: "try_again", "release" or "dismiss".
    """

    pressed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        role(self, "note")
        self._kind, self._action = "note", ""
        self._sign = QLabel()
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.button = QPushButton()
        self.button.clicked.connect(lambda: self.pressed.emit(self._action))
        row = QHBoxLayout(self)
        row.setContentsMargins(SPACE, TIGHT, NARROW, TIGHT)
        row.setSpacing(NARROW)
        row.addWidget(self._sign)
        row.addWidget(self.text, 1)
        row.addWidget(self.button)
        self.hide()

    def show_head(self, head: Head) -> None:
        """Tell what is most pressing."""
        if head.trouble is not None:
            self._tell("error", " ".join(head.trouble), self.tr("Try again"), "try_again")
        elif head.held:
            words = (
                self.tr("The render that runs is finished, then the queue is held.")
                if head.running
                else self.tr("The queue is held: nothing is rendered.")
            )
            self._tell("caution", words, self.tr("Go on"), "release")
        elif head.waits:
            self._tell("note", head.waits, "", "")
        elif head.note:
            self._tell("note", head.note, self.tr("Dismiss"), "dismiss")
        else:
            self.hide()

    def changeEvent(self, event: QEvent) -> None:
        """The sign follows the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._draw_sign()

    def _tell(self, kind: str, words: str, button: str, action: str) -> None:
        self._kind, self._action = kind, action
        self.text.setText(words)
        self.button.setText(button)
        self.button.setVisible(bool(button))
        restyle(self, kind)
        self.text.style().polish(self.text)
        self._draw_sign()
        self.show()

    def _draw_sign(self) -> None:
        tokens = tokens_of(self)
        colours = {"error": tokens.danger, "caution": tokens.warning, "note": tokens.info}
        sign = icon(_SIGNS[self._kind], colours[self._kind])
        self._sign.setPixmap(sign.pixmap(icon_size(), self.devicePixelRatioF()))
