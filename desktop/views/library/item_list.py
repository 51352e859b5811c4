"""One list of the library: tiles in as many columns as there is room for."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QModelIndex, QPoint, QSize, QSortFilterProxyModel, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QFontMetrics, QKeyEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QListView, QMenu, QWidget

from desktop.model.library_items import Kind, LibraryItem
from desktop.presenters.library_model import ITEM_ROLE, LibraryModel
from desktop.views.icons import icon
from desktop.views.library.tiles import SMALL, TileDelegate
from desktop.views.theme import TIGHT, scaled

_NARROWEST: Final = 92


class ItemList(QListView):
    """Thumbnails of one kind, filtered by the search.

    Signals:
        chosen: ``LibraryItem`` that the user wants to use.
        show_asked, remove_asked: of the item in the context menu.
        remove_missing_asked: of the whole list.
    """

    chosen = Signal(object)
    show_asked = Signal(object)
    remove_asked = Signal(object)
    remove_missing_asked = Signal()

    def __init__(self, kind: Kind, model: LibraryModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kind, self._source = kind, model
        self.filtered = QSortFilterProxyModel(self)
        self.filtered.setSourceModel(model)
        self.filtered.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.setModel(self.filtered)
        self._set_up()
        self.setItemDelegate(TileDelegate(kind, self))
        self.clicked.connect(self._on_clicked)
        model.chosen_changed.connect(self._on_chosen_changed)

    def item(self, index: QModelIndex) -> LibraryItem | None:
        """What stands there."""
        found = index.data(ITEM_ROLE)
        return found if isinstance(found, LibraryItem) else None

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Tiles share the width; room for the scroll bar is always kept, so that nothing jumps."""
        super().resizeEvent(event)
        self._fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter and Space use an item, Delete takes it off the list; the rest moves about."""
        current = self.item(self.currentIndex())
        if current is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.chosen.emit(current)
        elif current is not None and event.matches(QKeySequence.StandardKey.Delete) and not current.shipped:
            self.remove_asked.emit(current)
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """What can be done with an item."""
        by_key = event.reason() == QContextMenuEvent.Reason.Keyboard
        index = self.currentIndex() if by_key else self.indexAt(event.pos())
        item = self.item(index)
        if item is not None:
            where = self.visualRect(index).center() if by_key else event.pos()
            self.menu_of(item).popup(self.viewport().mapToGlobal(QPoint(where)))

    def menu_of(self, item: LibraryItem) -> QMenu:
        """The context menu of an item."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        use = self.tr("Use as reference") if self._kind == "reference" else self.tr("Use as motion")
        action = menu.addAction(icon("check"), use, lambda: self.chosen.emit(item))
        action.setEnabled(not item.missing)
        action = menu.addAction(icon("reveal"), self.tr("Show in folder"), lambda: self.show_asked.emit(item))
        menu.addSeparator()
        action = menu.addAction(
            icon("trash"), self.tr("Remove from list"), lambda: self.remove_asked.emit(item)
        )
        action.setEnabled(not item.shipped)
        if any(each.missing for each in self._source.items):
            menu.addAction(self.tr("Remove all missing"), self.remove_missing_asked.emit)
        return menu

    def search(self, text: str) -> None:
        """Show only names with this in them."""
        self.filtered.setFilterFixedString(text.strip())

    def _set_up(self) -> None:
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setMovement(QListView.Movement.Static)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setUniformItemSizes(True)
        self.setSpacing(0)
        self.setMouseTracking(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setDragEnabled(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragOnly)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName(
            self.tr("Reference pictures") if self._kind == "reference" else self.tr("Motions")
        )

    def _fit(self) -> None:
        room = self.width() - self.verticalScrollBar().sizeHint().width() - 2
        columns = max(1, room // _NARROWEST)
        width = max(48, room // columns)
        line = QFontMetrics(scaled(self.font(), SMALL)).height()
        size = QSize(width, width + line + TIGHT)
        if size != self.gridSize():
            self.setGridSize(size)
            self.verticalScrollBar().setSingleStep(size.height() // 3)

    def _on_clicked(self, index: QModelIndex) -> None:
        item = self.item(index)
        if item is not None:
            self.chosen.emit(item)

    def _on_chosen_changed(self, row: int) -> None:
        index = self.filtered.mapFromSource(self._source.index(row))
        if index.isValid():
            self.setCurrentIndex(index)
            self.scrollTo(index)
