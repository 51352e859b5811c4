"""Asks for an access token; it goes into the system's keyring and is never shown."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QLineEdit, QVBoxLayout, QWidget

from desktop.views.theme import NARROW, SPACE, WIDE, role


class TokenDialog(QDialog):
    """One field.

    Args:
        page: where a licence is to be accepted first; empty where none is.
    """

    def __init__(self, page: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Access token"))
        self.setMinimumWidth(440)
        self.field = QLineEdit(echoMode=QLineEdit.EchoMode.Password)
        self.field.setPlaceholderText("hf_…")
        self.field.setAccessibleName(self.tr("Access token"))
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        save = self.buttons.button(QDialogButtonBox.StandardButton.Save)
        save.setEnabled(False)
        self.field.textChanged.connect(lambda text: save.setEnabled(bool(text.strip())))
        rows = QVBoxLayout(self)
        rows.setContentsMargins(WIDE, WIDE, WIDE, SPACE)
        rows.setSpacing(NARROW)
        if page:
            text = self.tr("First accept the licence with your account: {link}")
            link = QLabel(text.format(link=f'<a href="{page}">{page}</a>'), wordWrap=True)
            link.setOpenExternalLinks(True)
            link.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
            rows.addWidget(link)
        rows.addWidget(
            QLabel(
                self.tr("A token that may read, from the settings of your account at the hub:"), wordWrap=True
            )
        )
        rows.addWidget(self.field)
        note = self.tr("It is kept in the keyring of this computer and sent to the hub only.")
        rows.addWidget(role(QLabel(note, wordWrap=True), "small"))
        rows.addWidget(self.buttons)

    @property
    def token(self) -> str:
        """What was typed."""
        return self.field.text().strip()
