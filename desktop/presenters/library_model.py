"""The rows of one list of the library, for any view; thumbnails are asked for when a row is first painted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import (
    QAbstractListModel,
    QMimeData,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    QUrl,
    Signal,
)
from PySide6.QtGui import QImage

from desktop.model.library_items import LibraryItem
from desktop.presenters.thumbnails import Thumbnails

Index = QModelIndex | QPersistentModelIndex
SIDE: Final = 320
_MOST_IMAGE_BYTES: Final = 48 * 2**20
ITEM_ROLE: Final = int(Qt.ItemDataRole.UserRole)
CHOSEN_ROLE: Final = ITEM_ROLE + 1


class LibraryModel(QAbstractListModel):
    """Items of one kind, and which of them is chosen.

    Args:
        thumbnails: makes the pictures.

    Signals:
        chosen_changed: row of the item that is chosen now, -1 for none.
    """

    chosen_changed = Signal(int)

    def __init__(self, thumbnails: Thumbnails, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thumbnails = thumbnails
        self._items: list[LibraryItem] = []
        self._chosen: Path | None = None
        self._images: OrderedDict[Path, QImage] = OrderedDict()
        self._image_bytes = 0
        self._asked: set[Path] = set()
        thumbnails.ready.connect(self._on_ready)
        thumbnails.failed.connect(self._on_failed)

    @property
    def items(self) -> tuple[LibraryItem, ...]:
        """All rows."""
        return tuple(self._items)

    @property
    def pictured(self) -> int:
        """How many rows have their thumbnail."""
        return len(self._images)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own signature)
        """Rows of the list; an item has none."""
        return 0 if parent.isValid() else len(self._items)

    def data(self, index: Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Name, tool tip, the item itself, whether it is chosen; the picture once it is here."""
        if not index.isValid():
            return None
        item = self._items[index.row()]
        if role == ITEM_ROLE:
            return item
        if role == CHOSEN_ROLE:
            return item.path == self._chosen
        if role == Qt.ItemDataRole.DecorationRole:
            return self._image(item)
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return item.name
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tool_tip(item)
        if role == Qt.ItemDataRole.AccessibleDescriptionRole:
            return self.tr("chosen") if item.path == self._chosen else self._tool_tip(item)
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Items can be chosen, and dragged to the window while their file is there."""
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemNeverHasChildren
        if index.isValid() and not self._items[index.row()].missing:
            flags |= Qt.ItemFlag.ItemIsDragEnabled
        return flags

    def mimeTypes(self) -> list[str]:
        """Dragged items are files to everybody."""
        return ["text/uri-list"]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        """The files of some rows."""
        data = QMimeData()
        paths = [self._items[index.row()].path for index in indexes]
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        return data

    def row_of(self, path: Path) -> int:
        """Where a file is, -1 if it is not listed."""
        return next((row for row, item in enumerate(self._items) if item.path == path), -1)

    def set_items(self, items: Sequence[LibraryItem]) -> None:
        """All rows anew."""
        self.beginResetModel()
        self._items = list(items)
        self.endResetModel()

    def put_first(self, items: Sequence[LibraryItem]) -> None:
        """New rows at the top."""
        if items:
            self.beginInsertRows(QModelIndex(), 0, len(items) - 1)
            self._items[:0] = items
            self.endInsertRows()

    def remove(self, path: Path) -> None:
        """Take a row out."""
        row = self.row_of(path)
        if row >= 0:
            self.beginRemoveRows(QModelIndex(), row, row)
            del self._items[row]
            self.endRemoveRows()
            self._thumbnails.drop(path)
            self._forget(path)

    def set_chosen(self, path: Path | None) -> None:
        """Mark this one."""
        before, self._chosen = self._chosen, path
        for each in (before, path):
            if each is not None and before != path:
                self._changed(each)
        if before != path:
            self.chosen_changed.emit(-1 if path is None else self.row_of(path))

    def set_missing(self, missing: frozenset[Path]) -> None:
        """Of these there is no file any more; of all others there is one."""
        for row, item in enumerate(self._items):
            gone = item.path in missing
            if item.missing != gone:
                self._items[row] = replace(item, missing=gone, trouble="")
                self._forget(item.path)
                self._changed(item.path)

    def close(self) -> None:
        """Nobody is told any more."""
        self._thumbnails.ready.disconnect(self._on_ready)
        self._thumbnails.failed.disconnect(self._on_failed)

    def _image(self, item: LibraryItem) -> QImage | None:
        image = self._images.get(item.path)
        if image is not None:
            self._images.move_to_end(item.path)
        elif item.path not in self._asked and not item.missing and not item.trouble:
            self._asked.add(item.path)
            self._thumbnails.ask(item.path, (), SIDE)
        return image

    def _on_ready(self, path: str, times_s: tuple[float, ...], images: Sequence[QImage]) -> None:
        key = Path(path)
        if times_s or key not in self._asked or self.row_of(key) < 0:
            return
        held = self._images.get(key)
        if held is not None and held.width() * held.height() > images[0].width() * images[0].height():
            return  # somebody else asked for a smaller one
        self._keep(key, images[0])
        self._changed(key)

    def _keep(self, path: Path, image: QImage) -> None:
        """Least recently painted pictures go first; they come back from the cache."""
        old = self._images.pop(path, None)
        self._image_bytes += image.sizeInBytes() - (old.sizeInBytes() if old is not None else 0)
        self._images[path] = image
        while self._image_bytes > _MOST_IMAGE_BYTES and len(self._images) > 1:
            gone, dropped = self._images.popitem(last=False)
            self._image_bytes -= dropped.sizeInBytes()
            self._asked.discard(gone)

    def _on_failed(self, path: str, message: str, action: str) -> None:
        row = self.row_of(Path(path))
        if row >= 0 and Path(path) in self._asked and Path(path) not in self._images:
            self._items[row] = replace(self._items[row], trouble=f"{message} {action}".strip())
            self._changed(Path(path))

    def _forget(self, path: Path) -> None:
        self._asked.discard(path)
        dropped = self._images.pop(path, None)
        if dropped is not None:
            self._image_bytes -= dropped.sizeInBytes()

    def _changed(self, path: Path) -> None:
        row = self.row_of(path)
        if row >= 0:
            self.dataChanged.emit(self.index(row), self.index(row))

    def _tool_tip(self, item: LibraryItem) -> str:
        if item.missing:
            return self.tr("{path}\nThis file is not there any more.").format(path=item.path)
        if item.trouble:
            return f"{item.path}\n{item.trouble}"
        if item.shipped:
            return self.tr("{name}, shipped with Pirouette").format(name=item.name)
        return str(item.path)
