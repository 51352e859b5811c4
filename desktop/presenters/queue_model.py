"""The queue as a table of one column: rows come and go one by one, so what is selected and seen stays."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import (
    QAbstractTableModel,
    QByteArray,
    QMimeData,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)

from desktop.model.list_steps import Inserted, Moved, Removed, Sorted, Step
from desktop.presenters.queue_lookout import Ahead, Look
from desktop.presenters.queue_words import Live, QueueItem, QueueWords

if TYPE_CHECKING:
    from core.jobs.queue.job import JobRow

Index = QModelIndex | QPersistentModelIndex
ITEM_ROLE: Final = int(Qt.ItemDataRole.UserRole) + 1
ID_ROLE: Final = ITEM_ROLE + 1
ROWS_MIME: Final = "application/x-pirouette-queue-rows"
_ROOT: Final = QModelIndex()


class QueueModel(QAbstractTableModel):
    """Shows the latest ``Look``; changes are asked for by signals, and come back with the next one.

    Args:
        words: say what a row says.
        now: the wall clock here.

    Signals:
        rename_asked: (job id, name).
        move_asked: (list of job ids, id of the job that they go before or None for the end).
    """

    rename_asked = Signal(str, str)
    move_asked = Signal(object, object)

    def __init__(
        self,
        words: QueueWords,
        now: Callable[[], datetime] = datetime.now,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._words, self._now = words, now
        self._rows: list[JobRow] = []
        self._numbers: dict[str, int] = {}
        self._live: dict[str, Live] = {}
        self._wishes: dict[str, str] = {}
        self._ahead = Ahead()
        self._from: datetime | None = None
        self._items: dict[str, QueueItem] = {}

    @property
    def rows(self) -> Sequence[JobRow]:
        """What is shown now."""
        return self._rows

    def row_of(self, job_id: str) -> JobRow | None:
        """A shown job."""
        number = self._numbers.get(job_id)
        return None if number is None else self._rows[number]

    def number_of(self, job_id: str) -> int | None:
        """Where a shown job stands."""
        return self._numbers.get(job_id)

    def item(self, number: int) -> QueueItem:
        """A row as it is drawn."""
        row = self._rows[number]
        made = self._items.get(row.id)
        if made is None:
            made = self._items[row.id] = self._words.item(
                row, self._live.get(row.id), self._wishes.get(row.id), self._finish(row), self._now()
            )
        return made

    def take(self, look: Look) -> None:
        """Become what the queue is now."""
        self._items.clear()
        self._wishes, self._ahead = dict(look.wishes), look.ahead
        arriving = look.rows
        for step in look.steps:
            self._step(step, arriving)
        self._rows[:] = arriving
        self._numbers = dict(look.numbers)
        for number in look.renewed:
            index = self.index(number, 0)
            self.dataChanged.emit(index, index)
        self._say_times_changed()

    def set_live(self, job_id: str, live: Live | None) -> None:
        """How a running job stands; only its row is drawn again."""
        if live is None:
            self._live.pop(job_id, None)
        else:
            self._live[job_id] = live
        self._items.pop(job_id, None)
        number = self._numbers.get(job_id)
        if number is not None:
            index = self.index(number, 0)
            self.dataChanged.emit(index, index)

    def set_start(self, at: datetime | None) -> None:
        """When the first that waits can start: finish times count from it. None: nobody knows."""
        if at != self._from:
            self._from = at
            self.refresh_times()

    def refresh_times(self) -> None:
        """The clock has gone on."""
        self._items.clear()
        self._say_times_changed()

    def rowCount(self, parent: Index = _ROOT) -> int:
        """Jobs shown."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = _ROOT) -> int:
        """One: the row is drawn as a whole."""
        return 0 if parent.isValid() else 1

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Name, sentence for screen readers, and the row as it is drawn."""
        if not index.isValid():
            return None
        number = index.row()
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.EditRole:
                return self._rows[number].name
            case Qt.ItemDataRole.AccessibleTextRole:
                return self.item(number).sentence
            case _ if role == ITEM_ROLE:
                return self.item(number)
            case _ if role == ID_ROLE:
                return self._rows[number].id
            case _:
                return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """A new name is asked for; it shows once the queue has it."""
        name = str(value).strip()
        if role != Qt.ItemDataRole.EditRole or not index.isValid() or not name:
            return False
        row = self._rows[index.row()]
        if name != row.name:
            self.rename_asked.emit(row.id, name)
        return True

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Rows that wait can be dragged; drops go between rows, never onto one."""
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled
        found = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsEditable
        if self.item(index.row()).movable:
            found |= Qt.ItemFlag.ItemIsDragEnabled
        return found

    def supportedDropActions(self) -> Qt.DropAction:
        """Rows are moved."""
        return Qt.DropAction.MoveAction

    def supportedDragActions(self) -> Qt.DropAction:
        """Rows are moved."""
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:
        """Our own rows; files are the window's matter."""
        return [ROWS_MIME]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        """Ids of those of the rows that can be moved."""
        numbers = sorted({index.row() for index in indexes})
        ids = [self._rows[number].id for number in numbers if self.item(number).movable]
        data = QMimeData()
        data.setData(ROWS_MIME, QByteArray(json.dumps(ids).encode()))
        return data

    def canDropMimeData(
        self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: Index
    ) -> bool:
        """Only among those that wait, and only our own rows."""
        del action, column, parent
        return data.hasFormat(ROWS_MIME) and self._may_go_before(row)

    def dropMimeData(
        self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: Index
    ) -> bool:
        """Asks for the move; False, so that the view removes nothing by itself."""
        if self.canDropMimeData(data, action, row, column, parent):
            ids = [job_id for job_id in _ids(data) if job_id in self._numbers]
            if ids:
                self.move_asked.emit(ids, self._waiting_at(row))
        return False

    def _may_go_before(self, row: int) -> bool:
        if row < 0 or row >= len(self._rows):
            return True
        above = self._rows[row - 1].state if row else ""
        return self.item(row).movable or above in ("queued", "paused", "interrupted", "running")

    def _waiting_at(self, row: int) -> str | None:
        if 0 <= row < len(self._rows) and self.item(row).movable:
            return self._rows[row].id
        return None

    def _finish(self, row: JobRow) -> datetime | None:
        if row.state == "running":
            live = self._live.get(row.id)
            left = None if live is None else live.remaining_s
            return None if left is None else self._now() + timedelta(seconds=left)
        offset_s = self._ahead.offsets_s.get(row.id)
        if self._from is None or offset_s is None:
            return None
        return self._from + timedelta(seconds=offset_s)

    def _say_times_changed(self) -> None:
        if self._rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, 0))

    def _step(self, step: Step, arriving: Sequence[JobRow]) -> None:
        match step:
            case Removed(first, last):
                self.beginRemoveRows(QModelIndex(), first, last)
                del self._rows[first : last + 1]
                self.endRemoveRows()
            case Inserted(first, last):
                self.beginInsertRows(QModelIndex(), first, last)
                self._rows[first:first] = arriving[first : last + 1]
                self.endInsertRows()
            case Moved(source, before):
                self.beginMoveRows(QModelIndex(), source, source, QModelIndex(), before)
                row = self._rows[source]
                self._rows.insert(before, row)
                del self._rows[source + (before <= source)]
                self.endMoveRows()
            case Sorted(keys):
                self._sort(keys)

    def _sort(self, keys: Sequence[str]) -> None:
        self.layoutAboutToBeChanged.emit()
        number_of = {key: number for number, key in enumerate(keys)}
        old = self.persistentIndexList()
        new = [self.index(number_of[self._rows[index.row()].id], 0) for index in old]
        self._rows.sort(key=lambda row: number_of[row.id])
        self.changePersistentIndexList(old, new)
        self.layoutChanged.emit()


def _ids(data: QMimeData) -> list[str]:
    return [str(one) for one in json.loads(data.data(ROWS_MIME).toStdString())]
