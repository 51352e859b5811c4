"""The first-run card: the GPU, the checkpoint that suits it, its files, and where they would go."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QDialog,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from desktop.model.costs import download_text
from desktop.model.first_run import Card
from desktop.presenters import model_words
from desktop.presenters.first_run import FirstRun
from desktop.views.elided import ElidedLabel
from desktop.views.icons import icon
from desktop.views.message_bar import MessageBar
from desktop.views.models.gpu_card import GpuCard
from desktop.views.theme import NARROW, SPACE, TIGHT, WIDE, restyle, role

_START: Final = QSize(780, 680)
_SMALLEST: Final = QSize(640, 300)
_FOLDED: Final = QSize(660, 340)
_ROW: Final = 26


class FirstRunDialog(QDialog):
    """Everything before the first download, on one card; nothing here opens a socket.

    Args:
        first_run: reads the card and starts the download.
    """

    def __init__(self, first_run: FirstRun, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("What this computer can run"))
        self._first_run = first_run
        self.gpu = GpuCard(first_run.machine)
        self.message = MessageBar()
        self.files = FileTable()
        self.total = QLabel()
        self.folder = ElidedLabel(mode=Qt.TextElideMode.ElideMiddle)
        self.change = QPushButton(icon("folder"), self.tr("Change folder…"))
        self.room = role(QLabel(wordWrap=True), "small")
        self.agree = QCheckBox()
        self.anyway = QPushButton(self.tr("Get the 14B model anyway…"))
        self.later = QPushButton(self.tr("Later"))
        self.start = role(QPushButton(self.tr("Download in the background")), "primary")
        self._all_shown = self._folded = False
        self._details = QWidget()
        self._build()
        self._connect()
        self.resize(_START)
        self.setMinimumSize(_SMALLEST)
        self.show_card()

    def showEvent(self, event: QShowEvent) -> None:
        """Read now; the dialog is on the screen first."""
        super().showEvent(event)
        self._first_run.look()

    def done(self, result: int) -> None:
        """However it is closed, it does not come back by itself."""
        self._first_run.later()
        self._first_run.leave()
        self._first_run.changed.disconnect(self.show_card)
        self._first_run.started.disconnect(self._on_started)
        super().done(result)

    def show_card(self) -> None:
        """The presenter's latest."""
        card = self._first_run.card
        self.gpu.show_card(card)
        self._show_message(card)
        self._fold(card is not None and card.verdict == "no_gpu" and not self._all_shown)
        self._details.setVisible(card is not None and not self._folded)
        if card is not None:
            self.files.show_card(card)
            self._show_total(card)
            self._show_folder(card)
            self._show_licences(card)
        self._show_buttons(card)

    def _fold(self, folded: bool) -> None:
        """Without a GPU there is little to show, unless somebody asks for the files all the same."""
        if folded != self._folded:
            self._folded = folded
            self.resize(_FOLDED if folded else _START)

    def _show_message(self, card: Card | None) -> None:
        problem = self._first_run.problem
        if problem is not None:
            self.message.tell(problem.statement(), problem.action, "error")
        elif card is not None and card.offline:
            self.message.tell(
                self.tr("Offline mode is on, so nothing can be downloaded."),
                kind="caution",
                button=self.tr("Switch it off"),
            )
        else:
            self.message.hide()

    def _show_total(self, card: Card) -> None:
        total = model_words.size_words(card.total_bytes, card.exact)
        if not card.needed_bytes:
            text = self.tr("{total} in all; everything is here.").format(total=total)
        elif card.needed_bytes < card.total_bytes:
            missing = model_words.size_words(card.needed_bytes, card.exact)
            text = self.tr("{total} in all, {missing} to download").format(total=total, missing=missing)
        else:
            text = self.tr("{total} in all").format(total=total)
        self.total.setText(text)

    def _show_folder(self, card: Card) -> None:
        self.folder.say(str(card.folder))
        free = download_text(card.free_bytes)
        if card.lacking_bytes:
            words = self.tr("Too little room: {free} free on this drive, {lacking} more needed.")
            self.room.setText(words.format(free=free, lacking=download_text(card.lacking_bytes)))
        else:
            self.room.setText(self.tr("{free} free on this drive").format(free=free))
        restyle(self.room, "problem" if card.lacking_bytes else "small")
        self.change.setEnabled(card.movable)
        self.change.setToolTip(
            self.tr("Another drive or folder for the models")
            if card.movable
            else self.tr("Files of models are here already; the Models dialog moves them.")
        )

    def _show_licences(self, card: Card) -> None:
        self.agree.setVisible(bool(card.licences))
        names = ", ".join(model_words.licence_words(name) for name in card.licences)
        self.agree.setText(self.tr("I agree to the licence: {names}").format(names=names))

    def _show_buttons(self, card: Card | None) -> None:
        complete = card is not None and not card.needed_bytes
        folded = self._folded
        self.anyway.setVisible(folded)
        self.start.setVisible(not folded and not complete)
        hindrance = self._first_run.hindrance()
        self.start.setEnabled(not hindrance)
        self.start.setToolTip(
            hindrance or self.tr("The embedded model can be used meanwhile; the download can be paused.")
        )
        tight = card is not None and card.verdict != "fits"
        self.start.setText(
            self.tr("Download and try anyway") if tight else self.tr("Download in the background")
        )
        if complete:
            self.later.setText(self.tr("Close"))
        else:
            self.later.setText(self.tr("Use the embedded model") if folded else self.tr("Later"))

    def _on_anyway(self) -> None:
        self._all_shown = True
        self.show_card()
        self.start.setFocus()

    def _on_change(self) -> None:
        card = self._first_run.card
        begin = "" if card is None else str(card.folder)
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Folder for the models"), begin)
        if chosen:
            self._first_run.set_folder(Path(chosen))

    def _on_started(self, _: str) -> None:
        self.accept()

    def _connect(self) -> None:
        self._first_run.changed.connect(self.show_card)
        self._first_run.started.connect(self._on_started)
        self.message.acted.connect(self._first_run.go_online)
        self.change.clicked.connect(self._on_change)
        self.agree.toggled.connect(self._first_run.agree)
        self.anyway.clicked.connect(self._on_anyway)
        self.later.clicked.connect(self.reject)
        self.start.clicked.connect(self._first_run.download)

    def _build(self) -> None:
        title = role(QLabel(self.tr("What this computer can run")), "title")
        outer = QVBoxLayout(self)
        outer.setContentsMargins(WIDE, WIDE, WIDE, SPACE)
        outer.setSpacing(SPACE)
        outer.addWidget(title)
        outer.addWidget(self.gpu)
        outer.addWidget(self.message)
        outer.addWidget(self._details, 1)
        outer.addStretch(0)
        outer.addLayout(self._foot())
        rows = QVBoxLayout(self._details)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(NARROW)
        rows.addWidget(role(QLabel(self.tr("What would be downloaded")), "heading"))
        rows.addWidget(self.files, 1)
        self.total.setAlignment(Qt.AlignmentFlag.AlignRight)
        rows.addWidget(role(self.total, "heading"))
        rows.addWidget(self._place())
        rows.addWidget(self.agree)

    def _place(self) -> QFrame:
        place = role(QFrame(), "card")
        words = QVBoxLayout()
        words.setSpacing(TIGHT)
        words.addWidget(self.folder)
        words.addWidget(self.room)
        row = QHBoxLayout(place)
        row.setContentsMargins(SPACE, NARROW, SPACE, NARROW)
        row.setSpacing(SPACE)
        row.addLayout(words, 1)
        row.addWidget(self.change)
        return place

    def _foot(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(NARROW)
        row.addWidget(self.anyway)
        row.addStretch(1)
        row.addWidget(self.later)
        row.addWidget(self.start)
        self.later.setAutoDefault(False)
        self.anyway.setAutoDefault(False)
        self.change.setAutoDefault(False)
        self.start.setDefault(True)
        return row


class FileTable(QTreeWidget):
    """One row a file: name, what it is for, size, licence."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: object = None
        self.setHeaderLabels([self.tr("File"), self.tr("For"), self.tr("Size"), self.tr("Licence")])
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setAccessibleName(self.tr("Files of the model"))
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2, 3):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.headerItem().setTextAlignment(2, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.setMinimumHeight(4 * _ROW)

    def show_card(self, card: Card) -> None:
        """The files of a card; the same ones are left alone."""
        if card.files == self._shown:
            return
        self._shown = card.files
        self.clear()
        for file in card.files:
            size = model_words.size_words(file.size_bytes, file.exact)
            row = [
                file.name,
                model_words.role_words(file.role),
                size
                if file.missing_bytes or not file.size_bytes
                else self.tr("{size}, here").format(size=size),
                model_words.licence_words(file.licence),
            ]
            item = QTreeWidgetItem(row)
            item.setTextAlignment(2, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            item.setToolTip(0, f"{file.repository}\n{file.name}")
            self.addTopLevelItem(item)
