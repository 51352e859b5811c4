"""All keys in one place, read from the menus themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from desktop.views.theme import NARROW, SPACE, WIDE, role


class ShortcutsDialog(QDialog):
    """A table for each group.

    Args:
        groups: title and the actions of a group; those without a key are left out.
    """

    def __init__(self, groups: Mapping[str, Sequence[QAction]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Keyboard shortcuts"))
        self.resize(460, 560)
        inside = QWidget()
        grid = QGridLayout(inside)
        grid.setContentsMargins(0, 0, SPACE, 0)
        grid.setVerticalSpacing(NARROW)
        grid.setHorizontalSpacing(WIDE)
        grid.setColumnStretch(0, 1)
        for title, actions in groups.items():
            self._add(grid, title, [action for action in actions if action.shortcuts()])
        grid.setRowStretch(grid.rowCount(), 1)
        area = QScrollArea(widgetResizable=True)
        area.setWidget(inside)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(WIDE, WIDE, SPACE, SPACE)
        layout.addWidget(area, 1)
        layout.addWidget(buttons)

    def _add(self, grid: QGridLayout, title: str, actions: Sequence[QAction]) -> None:
        if not actions:
            return
        grid.addWidget(role(QLabel(title), "heading"), grid.rowCount(), 0, 1, 2)
        for action in actions:
            row = grid.rowCount()
            keys = ", ".join(
                key.toString(QKeySequence.SequenceFormat.NativeText) for key in action.shortcuts()
            )
            grid.addWidget(QLabel(action.text().replace("&", "").rstrip("…")), row, 0)
            grid.addWidget(role(QLabel(keys), "quiet"), row, 1)
