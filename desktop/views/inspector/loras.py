"""The LoRAs of the next render: a list with strengths, in an order that can be dragged."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.types import Lora
from desktop.presenters.inspector import Inspector
from desktop.views.elided import ElidedLabel
from desktop.views.icons import icon
from desktop.views.inspector.controls import DoubleSpin, push_button, tool_button
from desktop.views.inspector.fields import Field
from desktop.views.theme import ICON, NARROW, TIGHT, role

_ENDING: Final = ".safetensors"


class LoraField(Field):
    """The list with a button that adds files; files can be dropped on it, too."""

    def __init__(self, inspector: Inspector) -> None:
        self.rows: list[LoraRow] = []
        self.add = push_button("", "", "plus")
        self.list = QWidget()
        super().__init__(inspector, "loras", self.add)
        self.add.setText(self.tr("Add LoRA…"))
        self.add.setToolTip(self.tr("A small file that changes style or speed, in safetensors format"))
        self.add.setAccessibleName(self.tr("Add LoRA"))
        stack = QVBoxLayout(self.list)
        stack.setContentsMargins(0, 0, 0, 0)
        stack.setSpacing(TIGHT)
        self._stack = stack
        self.column.insertWidget(1, self.list)
        self.setAcceptDrops(True)
        self.add.clicked.connect(self._choose)

    def refresh(self) -> None:
        """The rows; those that stay keep the focus."""
        super().refresh()
        loras = self.inspector.draft.loras
        while len(self.rows) > len(loras):
            row = self.rows.pop()
            self._stack.removeWidget(row)
            row.hide()
            row.deleteLater()
        while len(self.rows) < len(loras):
            self._add_row()
        for row, lora in zip(self.rows, loras, strict=True):
            row.show_lora(lora)
        self.list.setVisible(bool(loras))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Safetensors files are welcome where the model takes LoRAs."""
        if self.add.isEnabled() and _files(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Add the files."""
        self.inspector.add_loras(_files(event))
        event.acceptProposedAction()

    def _add_row(self) -> None:
        row = LoraRow(len(self.rows))
        row.strength_changed.connect(self.inspector.set_lora_strength)
        row.remove_asked.connect(self.inspector.remove_lora)
        row.move_asked.connect(self._move)
        row.dragged.connect(self._drag)
        self.rows.append(row)
        self._stack.addWidget(row)

    def _move(self, row: int, to: int) -> None:
        if 0 <= to < len(self.rows) and to != row:
            self.inspector.move_lora(row, to)
            self.rows[to].handle.setFocus()

    def _drag(self, row: int, y: int) -> None:
        """Dropped at a height of the list, in its pixels."""
        to = sum(y > other.geometry().center().y() for other in self.rows if other is not self.rows[row])
        self._move(row, to)

    def _choose(self) -> None:
        """A file dialog, not waited for."""
        dialog = QFileDialog(self, self.tr("Add LoRA"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.setNameFilter(self.tr("LoRAs (*.safetensors)"))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.filesSelected.connect(lambda names: self.inspector.add_loras([Path(name) for name in names]))
        dialog.open()


class LoraRow(QFrame):
    """One of them.

    Signals:
        strength_changed: row and strength. remove_asked: row. move_asked: from row to row.
        dragged: row, and the height in the list where its handle was let go.
    """

    strength_changed = Signal(int, float)
    remove_asked = Signal(int)
    move_asked = Signal(int, int)
    dragged = Signal(int, int)

    def __init__(self, row: int) -> None:
        super().__init__()
        role(self, "card")
        self.handle = Handle()
        self.handle.setAccessibleName(self.tr("Move"))
        self.handle.setToolTip(self.tr("Drag to another place (Alt+Up, Alt+Down)"))
        self.name = ElidedLabel(mode=Qt.TextElideMode.ElideMiddle)
        self.name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.strength = DoubleSpin(-99.0, 99.0, 0.1)
        self.strength.setToolTip(self.tr("Strength: 1 as it was trained, 0 none"))
        self.remove = tool_button("close", "")
        line = QHBoxLayout(self)
        line.setContentsMargins(TIGHT, TIGHT, TIGHT, TIGHT)
        line.setSpacing(NARROW)
        line.addWidget(self.handle)
        line.addWidget(self.name, 1)
        line.addWidget(self.strength)
        line.addWidget(self.remove)
        self.strength.valueChanged.connect(lambda value: self.strength_changed.emit(row, value))
        self.remove.clicked.connect(lambda: self.remove_asked.emit(row))
        self.handle.stepped.connect(lambda by: self.move_asked.emit(row, row + by))
        self.handle.let_go.connect(lambda y: self.dragged.emit(row, self.y() + self.handle.y() + y))

    def show_lora(self, lora: Lora) -> None:
        """Name and strength."""
        path = Path(lora.path)
        name = path.name.removesuffix(_ENDING)
        self.name.say(name, tip=lora.path)
        self.strength.setAccessibleName(self.tr("Strength of {name}").format(name=name))
        words = self.tr("Remove {name}").format(name=name)
        self.remove.setAccessibleName(words)
        self.remove.setToolTip(words)
        if lora.strength != self.strength.value():
            before = self.strength.blockSignals(True)
            self.strength.setValue(lora.strength)
            self.strength.blockSignals(before)


class Handle(QToolButton):
    """Six dots that carry a row.

    Signals:
        stepped: one place up (-1) or down (1), by keyboard.
        let_go: after a drag, at this height in its own pixels.
    """

    stepped = Signal(int)
    let_go = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setIcon(icon("drag"))
        self.setIconSize(QSize(ICON, ICON))
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        self._from_y: int | None = None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take it up."""
        self._from_y = round(event.position().y())
        self.setCursor(Qt.CursorShape.ClosedHandCursor)
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Put it down; a press without a way is no drag."""
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        from_y, self._from_y = self._from_y, None
        y = round(event.position().y())
        super().mouseReleaseEvent(event)
        if from_y is not None and abs(y - from_y) > self.height() // 2:
            self.let_go.emit(y)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Alt with an arrow moves the row."""
        steps = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}
        by = steps.get(Qt.Key(event.key()))
        if by is not None and event.modifiers() & Qt.KeyboardModifier.AltModifier:
            self.stepped.emit(by)
        else:
            super().keyPressEvent(event)


def _files(event: QDropEvent) -> list[Path]:
    paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
    return [path for path in paths if path.suffix.lower() == _ENDING]
