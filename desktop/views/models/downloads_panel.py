"""Downloads, one row each with a bar and a row a file below it; what helps where one has stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QProgressBar,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from desktop.model.transfers import Transfer, TransferFile
from desktop.presenters import model_words
from desktop.presenters.downloads import Downloads
from desktop.views.elided import ElidedLabel
from desktop.views.icons import icon
from desktop.views.inspector.snug import Snug
from desktop.views.models.token_dialog import TokenDialog
from desktop.views.theme import NARROW, SPACE, TIGHT, role

_THOUSAND: Final = 1000
_HIGHEST: Final = 220
_BAR: Final = 110
_INDENT: Final = 26


class DownloadsPanel(QWidget):
    """Hidden while there is nothing to show.

    Signals:
        space_asked: a drive is full: somebody wants another folder.
    """

    space_asked = Signal()

    def __init__(self, downloads: Downloads) -> None:
        super().__init__()
        self._downloads = downloads
        self._rows: dict[str, DownloadRow] = {}
        self._content = QWidget()
        self._list = QVBoxLayout(self._content)
        self._list.setContentsMargins(0, 0, 0, 0)
        self._list.setSpacing(NARROW)
        area = Snug(self._content)
        area.setMaximumHeight(_HIGHEST)
        self.clear = role(QPushButton(self.tr("Clear finished")), "link")
        self.clear.setToolTip(self.tr("Take finished downloads off this list; the files stay"))
        self.clear.setAutoDefault(False)
        self.clear.clicked.connect(downloads.clear)
        head = QHBoxLayout()
        head.addWidget(role(QLabel(self.tr("Downloads")), "heading"))
        head.addStretch(1)
        head.addWidget(self.clear)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(TIGHT)
        outer.addLayout(head)
        outer.addWidget(area)
        self._area = area
        downloads.changed.connect(self.show_downloads)
        downloads.progressed.connect(self._on_progress)
        self.show_downloads()

    def row(self, transfer_id: str) -> DownloadRow | None:
        """The row of a download."""
        return self._rows.get(transfer_id)

    def show_downloads(self) -> None:
        """The list, or a state, is another one."""
        transfers = self._downloads.transfers
        for gone in self._rows.keys() - {one.id for one in transfers}:
            row = self._rows.pop(gone)
            self._list.removeWidget(row)
            row.hide()
            row.deleteLater()
        for one in transfers:
            if one.id not in self._rows:
                self._rows[one.id] = DownloadRow(self._downloads, self.space_asked.emit)
                self._list.addWidget(self._rows[one.id])
            self._rows[one.id].show_transfer(one)
        self.clear.setVisible(any(not one.open for one in transfers))
        self.setVisible(bool(transfers))
        self._area.updateGeometry()

    def _on_progress(self, transfer: Transfer) -> None:
        row = self._rows.get(transfer.id)
        if row is not None:
            row.show_transfer(transfer)


class DownloadRow(QFrame):
    """One download.

    Args:
        want_space: called where the drive is full and somebody wants another folder.
    """

    def __init__(self, downloads: Downloads, want_space: Callable[[], None]) -> None:
        super().__init__()
        role(self, "card")
        self._downloads, self._want_space = downloads, want_space
        self._transfer: Transfer | None = None
        self._files: list[_FileLine] = []
        self.fold = role(QToolButton(), "mini")
        self.fold.setCheckable(True)
        self.name = role(ElidedLabel(), "heading")
        self.line = role(ElidedLabel(), "small")
        self.bar = QProgressBar(maximum=_THOUSAND, textVisible=False)
        self.toggle = QPushButton()
        self.remove = QToolButton()
        self.remove.setIcon(icon("close"))
        self.message = role(QLabel(wordWrap=True), "problem")
        self.help = QPushButton()
        self.help.setAutoDefault(False)
        self.toggle.setAutoDefault(False)
        self._file_area = QWidget()
        self._file_rows = QVBoxLayout(self._file_area)
        self._lay_out()
        self.fold.toggled.connect(self._on_fold)
        self.toggle.clicked.connect(self._on_toggle)
        self.remove.clicked.connect(self._on_remove)
        self.help.clicked.connect(self._on_help)
        self._on_fold(False)

    def show_transfer(self, transfer: Transfer) -> None:
        """How it stands."""
        self._transfer = transfer
        self.name.say(transfer.title)
        self.line.say(model_words.transfer_line(transfer))
        unknown = transfer.state == "running" and not transfer.total_bytes
        self.bar.setRange(0, 0 if unknown else _THOUSAND)
        self.bar.setValue(int(transfer.share * _THOUSAND))
        self.bar.setAccessibleName(self.line.whole)
        self._show_toggle(transfer)
        self._show_trouble(transfer)
        self.fold.setVisible(bool(transfer.files))
        if self.fold.isChecked():
            self._show_files(transfer.files)

    def _show_toggle(self, transfer: Transfer) -> None:
        name, words = {
            "running": ("pause", self.tr("Pause")),
            "waiting": ("pause", self.tr("Pause")),
            "pausing": ("pause", self.tr("Pausing…")),
            "paused": ("play", self.tr("Go on")),
            "failed": ("retry", self.tr("Try again")),
            "done": ("check", ""),
        }[transfer.state]
        self.toggle.setIcon(icon(name))
        self.toggle.setText(words)
        self.toggle.setVisible(transfer.open)
        self.toggle.setEnabled(transfer.state != "pausing")
        words = (
            self.tr("Stop, and delete what has come so far of unfinished files")
            if transfer.open
            else self.tr("Take off the list")
        )
        self.remove.setToolTip(words)
        self.remove.setAccessibleName(words)

    def _show_trouble(self, transfer: Transfer) -> None:
        trouble = transfer.trouble
        self.message.setVisible(trouble is not None)
        self.help.setVisible(trouble is not None and trouble.remedy != "retry")
        if trouble is None:
            return
        self.message.setText(f"{trouble.message} {trouble.action}".strip())
        self.help.setText(
            {
                "retry": "",
                "token": self.tr("Set access token…"),
                "space": self.tr("Move the models…"),
                "offline": self.tr("Switch offline mode off"),
                "mirror": self.tr("Use another server…"),
                "damaged": self.tr("Use another server…"),
            }[trouble.remedy]
        )

    def _show_files(self, files: tuple[TransferFile, ...]) -> None:
        while len(self._files) < len(files):
            line = _FileLine()
            self._files.append(line)
            self._file_rows.addWidget(line)
        for number, line in enumerate(self._files):
            line.setVisible(number < len(files))
            if number < len(files):
                line.show_file(files[number])

    def _on_fold(self, is_open: bool) -> None:
        words = self.tr("Hide the files") if is_open else self.tr("Show the files")
        self.fold.setIcon(icon("chevron-down" if is_open else "chevron-right"))
        self.fold.setToolTip(words)
        self.fold.setAccessibleName(words)
        self._file_area.setVisible(is_open)
        if is_open and self._transfer is not None:
            self._show_files(self._transfer.files)

    def _on_toggle(self) -> None:
        if self._transfer is None:
            return
        if self._transfer.active:
            self._downloads.pause(self._transfer.id)
        else:
            self._downloads.resume(self._transfer.id)

    def _on_remove(self) -> None:
        if self._transfer is not None:
            self._downloads.remove(self._transfer.id)

    def _on_help(self) -> None:
        transfer = self._transfer
        if transfer is None or transfer.trouble is None:
            return
        match transfer.trouble.remedy:
            case "token":
                dialog = TokenDialog(transfer.trouble.page, self)
                dialog.accepted.connect(lambda: self._downloads.use_token(transfer.id, dialog.token))
                dialog.open()
            case "space":
                self._want_space()
            case "offline":
                self._downloads.go_online(transfer.id)
            case _:
                self._ask_server(transfer)

    def _ask_server(self, transfer: Transfer) -> None:
        dialog = QInputDialog(self)
        dialog.setWindowTitle(self.tr("Another server"))
        dialog.setLabelText(self.tr("Address of a mirror of the hub; empty for the hub itself:"))
        dialog.textValueSelected.connect(lambda text: self._downloads.use_endpoint(transfer.id, text))
        dialog.open()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(NARROW)
        head.addWidget(self.fold)
        head.addWidget(self.name, 1)
        head.addWidget(self.line)
        head.addWidget(self.toggle)
        head.addWidget(self.remove)
        self._file_rows.setContentsMargins(_INDENT, 0, 0, 0)
        self._file_rows.setSpacing(TIGHT)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(SPACE, NARROW, NARROW, NARROW)
        rows.setSpacing(TIGHT)
        rows.addLayout(head)
        rows.addWidget(self.bar)
        rows.addWidget(self.message)
        rows.addWidget(self.help, 0, Qt.AlignmentFlag.AlignLeft)
        rows.addWidget(self._file_area)


class _FileLine(QWidget):
    """One file of a download."""

    def __init__(self) -> None:
        super().__init__()
        self._name = role(ElidedLabel(mode=Qt.TextElideMode.ElideMiddle), "small")
        self._size = role(QLabel(), "small")
        self._bar = QProgressBar(maximum=_THOUSAND, textVisible=False)
        self._bar.setFixedWidth(_BAR)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(NARROW)
        row.addWidget(self._name, 1)
        row.addWidget(self._size)
        row.addWidget(self._bar, 0, Qt.AlignmentFlag.AlignVCenter)

    def show_file(self, file: TransferFile) -> None:
        """How far it is."""
        self._name.say(file.path.rsplit("/", 1)[-1], f"{file.asset}\n{file.path}")
        size = model_words.amount(file.size_bytes)
        if file.phase:
            words = self.tr("{phase} {done} of {size}")
            size = words.format(
                phase=model_words.phase_words(file.phase), done=model_words.amount(file.done_bytes), size=size
            )
        self._size.setText(size)
        share = file.done_bytes / file.size_bytes if file.size_bytes else 0.0
        self._bar.setValue(round(min(1.0, share) * _THOUSAND))
