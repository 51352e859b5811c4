"""Enters a file that no catalogue knows: what it is for, its licence, and the model that shall use it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, get_args

from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from desktop.presenters import model_words
from desktop.presenters.models import Models, OwnRole
from desktop.views.elided import ElidedLabel
from desktop.views.theme import NARROW, SPACE, WIDE, role

_LORA: Final = "lora"
_NO_PART: Final = ("lora", "preview_decoder", "pose_detector", "pose_estimator")


class OwnFileDialog(QDialog):
    """One file; it stays where it is."""

    def __init__(self, models: Models, path: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("File of your own"))
        self.setMinimumWidth(460)
        self._models, self._path = models, path
        self.purpose = QComboBox()
        self.model = QComboBox()
        self.licence = QLineEdit(placeholderText=self.tr("not stated"))
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        for name in get_args(OwnRole):
            self.purpose.addItem(model_words.role_words(name), name)
        self.model.addItem(self.tr("None; only put it on the list"), "")
        shelf = models.shelf
        for row in shelf.models if shelf is not None else ():
            self.model.addItem(row.title, row.id)
        self.purpose.setCurrentIndex(self.purpose.findData(_guess(path)))
        self.purpose.currentIndexChanged.connect(lambda _: self._tell_model())
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self._build()
        self._tell_model()

    def accept(self) -> None:
        """Put it on the list."""
        self._models.add_own(
            self._path,
            self.purpose.currentData(),
            self.licence.text().strip(),
            str(self.model.currentData()) if self.model.isEnabled() else "",
        )
        super().accept()

    def _tell_model(self) -> None:
        is_part = self.purpose.currentData() not in _NO_PART
        self.model.setEnabled(is_part)
        self.model.setToolTip(
            "" if is_part else self.tr("Only parts of a model can be made its first choice.")
        )

    def _build(self) -> None:
        form = QFormLayout()
        form.setSpacing(NARROW)
        form.addRow(self.tr("File"), ElidedLabel(str(self._path)))
        form.addRow(self.tr("What it is for"), self.purpose)
        form.addRow(self.tr("Model that shall use it"), self.model)
        form.addRow(self.tr("Licence"), self.licence)
        note = self.tr("The file stays where it is. Pirouette neither copies nor deletes it.")
        rows = QVBoxLayout(self)
        rows.setContentsMargins(WIDE, WIDE, WIDE, SPACE)
        rows.setSpacing(SPACE)
        rows.addLayout(form)
        rows.addWidget(role(QLabel(note, wordWrap=True), "small"))
        rows.addWidget(self.buttons)


def _guess(path: Path) -> str:
    """From the name, what a file may be for."""
    name = path.name.lower()
    hints = (
        (_LORA, ("lora", "lightx2v")),
        ("text_encoder", ("umt5", "t5xxl")),
        ("image_encoder", ("clip",)),
        ("vae", ("vae",)),
        ("pose_detector", ("yolo",)),
        ("pose_estimator", ("dwpose", "dw-ll")),
        ("tokenizer", ("tokenizer",)),
    )
    return next((purpose for purpose, words in hints if any(word in name for word in words)), "transformer")
