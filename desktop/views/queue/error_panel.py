"""What is folded out under a render that failed: what is wrong, why, and buttons that help."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QMenu,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from desktop.presenters.queue_details import Details, LighterWay
from desktop.views.icons import icon
from desktop.views.theme import NARROW, SPACE, TIGHT, role

_LEFT: Final = 32
_LOG_HEIGHT: Final = 140


class ErrorPanel(QWidget):
    """One job's details.

    Signals:
        retry_asked, edit_asked: the button was pressed.
        lighter_asked: number of the way that was chosen.
        input_asked: name of the input to choose anew.
        folder_asked: the results' folder, to make space there.
        resized: the log was folded in or out.
    """

    retry_asked = Signal()
    edit_asked = Signal()
    lighter_asked = Signal(int)
    input_asked = Signal(str)
    folder_asked = Signal(str)
    resized = Signal()

    def __init__(self, details: Details, retryable: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        role(self, "panel")
        self.details = details
        self.log = self._log()
        column = QVBoxLayout(self)
        column.setContentsMargins(_LEFT, TIGHT, SPACE, SPACE)
        column.setSpacing(NARROW)
        column.addWidget(self._sentence())
        for text in self._more():
            column.addWidget(_wrapped(text, "quiet"))
        column.addLayout(self._buttons(retryable))
        column.addWidget(self.log)

    def _sentence(self) -> QLabel:
        text = " ".join(part for part in (self.details.message, self.details.action) if part)
        label = _wrapped(text or self.tr("Nothing is known about why it ended."), "")
        label.setObjectName("sentence")
        return label

    def _more(self) -> list[str]:
        """The cause, and what would change in a lighter try."""
        texts = []
        if self.details.cause:
            texts.append(self.tr("Cause: {cause}").format(cause=self.details.cause))
        if len(self.details.lighter) == 1:
            changes = " ".join(self.details.lighter[0].changes)
            texts.append(self.tr("Lighter: {changes}").format(changes=changes))
        return texts

    def _buttons(self, retryable: bool) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(NARROW)
        for name in self.details.bad_inputs:
            button = QPushButton(icon("folder"), _input_words(self)[name])
            button.clicked.connect(lambda _, name=name: self.input_asked.emit(name))
            row.addWidget(button)
        if self.details.lighter:
            row.addWidget(self._lighter())
        if retryable:
            self.retry = QPushButton(icon("retry"), self.tr("Retry"))
            self.retry.clicked.connect(self.retry_asked)
            row.addWidget(self.retry)
            edit = QPushButton(icon("edit"), self.tr("Edit"))
            edit.clicked.connect(self.edit_asked)
            row.addWidget(edit)
        if self.details.kind == "DiskError":
            free = QPushButton(icon("folder"), self.tr("Open the results folder"))
            free.setToolTip(self.tr("Make space by removing videos"))
            free.clicked.connect(lambda: self.folder_asked.emit(self.details.results))
            row.addWidget(free)
        row.addStretch(1)
        self.log_button = self._log_button()
        row.addWidget(self.log_button)
        return row

    def _lighter(self) -> QPushButton:
        """Several ways are chosen from a menu that says what each changes."""
        button = QPushButton(icon("lighter"), self.tr("Retry lighter"))
        button.setObjectName("lighter")
        if len(self.details.lighter) == 1:
            button.setToolTip("\n".join(self.details.lighter[0].changes))
            button.clicked.connect(lambda: self.lighter_asked.emit(0))
            return button
        menu = QMenu(button)
        for way in self.details.lighter:
            chosen = menu.addAction(way_words(self, way))
            chosen.triggered.connect(lambda _=False, number=way.number: self.lighter_asked.emit(number))
        button.setMenu(menu)
        return button

    def _log(self) -> QPlainTextEdit:
        log = QPlainTextEdit(self.details.log)
        log.setReadOnly(True)
        log.setFixedHeight(_LOG_HEIGHT)
        log.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        log.setAccessibleName(self.tr("The engine's log"))
        log.setTabChangesFocus(True)
        log.hide()
        return log

    def _log_button(self) -> QToolButton:
        button = QToolButton()
        button.setCheckable(True)
        button.setText(self.tr("Show log"))
        button.setIcon(icon("chevron-right"))
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setEnabled(bool(self.details.log))
        button.setToolTip(
            self.tr("What the engine wrote last") if self.details.log else self.tr("The engine wrote nothing")
        )
        button.toggled.connect(self._show_log)
        return button

    def _show_log(self, on: bool) -> None:
        button = self.log_button
        button.setText(self.tr("Hide log") if on else self.tr("Show log"))
        button.setIcon(icon("chevron-down" if on else "chevron-right"))
        self.log.setVisible(on)
        self.log.verticalScrollBar().setValue(self.log.verticalScrollBar().maximum())
        self.resized.emit()


def way_words(widget: QWidget, way: LighterWay) -> str:
    """What a lighter way changes, in one line."""
    changes = " ".join(way.changes)
    if way.keeps_quality:
        return widget.tr("{changes} (same picture)").format(changes=changes)
    return changes


def _input_words(widget: QWidget) -> dict[str, str]:
    return {
        "reference": widget.tr("Choose another picture…"),
        "motion": widget.tr("Choose another motion…"),
        "keypoints": widget.tr("Choose other keypoints…"),
        "reference_keypoints": widget.tr("Choose other keypoints of the picture…"),
        "sound_from": widget.tr("Choose another clip for the sound…"),
    }


def _wrapped(text: str, name: str) -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if name:
        role(label, name)
    return label
