"""The left column: what renders can be made from, and a way to bring one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QFileDialog,
    QLabel,
    QLineEdit,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from desktop.model.intake import KEYPOINTS, PICTURES, VIDEOS
from desktop.model.library_items import Kind, LibraryItem
from desktop.presenters.intake import Intake
from desktop.presenters.library import Library
from desktop.presenters.thumbnails import Thumbnails
from desktop.views.icons import icon
from desktop.views.library.item_list import ItemList
from desktop.views.theme import NARROW, SPACE, TIGHT, role

_NARROWEST: Final = 200


class LibraryView(QWidget):
    """Search, two lists of thumbnails, and a button for files.

    Args:
        library: what is listed.
        thumbnails: kept by the lists' models; named here as every view names what it shows.
        intake: takes files that the dialogue gives.
    """

    def __init__(
        self, library: Library, thumbnails: Thumbnails, intake: Intake, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        del thumbnails
        self._library, self._intake = library, intake
        self.references = _Section("reference", library, self)
        self.motions = _Section("motion", library, self)
        self.search = QLineEdit(placeholderText=self.tr("Search the library"))
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName(self.tr("Search the library"))
        self.search.setToolTip(self.tr("Show only names with this in them"))
        self.search.addAction(icon("search"), QLineEdit.ActionPosition.LeadingPosition)
        self.search.textChanged.connect(self._on_search)
        self.add = QPushButton(icon("plus"), self.tr("Add files…"))
        self.add.setToolTip(self.tr("Choose pictures, videos or keypoint files; or drop them on the window"))
        self.add.clicked.connect(self.open_files)
        self._lay_out()

    def open_files(self) -> None:
        """Ask for files through the system's dialogue."""
        names, _ = QFileDialog.getOpenFileNames(self, self.tr("Add to the library"), "", self._filters())
        if names:
            self._intake.add([Path(name) for name in names])

    def _lay_out(self) -> None:
        role(self, "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setMinimumWidth(_NARROWEST)
        lists = role(QSplitter(Qt.Orientation.Vertical, childrenCollapsible=False), "quiet")
        lists.setHandleWidth(NARROW)
        lists.addWidget(self.references)
        lists.addWidget(self.motions)
        lists.setStretchFactor(0, 1)
        lists.setStretchFactor(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE, SPACE, TIGHT, SPACE)
        layout.setSpacing(NARROW)
        for widget, stretch in ((self.search, 0), (lists, 1), (self.add, 0)):
            if stretch:
                layout.addWidget(widget, stretch)
            else:
                row = QVBoxLayout()
                row.setContentsMargins(0, 0, NARROW, 0)
                row.addWidget(widget)
                layout.addLayout(row)

    def _filters(self) -> str:
        def stars(suffixes: tuple[str, ...]) -> str:
            return " ".join(f"*{suffix}" for suffix in suffixes)

        every = (*PICTURES, *VIDEOS, *KEYPOINTS)
        return ";;".join(
            (
                self.tr("Pictures and motions ({suffixes})").format(suffixes=stars(every)),
                self.tr("Pictures ({suffixes})").format(suffixes=stars(PICTURES)),
                self.tr("Videos ({suffixes})").format(suffixes=stars(VIDEOS)),
                self.tr("Keypoint files ({suffixes})").format(suffixes=stars(KEYPOINTS)),
                self.tr("All files (*)"),
            )
        )

    def _on_search(self, text: str) -> None:
        for section in (self.references, self.motions):
            section.search(text)


class _Section(QWidget):
    """Heading and tiles of one kind; what is said where the search finds nothing."""

    def __init__(self, kind: Kind, library: Library, parent: QWidget) -> None:
        super().__init__(parent)
        self._kind, self._library = kind, library
        self._text = ""
        self.list = ItemList(kind, library.model(kind))
        heading = self.tr("References") if kind == "reference" else self.tr("Motions")
        self.empty = role(QLabel(wordWrap=True, alignment=Qt.AlignmentFlag.AlignCenter), "small")
        self._stack = QStackedWidget()
        self._stack.addWidget(self.list)
        self._stack.addWidget(self.empty)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, TIGHT, 0, 0)
        layout.setSpacing(TIGHT)
        layout.addWidget(role(QLabel(heading), "heading"))
        layout.addWidget(self._stack, 1)
        self.list.chosen.connect(self._on_chosen)
        self.list.show_asked.connect(self._on_show)
        self.list.remove_asked.connect(self._on_remove)
        self.list.remove_missing_asked.connect(lambda: library.remove_missing(kind))
        for changed in (self.list.filtered.rowsInserted, self.list.filtered.rowsRemoved):
            changed.connect(self._show_empty)
        self.list.filtered.modelReset.connect(self._show_empty)

    def search(self, text: str) -> None:
        """Show only names with this in them."""
        self._text = text.strip()
        self.list.search(text)
        self._show_empty()

    def _show_empty(self) -> None:
        if self.list.filtered.rowCount():
            self._stack.setCurrentWidget(self.list)
            return
        none = self.tr("No reference is called “{text}”.")
        if self._kind == "motion":
            none = self.tr("No motion is called “{text}”.")
        self.empty.setText(none.format(text=self._text))
        self._stack.setCurrentWidget(self.empty)

    def _on_chosen(self, item: LibraryItem) -> None:
        self._library.choose(self._kind, item.path)

    def _on_show(self, item: LibraryItem) -> None:
        self._library.show_in_folder(item)

    def _on_remove(self, item: LibraryItem) -> None:
        self._library.remove(self._kind, item.path)
