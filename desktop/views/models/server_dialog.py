"""Where models come from: offline mode, a mirror, an access token, folders with files that are here."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop.presenters.models import Models
from desktop.views.models.token_dialog import TokenDialog
from desktop.views.theme import NARROW, SPACE, WIDE, role

_LIST = 90


class ServerDialog(QDialog):
    """Changes count when it is accepted; the token at once."""

    def __init__(self, models: Models, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Sources of models"))
        self.setMinimumWidth(480)
        self._models = models
        shelf = models.shelf
        self.offline = QCheckBox(self.tr("Offline: let no call leave this computer"))
        self.mirror = QLineEdit(placeholderText="https://huggingface.co")
        self.mirror.setAccessibleName(self.tr("Server"))
        self.token = QPushButton(self.tr("Set access token…"))
        self.forget = QPushButton(self.tr("Forget it"))
        self.folders = QListWidget()
        self.folders.setAccessibleName(self.tr("Folders that are looked into before a download"))
        self.folders.setFixedHeight(_LIST)
        self.add = QPushButton(self.tr("Add folder…"))
        self.drop = QPushButton(self.tr("Take off the list"))
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        if shelf is not None:
            self.offline.setChecked(shelf.offline)
            self.mirror.setText(shelf.endpoint)
            self.folders.addItems([str(folder) for folder in shelf.folders])
        self._build()
        self._connect()
        self._tell_drop()

    def accept(self) -> None:
        """Remember what was changed."""
        shelf = self._models.shelf
        folders = tuple(Path(self.folders.item(row).text()) for row in range(self.folders.count()))
        if shelf is not None:
            if self.offline.isChecked() != shelf.offline:
                self._models.set_offline(self.offline.isChecked())
            if self.mirror.text().strip() != shelf.endpoint:
                self._models.set_endpoint(self.mirror.text())
            if folders != shelf.folders:
                self._models.set_folders(folders)
        super().accept()

    def _on_token(self) -> None:
        dialog = TokenDialog(parent=self)
        dialog.accepted.connect(lambda: self._models.keep_token(dialog.token))
        dialog.open()

    def _on_add(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Folder with model files"))
        if chosen:
            self.folders.addItem(chosen)

    def _on_drop(self) -> None:
        self.folders.takeItem(self.folders.currentRow())

    def _tell_drop(self) -> None:
        self.drop.setEnabled(self.folders.currentRow() >= 0)

    def _connect(self) -> None:
        self.token.clicked.connect(self._on_token)
        self.forget.clicked.connect(lambda: self._models.keep_token(""))
        self.add.clicked.connect(self._on_add)
        self.drop.clicked.connect(self._on_drop)
        self.folders.currentRowChanged.connect(lambda _: self._tell_drop())
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)

    def _build(self) -> None:
        rows = QVBoxLayout(self)
        rows.setContentsMargins(WIDE, WIDE, WIDE, SPACE)
        rows.setSpacing(NARROW)
        rows.addWidget(self.offline)
        rows.addSpacing(NARROW)
        rows.addWidget(role(QLabel(self.tr("Server")), "heading"))
        rows.addWidget(self.mirror)
        rows.addWidget(role(QLabel(self.tr("A mirror of the hub; empty for the hub itself")), "small"))
        rows.addSpacing(NARROW)
        rows.addWidget(role(QLabel(self.tr("Access token")), "heading"))
        rows.addLayout(_row(self.token, self.forget))
        note = self.tr("Only for files that want an account; kept in the keyring of this computer")
        rows.addWidget(role(QLabel(note), "small"))
        rows.addSpacing(NARROW)
        rows.addWidget(role(QLabel(self.tr("Files that are here already")), "heading"))
        rows.addWidget(self.folders)
        rows.addLayout(_row(self.add, self.drop))
        note = self.tr("Looked into before a download, never changed: a ComfyUI folder, for example")
        rows.addWidget(role(QLabel(note), "small"))
        rows.addWidget(self.buttons)
        for button in (self.token, self.forget, self.add, self.drop):
            button.setAutoDefault(False)


def _row(*buttons: QPushButton) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(NARROW)
    for button in buttons:
        row.addWidget(button)
    row.addStretch(1)
    return row
