"""The table of files: sorted and searched by hand, states with a sign and a bar where they come in."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from desktop.model.model_rows import FileRow, Show, matches, shown
from desktop.presenters import model_words
from desktop.presenters.downloads import Downloads
from desktop.views.models.file_model import FILE, LICENCE, ROLE, SIZE, STATE, USED, FileModel
from desktop.views.theme import NARROW, tokens_of

Index = QModelIndex | QPersistentModelIndex
_ROW: Final = 30
_DOT: Final = 8
_WIDTHS: Final = {ROLE: 126, SIZE: 92, STATE: 134, LICENCE: 92, USED: 78}
# As far in as the titles of the columns.
_INSET: Final = "QTableView::item { padding: 0 5px; }"


class FileTable(QTableView):
    """Shows the files of a shelf that fit model, search and filter.

    Signals:
        chosen: the ``FileRow`` that is current now, or None.
    """

    chosen = Signal(object)

    def __init__(self, downloads: Downloads, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._downloads = downloads
        self._files: tuple[FileRow, ...] = ()
        self._assets: frozenset[str] | None = None
        self._words = ""
        self._show: Show = "all"
        self._column, self._descending = -1, False
        self.files = FileModel(downloads.of, self)
        self.setModel(self.files)
        self.setItemDelegateForColumn(STATE, _StateDelegate(downloads, self))
        self.setAccessibleName(self.tr("Files of models"))
        self._set_up()
        self.selectionModel().currentRowChanged.connect(lambda *_: self.chosen.emit(self.current()))
        self.files.modelReset.connect(lambda: self.chosen.emit(self.current()))

    def current(self) -> FileRow | None:
        """The file that commands are about."""
        index = self.currentIndex()
        return self.files.rows[index.row()] if index.isValid() else None

    def selected(self) -> tuple[FileRow, ...]:
        """All files that are marked."""
        return tuple(self.files.rows[index.row()] for index in self.selectionModel().selectedRows())

    def show_files(self, files: tuple[FileRow, ...]) -> None:
        """The shelf is another one."""
        self._files = files
        self._fill()

    def narrow(
        self,
        assets: frozenset[str] | None = None,
        words: str | None = None,
        show: Show | None = None,
        everything: bool = False,
    ) -> None:
        """Show only some; what is None stays as it is, ``everything`` lifts the limit to some assets."""
        if assets is not None or everything:
            self._assets = None if everything else assets
        self._words = self._words if words is None else words
        self._show = self._show if show is None else show
        self._fill()

    def select(self, asset_id: str) -> None:
        """Make a file the current one."""
        row = self.files.row_of(asset_id)
        if row >= 0:
            self.selectRow(row)

    def tell_progress(self) -> None:
        """Downloads have come further."""
        if self.isVisible():
            self.files.tell_states()

    def _fill(self) -> None:
        before = self.current()
        rows = [row for row in self._files if self._fits(row)]
        if self._column >= 0:
            rows.sort(key=lambda row: _sort_key(row, self._column), reverse=self._descending)
        self.files.show_rows(tuple(rows))
        if before is not None:
            self.select(before.id)
        self.chosen.emit(self.current())

    def _fits(self, row: FileRow) -> bool:
        if self._assets is not None and row.id not in self._assets:
            return False
        return shown(row, self._show) and matches(row, self._words, model_words.role_words(row.role))

    def _sort(self, column: int, order: Qt.SortOrder) -> None:
        self._column, self._descending = column, order == Qt.SortOrder.DescendingOrder
        self._fill()

    def _set_up(self) -> None:
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setStyleSheet(_INSET)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setTabKeyNavigation(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(FILE, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(60)
        for column, width in _WIDTHS.items():
            self.setColumnWidth(column, width)
        self.setSortingEnabled(False)
        header.setSectionsClickable(True)
        header.setSortIndicatorShown(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setSortIndicatorClearable(True)
        header.sortIndicatorChanged.connect(self._sort)


def _sort_key(row: FileRow, column: int) -> tuple[object, ...]:
    match column:
        case 1:
            return (row.role, row.title.lower())
        case 2:
            return (row.size_bytes,)
        case 3:
            order = {"installed": 0, "partial": 1, "missing": 2}
            return (not row.damaged, order[row.state], row.title.lower())
        case 4:
            return (row.licence.lower(), row.title.lower())
        case 5:
            return (-len(row.used_by), row.title.lower())
    return (row.title.lower(),)


class _StateDelegate(QStyledItemDelegate):
    """A dot in the colour of the state before its words; a bar below while it is downloaded."""

    def __init__(self, downloads: Downloads, parent: QWidget) -> None:
        super().__init__(parent)
        self._downloads = downloads

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        """Room for the dot."""
        super().initStyleOption(option, index)
        option.features |= QStyleOptionViewItem.ViewItemFeature.HasDecoration
        option.decorationSize = QSize(_DOT + 2, _DOT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """As usual, then the dot and the bar."""
        super().paint(painter, option, index)
        row = index.data(Qt.ItemDataRole.UserRole)
        if not isinstance(row, FileRow):
            return
        rect: QRect = option.rect
        widget: QWidget = option.widget
        transfer = self._downloads.of(row.id)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._colour(widget, row, transfer is not None)))
        dot = QRect(rect.left() + NARROW, rect.center().y() - _DOT // 2 + 1, _DOT, _DOT)
        painter.drawEllipse(dot)
        painter.restore()

    def _colour(self, widget: QWidget, row: FileRow, coming: bool) -> str:
        tokens = tokens_of(widget)
        if row.damaged:
            return tokens.danger
        if coming:
            return tokens.accent
        return {"installed": tokens.success, "partial": tokens.warning}.get(row.state, tokens.strong_line)
