"""All model files: what is here, what may be fetched, and everything that can be done with them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import QPoint, QSize, Qt, QUrl
from PySide6.QtGui import QDesktopServices, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QDialog,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QProgressBar,
    QPushButton,
    QSplitter,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from desktop.model.model_rows import Work
from desktop.presenters import model_words
from desktop.presenters.models import Models
from desktop.views.elided import ElidedLabel
from desktop.views.icons import icon
from desktop.views.message_bar import MessageBar
from desktop.views.models.details_panel import DetailsPanel
from desktop.views.models.downloads_panel import DownloadsPanel
from desktop.views.models.file_table import FileTable
from desktop.views.models.model_list import ModelList
from desktop.views.models.own_file_dialog import OwnFileDialog
from desktop.views.models.questions import Questions
from desktop.views.models.server_dialog import ServerDialog
from desktop.views.theme import NARROW, SPACE, TIGHT, WIDE, role

_START: Final = QSize(1120, 720)
_SMALLEST: Final = QSize(860, 560)
_THOUSAND: Final = 1000


class ModelsDialog(QDialog):
    """Nothing is read before it is shown; only “Download” and “Repair” ask a server.

    Args:
        models: reads and works on the files.
        wanted: id of a model that is shown first.
    """

    def __init__(self, models: Models, wanted: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Models"))
        self._models, self._wanted = models, wanted
        self._questions = Questions(models, self)
        self.search = QLineEdit(placeholderText=self.tr("Search files"))
        self.filters = {
            "all": QPushButton(self.tr("All")),
            "here": QPushButton(self.tr("On disk")),
            "damaged": QPushButton(self.tr("Damaged")),
        }
        self.import_button = QPushButton(icon("upload"), self.tr("Import"))
        self.sources = QPushButton(icon("settings"), self.tr("Sources…"))
        self.check_all = QPushButton(icon("check"), self.tr("Check all"))
        self.message = MessageBar()
        self.list = ModelList(models.downloads)
        self.table = FileTable(models.downloads)
        self.nothing = role(QLabel(), "quiet")
        self.details = DetailsPanel(models.downloads)
        self.downloads = DownloadsPanel(models.downloads)
        self.progress = QProgressBar(maximum=_THOUSAND, textVisible=False)
        self.doing = role(ElidedLabel(), "small")
        self.stop = QPushButton(icon("stop"), self.tr("Stop"))
        self.folder = ElidedLabel(mode=Qt.TextElideMode.ElideMiddle)
        self.room = role(QLabel(), "small")
        self.open_folder = QPushButton(icon("reveal"), self.tr("Open"))
        self.move_button = QPushButton(self.tr("Move…"))
        self.close_button = QPushButton(self.tr("Close"))
        self._work_bar = QWidget()
        self._pages = QStackedLayout()
        self._build()
        self._connect()
        self._say_tips()
        self.resize(_START)
        self.setMinimumSize(_SMALLEST)
        self._show_work(models.work)
        self._show_shelf()

    def showEvent(self, event: QShowEvent) -> None:
        """Read now; the dialog is on the screen first."""
        super().showEvent(event)
        self._models.refresh()
        self.search.setFocus()

    def done(self, result: int) -> None:
        """Work and downloads go on; nobody is shown any more."""
        for signal, slot in self._signals():
            signal.disconnect(slot)  # type: ignore[attr-defined]
        super().done(result)

    def _signals(self) -> tuple[tuple[object, object], ...]:
        models = self._models
        return (
            (models.changed, self._show_shelf),
            (models.work_changed, self._show_work),
            (models.told, self._tell),
            (models.departure_planned, self._questions.ask_departure),
            (models.downloads.changed, self._on_downloads),
            (models.downloads.progressed, self._on_progress),
        )

    def _show_shelf(self) -> None:
        shelf = self._models.shelf
        for button in (self.import_button, self.sources, self.check_all, self.move_button, self.open_folder):
            button.setEnabled(shelf is not None)
        if shelf is None:
            self._say_nothing(self.tr("Looking at the files…"))
            return
        self.list.show_shelf(shelf)
        self.table.show_files(shelf.files)
        if self._wanted:
            wanted, self._wanted = self._wanted, ""
            best = next((row.id for row in shelf.models if row.best), "")
            self.list.choose(wanted if shelf.model(wanted) is not None else best)
            self.list.setFocus()
        self.folder.say(str(shelf.root))
        words = self.tr("{used} used by models, {free} free on this drive")
        text = words.format(
            used=model_words.amount(shelf.used_bytes), free=model_words.amount(shelf.free_bytes)
        )
        if shelf.offline:
            text = self.tr("{text}; offline mode is on").format(text=text)
        self.room.setText(text)
        if shelf.moving_to is not None and self._models.work is None:
            self.message.tell(
                self.tr("The models are being moved to {folder}, and that is not finished.").format(
                    folder=shelf.moving_to
                ),
                kind="caution",
                button=self.tr("Go on with it"),
            )
        self._show_details()

    def _show_details(self) -> None:
        shelf = self._models.shelf
        if shelf is None:
            return
        empty = not self.table.files.rows
        self._pages.setCurrentIndex(1 if empty else 0)
        if empty:
            self._say_nothing(self._why_nothing())
        selected = self.table.selected()
        model = shelf.model(self.list.model_id)
        self.details.setVisible(bool(selected) or model is not None)
        if selected:
            self.details.show_files(selected, shelf)
        elif model is not None:
            self.details.show_model(model, shelf)

    def _why_nothing(self) -> str:
        if self.filters["damaged"].isChecked() and not self.search.text():
            return self.tr("No damaged file is known.\n“Check all” reads every byte of what is here.")
        if self.filters["here"].isChecked() and not self.search.text():
            return self.tr("Nothing of this is on this computer yet.")
        return self.tr("No file fits the search.")

    def _say_nothing(self, text: str) -> None:
        self.nothing.setText(text)
        self._pages.setCurrentIndex(1)

    def _on_model(self, model_id: str) -> None:
        shelf = self._models.shelf
        row = shelf.model(model_id) if shelf is not None else None
        self.table.clearSelection()
        self.table.setCurrentIndex(self.table.files.index(-1, -1))
        if row is None:
            self.table.narrow(everything=True)
        else:
            self.table.narrow(frozenset(row.all_assets))
        self._show_details()

    def _on_filter(self) -> None:
        for name in ("all", "here", "damaged"):
            if self.filters[name].isChecked():
                self.table.narrow(show=name)
        self._show_details()

    def _on_search(self, text: str) -> None:
        self.table.narrow(words=text)
        self._show_details()

    def _on_downloads(self) -> None:
        self._on_progress()
        self._show_details()

    def _on_progress(self, _: object = None) -> None:
        self.table.tell_progress()
        self.list.tell_states()

    def _show_work(self, work: Work | None) -> None:
        self._work_bar.setVisible(work is not None)
        for button in (self.check_all, self.import_button, self.move_button):
            button.setEnabled(work is None and self._models.shelf is not None)
        if work is not None:
            self.doing.say(model_words.work_line(work), work.file)
            self.progress.setRange(0, _THOUSAND if work.total_bytes else 0)
            self.progress.setValue(round(work.share * _THOUSAND))
            self.stop.setEnabled(not work.stopping)

    def _tell(self, message: str, action: str, kind: str) -> None:
        self.message.tell(message, action, kind)  # type: ignore[arg-type]

    def _import_files(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(self, self.tr("Files to take in"))
        if paths:
            self._models.take_in([Path(path) for path in paths])

    def _import_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Folder to take in, such as ComfyUI's"))
        if chosen:
            self._models.take_in([Path(chosen)])

    def _enter_own(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, self.tr("File of your own"))
        if path:
            OwnFileDialog(self._models, Path(path), self).open()

    def _move(self) -> None:
        chosen = QFileDialog.getExistingDirectory(
            self, self.tr("New folder for the models; it must be empty")
        )
        if chosen:
            self._models.move(Path(chosen))

    def _on_message(self) -> None:
        shelf = self._models.shelf
        if shelf is not None and shelf.moving_to is not None:
            self._models.move(shelf.moving_to)

    def _check_all(self) -> None:
        shelf = self._models.shelf
        if shelf is not None:
            self._models.verify([row.id for row in shelf.files if row.present_bytes or row.origin])

    def _delete_selected(self) -> None:
        ids = [row.id for row in self.table.selected() if row.removable]
        if ids:
            self._models.plan_departure(ids)

    def _show_menu(self, at: QPoint) -> None:
        menu = QMenu(self)
        details = self.details
        for button in (details.get, details.check, details.repair, details.reveal, details.delete):
            if not button.isHidden():
                action = menu.addAction(button.icon(), button.text())
                action.triggered.connect(button.click)
        if menu.actions():
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(self.table.viewport().mapToGlobal(at))

    def _open_root(self) -> None:
        shelf = self._models.shelf
        if shelf is not None:
            folder = shelf.root if shelf.root.is_dir() else shelf.root.parent
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))

    def _connect(self) -> None:
        for signal, slot in self._signals():
            signal.connect(slot)  # type: ignore[attr-defined]
        self.search.textChanged.connect(self._on_search)
        for button in self.filters.values():
            button.clicked.connect(self._on_filter)
        self.list.chosen.connect(self._on_model)
        self.table.selectionModel().selectionChanged.connect(lambda *_: self._show_details())
        self.table.customContextMenuRequested.connect(self._show_menu)
        self.details.get_asked.connect(self._questions.get)
        self.details.check_asked.connect(self._models.verify)
        self.details.repair_asked.connect(self._models.repair)
        self.details.delete_asked.connect(self._models.plan_departure)
        self.details.forget_asked.connect(self._models.forget)
        self.downloads.space_asked.connect(self._move)
        self.message.acted.connect(self._on_message)
        self.check_all.clicked.connect(self._check_all)
        self.sources.clicked.connect(lambda: ServerDialog(self._models, self).open())
        self.stop.clicked.connect(self._models.stop)
        self.open_folder.clicked.connect(self._open_root)
        self.move_button.clicked.connect(self._move)
        self.close_button.clicked.connect(self.accept)
        menu = QMenu(self.import_button)
        menu.addAction(self.tr("Files…"), self._import_files)
        menu.addAction(self.tr("Folder, such as ComfyUI's…"), self._import_folder)
        menu.addSeparator()
        menu.addAction(self.tr("File of your own that no catalogue knows…"), self._enter_own)
        self.import_button.setMenu(menu)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self, self.search.setFocus)
        QShortcut(
            QKeySequence(Qt.Key.Key_Delete),
            self.table,
            self._delete_selected,
            context=Qt.ShortcutContext.WidgetShortcut,
        )

    def _say_tips(self) -> None:
        find = QKeySequence(QKeySequence.StandardKey.Find).toString(QKeySequence.SequenceFormat.NativeText)
        for widget, tip in (
            (self.search, self.tr("By name, purpose, licence or model ({key})").format(key=find)),
            (self.import_button, self.tr("Take in files that are on this computer already")),
            (self.sources, self.tr("Offline mode, server, access token, folders with files")),
            (self.check_all, self.tr("Read every byte of everything that is here")),
            (self.stop, self.tr("Stop; what was done stays")),
            (self.open_folder, self.tr("Open the folder of the models")),
            (self.move_button, self.tr("Move all models to another folder or drive")),
        ):
            widget.setToolTip(tip)
        for button in self.findChildren(QPushButton):
            button.setAutoDefault(False)  # Enter in the search presses nothing
        self.search.setAccessibleName(self.tr("Search files"))
        self.search.setClearButtonEnabled(True)

    def _build(self) -> None:
        outer = QVBoxLayout(self)
        outer.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        outer.setSpacing(NARROW)
        outer.addLayout(self._top())
        outer.addWidget(self.message)
        middle = QSplitter(Qt.Orientation.Horizontal)
        role(middle, "quiet")
        middle.setChildrenCollapsible(False)
        middle.setHandleWidth(NARROW)
        middle.addWidget(self.list)
        middle.addWidget(self._files())
        middle.setStretchFactor(1, 1)
        middle.setSizes([264, 840])
        outer.addWidget(middle, 1)
        outer.addWidget(self.downloads)
        outer.addWidget(self._work())
        outer.addWidget(role(QFrame(), "separator"))
        outer.addLayout(self._foot())

    def _top(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(NARROW)
        self.search.setMinimumWidth(220)
        row.addWidget(self.search, 1)
        group = QButtonGroup(self)
        segments = QHBoxLayout()
        segments.setSpacing(TIGHT)
        for button in self.filters.values():
            button.setCheckable(True)
            group.addButton(button)
            segments.addWidget(button)
        self.filters["all"].setChecked(True)
        row.addLayout(segments)
        row.addSpacing(SPACE)
        for button in (self.check_all, self.import_button, self.sources):
            row.addWidget(button)
        return row

    def _files(self) -> QWidget:
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._pages.addWidget(self.table)
        self._pages.addWidget(self.nothing)
        pages = QWidget()
        pages.setLayout(self._pages)
        files = QWidget()
        rows = QVBoxLayout(files)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(NARROW)
        rows.addWidget(pages, 1)
        rows.addWidget(self.details)
        return files

    def _work(self) -> QWidget:
        row = QHBoxLayout(self._work_bar)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(NARROW)
        row.addWidget(self.doing)
        row.addWidget(self.progress, 1)
        row.addWidget(self.stop)
        return self._work_bar

    def _foot(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(NARROW)
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(self.folder)
        words.addWidget(self.room)
        row.addLayout(words, 1)
        row.addWidget(self.open_folder)
        row.addWidget(self.move_button)
        row.addSpacing(WIDE)
        row.addWidget(self.close_button)
        return row
