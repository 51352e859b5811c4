"""Which of several references are rendered with which of several motions: a grid of ticks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QImage

from desktop.model.intake import MOST_PAIRS, PairsWanted
from desktop.model.library_items import name_of
from desktop.presenters.thumbnails import Thumbnails

Index = QModelIndex | QPersistentModelIndex
Pair = tuple[Path, Path]
_SIDE: Final = 160


class Pairs(QAbstractTableModel):
    """References down, motions across; every pair is ticked at first.

    Args:
        wanted: the files.
        thumbnails: makes the pictures of the headers.

    Signals:
        count_changed: how many pairs are ticked.
    """

    count_changed = Signal(int)

    def __init__(self, wanted: PairsWanted, thumbnails: Thumbnails, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.wanted = wanted
        self._thumbnails = thumbnails
        self._left_out: set[tuple[int, int]] = set()
        self._images: dict[Path, QImage] = {}
        thumbnails.ready.connect(self._on_ready)
        for path in dict.fromkeys((*wanted.references, *wanted.motions)):
            thumbnails.ask(path, (), _SIDE)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own signature)
        """References."""
        return 0 if parent.isValid() else len(self.wanted.references)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own signature)
        """Motions."""
        return 0 if parent.isValid() else len(self.wanted.motions)

    def data(self, index: Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Whether the pair is ticked, and its name."""
        if not index.isValid():
            return None
        if role == Qt.ItemDataRole.CheckStateRole:
            ticked = (index.row(), index.column()) not in self._left_out
            return Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            reference, motion = self._pair(index.row(), index.column())
            return self.tr("{reference} with {motion}").format(
                reference=name_of(reference), motion=name_of(motion)
            )
        return None

    def setData(self, index: Index, value: Any, role: int = int(Qt.ItemDataRole.EditRole)) -> bool:
        """Tick or untick a pair."""
        if not index.isValid() or role != Qt.ItemDataRole.CheckStateRole:
            return False
        self._set([(index.row(), index.column())], Qt.CheckState(value) == Qt.CheckState.Checked)
        return True

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Every cell can be ticked."""
        del index
        item = Qt.ItemFlag
        return item.ItemIsEnabled | item.ItemIsSelectable | item.ItemIsUserCheckable

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = int(Qt.ItemDataRole.DisplayRole)
    ) -> Any:
        """Name and picture of a file."""
        paths = self.wanted.motions if orientation == Qt.Orientation.Horizontal else self.wanted.references
        if not 0 <= section < len(paths):
            return None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return name_of(paths[section])
        if role == Qt.ItemDataRole.ToolTipRole:
            return str(paths[section])
        return self._images.get(paths[section]) if role == Qt.ItemDataRole.DecorationRole else None

    @property
    def count(self) -> int:
        """Ticked pairs."""
        return self.rowCount() * self.columnCount() - len(self._left_out)

    def chosen(self) -> list[Pair]:
        """The ticked pairs, reference by reference."""
        return [self._pair(*place) for place in self._places() if place not in self._left_out]

    def toggle_row(self, row: int) -> None:
        """All of a reference, or none where all were ticked."""
        self._toggle([(row, column) for column in range(self.columnCount())])

    def toggle_column(self, column: int) -> None:
        """All of a motion, or none where all were ticked."""
        self._toggle([(row, column) for row in range(self.rowCount())])

    def set_all(self, ticked: bool) -> None:
        """Every pair, or none."""
        self._set(self._places(), ticked)

    def refusal(self) -> str:
        """Why these cannot be queued; empty where they can."""
        if self.count > MOST_PAIRS:
            return self.tr("At most {most} renders in one go.").format(most=f"{MOST_PAIRS:,}")
        return "" if self.count else self.tr("Tick at least one pair.")

    def close(self) -> None:
        """Nobody is told any more."""
        self._thumbnails.ready.disconnect(self._on_ready)

    def _pair(self, row: int, column: int) -> Pair:
        return self.wanted.references[row], self.wanted.motions[column]

    def _places(self) -> list[tuple[int, int]]:
        return [(row, column) for row in range(self.rowCount()) for column in range(self.columnCount())]

    def _toggle(self, places: Sequence[tuple[int, int]]) -> None:
        self._set(places, any(place in self._left_out for place in places))

    def _set(self, places: Sequence[tuple[int, int]], ticked: bool) -> None:
        if ticked:
            self._left_out.difference_update(places)
        else:
            self._left_out.update(places)
        first, last = self.index(0, 0), self.index(self.rowCount() - 1, self.columnCount() - 1)
        self.dataChanged.emit(first, last, [int(Qt.ItemDataRole.CheckStateRole)])
        self.count_changed.emit(self.count)

    def _on_ready(self, path: str, times_s: tuple[float, ...], images: Sequence[QImage]) -> None:
        key = Path(path)
        if times_s:
            return
        self._images[key] = images[0]
        for orientation, paths in (
            (Qt.Orientation.Horizontal, self.wanted.motions),
            (Qt.Orientation.Vertical, self.wanted.references),
        ):
            if key in paths:
                place = paths.index(key)
                self.headerDataChanged.emit(orientation, place, place)
