"""A line across the window for what went wrong or should be known: a sentence, the way out, dismiss."""

from __future__ import annotations

from typing import Final, Literal

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QToolButton, QWidget

from desktop.views.icons import icon
from desktop.views.theme import NARROW, SPACE, TIGHT, icon_size, restyle, role, tokens_of

Kind = Literal["error", "caution", "note", "good"]
_ICONS: Final[dict[Kind, str]] = {"error": "error", "caution": "warning", "note": "info", "good": "check"}


class MessageBar(QFrame):
    """Hidden until something is told; the newest message replaces the one before.

    Args:
        passing_s: after how many seconds what is no error and has no button goes by itself; 0: never.

    Signals:
        acted: the button of the message was pressed.
    """

    acted = Signal()

    def __init__(self, parent: QWidget | None = None, passing_s: float = 0.0) -> None:
        super().__init__(parent)
        self._kind: Kind = "note"
        self._passing = QTimer(self, singleShot=True, interval=round(1000 * passing_s))
        self._passing.timeout.connect(self.hide)
        self._sign = QLabel()
        self.text = QLabel(wordWrap=True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.button = role(QPushButton(), "flat")
        self.button.clicked.connect(self._act)
        self.dismiss = QToolButton()
        self.dismiss.setIcon(icon("close"))
        self.dismiss.setToolTip(self.tr("Dismiss"))
        self.dismiss.setAccessibleName(self.tr("Dismiss the message"))
        self.dismiss.clicked.connect(self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(SPACE, TIGHT, NARROW, TIGHT)
        row.setSpacing(NARROW)
        row.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.text, 1)
        row.addWidget(self.button, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.dismiss, 0, Qt.AlignmentFlag.AlignVCenter)
        role(self, "note")
        self.hide()

    @property
    def kind(self) -> Kind:
        """What sort of message is shown."""
        return self._kind

    def tell(self, message: str, action: str = "", kind: Kind = "error", button: str = "") -> None:
        """Show a sentence and the way out; with a button where there is something to press."""
        self._kind = kind
        self.text.setText(f"{message} {action}".strip())
        self.text.setAccessibleName(self.text.text())
        self.button.setText(button)
        self.button.setVisible(bool(button))
        restyle(self, kind)
        for label in (self.text, self._sign):
            label.style().unpolish(label)
            label.style().polish(label)
        self._draw_sign()
        self.show()
        if self._passing.interval() and kind != "error" and not button:
            self._passing.start()
        else:
            self._passing.stop()

    def changeEvent(self, event: QEvent) -> None:
        """The sign follows the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._draw_sign()

    def _draw_sign(self) -> None:
        tokens = tokens_of(self)
        colour = {
            "error": tokens.danger,
            "caution": tokens.warning,
            "note": tokens.info,
            "good": tokens.success,
        }[self._kind]
        size = icon_size()
        self._sign.setPixmap(icon(_ICONS[self._kind], colour).pixmap(size, self.devicePixelRatio()))

    def _act(self) -> None:
        self.hide()
        self.acted.emit()
