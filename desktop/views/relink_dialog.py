"""Files that an opened project names and that are not there any more: find them, or go on without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from desktop.views.theme import NARROW, SPACE, WIDE, role


class RelinkDialog(QDialog):
    """One row a missing file.

    Signals:
        found: (missing path, path to use instead).
    """

    found = Signal(object, object)

    def __init__(self, missing: Sequence[Path], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Missing files"))
        self.setMinimumWidth(560)
        self._rows: dict[Path, tuple[QLabel, QPushButton]] = {}
        text = self.tr(
            "This project uses files that are not where they were. Locate one, and others in the same folder "
            "are found with it."
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(WIDE, WIDE, WIDE, SPACE)
        layout.setSpacing(SPACE)
        layout.addWidget(role(QLabel(self.tr("Where are these files?")), "title"))
        layout.addWidget(QLabel(text, wordWrap=True))
        layout.addWidget(self._list(missing), 1)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.button(QDialogButtonBox.StandardButton.Close).setText(self.tr("Go on"))
        buttons.rejected.connect(self.reject)
        layout.addWidget(buttons)

    def show_missing(self, missing: Sequence[Path]) -> None:
        """These are still missing; when none is, the dialog closes."""
        for path, (state, button) in self._rows.items():
            there = path not in missing
            state.setText(self.tr("Found") if there else str(path.parent))
            button.setEnabled(not there)
        if not missing:
            self.accept()

    def _list(self, missing: Sequence[Path]) -> QWidget:
        inside = QWidget()
        grid = QGridLayout(inside)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(NARROW)
        grid.setColumnStretch(0, 1)
        for row, path in enumerate(missing):
            name = role(QLabel(path.name), "heading")
            state = role(QLabel(str(path.parent)), "small")
            state.setToolTip(str(path))
            state.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            button = QPushButton(self.tr("Locate…"))
            button.setAccessibleName(self.tr("Locate {name}").format(name=path.name))
            button.clicked.connect(lambda _=False, path=path: self._ask(path))
            grid.addWidget(name, 2 * row, 0)
            grid.addWidget(state, 2 * row + 1, 0)
            grid.addWidget(button, 2 * row, 1, 2, 1, Qt.AlignmentFlag.AlignVCenter)
            self._rows[path] = (state, button)
        area = QScrollArea(widgetResizable=True)
        area.setWidget(inside)
        return area

    def _ask(self, missing: Path) -> None:
        title = self.tr("Locate {name}").format(name=missing.name)
        chosen, _ = QFileDialog.getOpenFileName(self, title, str(missing.parent), f"*{missing.suffix};;*")
        if chosen:
            self.found.emit(missing, Path(chosen))
