"""What is known of the chosen file or model, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout

from desktop.model.model_rows import FileRow, ModelRow, Shelf
from desktop.presenters import model_words
from desktop.presenters.downloads import Downloads
from desktop.views.elided import ElidedLabel
from desktop.views.icons import icon
from desktop.views.theme import NARROW, SPACE, TIGHT, role


class DetailsPanel(QFrame):
    """Name, facts and buttons of one file, of several, or of a whole model.

    Signals:
        get_asked, check_asked, repair_asked, delete_asked: ids of what is meant.
        forget_asked: id of an entry of the user's own.
    """

    get_asked = Signal(list)
    check_asked = Signal(list)
    repair_asked = Signal(list)
    delete_asked = Signal(list)
    forget_asked = Signal(str)

    def __init__(self, downloads: Downloads) -> None:
        super().__init__()
        role(self, "card")
        self._downloads = downloads
        self._ids: list[str] = []
        self._assets: list[str] = []
        self._folder = ""
        self.name = role(ElidedLabel(), "heading")
        self.facts = role(ElidedLabel(), "quiet")
        self.note = role(QLabel(wordWrap=True), "small")
        self.get = role(QPushButton(icon("download"), self.tr("Download")), "")
        self.check = QPushButton(icon("check"), self.tr("Check"))
        self.repair = QPushButton(icon("retry"), self.tr("Repair"))
        self.delete = role(QPushButton(icon("trash"), self.tr("Delete…")), "")
        self.reveal = QPushButton(icon("reveal"), self.tr("Show in folder"))
        self.forget = QPushButton(icon("close"), self.tr("Take off the list"))
        self._say_tips()
        self._connect()
        self._lay_out()

    def show_files(self, rows: Sequence[FileRow], shelf: Shelf) -> None:
        """One file or several."""
        if len(rows) == 1:
            self._show_one(rows[0], shelf)
        else:
            size = sum(row.size_bytes for row in rows)
            self.name.say(self.tr("{count} files").format(count=len(rows)))
            self.facts.say(model_words.size_words(size, all(row.exact for row in rows)))
            self._say_note("")
        self._ids = [row.id for row in rows]
        self._assets = self._ids
        here = any(row.present_bytes or row.origin for row in rows)
        missing = any(row.state != "installed" and not row.local for row in rows)
        self._show_buttons(missing, here, any(row.removable for row in rows))
        own = len(rows) == 1 and rows[0].own
        self.forget.setVisible(own)
        self.repair.setVisible(here and not all(row.local for row in rows))
        self._folder = str(rows[0].folder) if len(rows) == 1 and rows[0].folder else ""
        self.reveal.setVisible(bool(self._folder))

    def show_model(self, row: ModelRow, shelf: Shelf) -> None:
        """A whole checkpoint."""
        self._ids, self._assets = [row.id], list(row.all_assets)
        self.name.say(row.title)
        size = model_words.size_words(row.size_bytes, row.exact)
        facts = [row.id, size, model_words.model_state(row, self._downloads.of(row.id))]
        self.facts.say(", ".join(facts))
        self._say_note(self.tr("The planner's choice for this computer.") if row.best else "")
        files = [file for file in map(shelf.file, row.all_assets) if file is not None]
        here = any(file.present_bytes for file in files)
        self._show_buttons(row.state != "installed" or row.missing_bytes > 0, here, row.state != "missing")
        self.repair.setVisible(here)
        self.forget.hide()
        self.reveal.hide()

    def _show_one(self, row: FileRow, shelf: Shelf) -> None:
        self.name.say(row.title)
        size = model_words.size_words(row.size_bytes, row.exact)
        facts = [
            model_words.role_words(row.role),
            size,
            self.tr("licence {name}").format(name=model_words.licence_words(row.licence)),
            row.repository or str(row.folder or ""),
        ]
        self.facts.say(", ".join(part for part in facts if part))
        lines = []
        if row.made_for:
            lines.append(self.tr("Made for {model}.").format(model=row.made_for))
        if row.used_by:
            users = ", ".join(shelf.titles(row.used_by))
            lines.append(self.tr("Used by {models}.").format(models=users))
        if row.agree and row.state != "installed":
            lines.append(self.tr("Its licence restricts what it may be used for, or is not known."))
        if row.note:
            lines.append(row.note)
        self._say_note(" ".join(lines))

    def _show_buttons(self, missing: bool, here: bool, removable: bool) -> None:
        coming = any(self._downloads.of(name) is not None for name in self._ids)
        self.get.setVisible(missing and not coming)
        self.check.setVisible(here)
        self.delete.setVisible(removable)

    def _say_note(self, text: str) -> None:
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def _say_tips(self) -> None:
        for button, tip in (
            (self.get, self.tr("Fetch what is missing; it can be paused and goes on after a restart")),
            (self.check, self.tr("Read every byte and compare with what was published")),
            (self.repair, self.tr("Check, then fetch again what is damaged, and only that")),
            (self.delete, self.tr("Delete from this computer; what other models need stays (Del)")),
            (self.reveal, self.tr("Open the folder")),
            (self.forget, self.tr("Remove the entry of your own; the file stays")),
        ):
            button.setToolTip(tip)
            button.setAutoDefault(False)

    def _connect(self) -> None:
        self.get.clicked.connect(lambda: self.get_asked.emit(self._ids))
        self.check.clicked.connect(lambda: self.check_asked.emit(self._assets))
        self.repair.clicked.connect(lambda: self.repair_asked.emit(self._assets))
        self.delete.clicked.connect(lambda: self.delete_asked.emit(self._ids))
        self.forget.clicked.connect(lambda: self.forget_asked.emit(self._ids[0]))
        self.reveal.clicked.connect(lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(self._folder)))

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(NARROW)
        for button in (self.get, self.check, self.repair, self.reveal):
            buttons.addWidget(button)
        buttons.addStretch(1)
        buttons.addWidget(self.forget)
        buttons.addWidget(self.delete)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(SPACE, NARROW, SPACE, NARROW)
        rows.setSpacing(TIGHT)
        rows.addWidget(self.name)
        rows.addWidget(self.facts)
        rows.addWidget(self.note)
        rows.addSpacing(TIGHT)
        rows.addLayout(buttons)
