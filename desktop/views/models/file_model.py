"""The files of the models as rows of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from desktop.model.model_rows import FileRow
from desktop.model.transfers import Transfer
from desktop.presenters import model_words

Index = QModelIndex | QPersistentModelIndex
FILE, ROLE, SIZE, STATE, LICENCE, USED = range(6)
_PLAIN: Final = "steadydancer-14b-"
_RIGHT: Final = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class FileModel(QAbstractTableModel):
    """One row a file, in the order of the catalogue.

    Args:
        transfer_of: the open download that brings an asset.
    """

    def __init__(self, transfer_of: Callable[[str], Transfer | None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._transfer_of = transfer_of
        self._rows: tuple[FileRow, ...] = ()

    @property
    def rows(self) -> tuple[FileRow, ...]:
        """As they are shown."""
        return self._rows

    def show_rows(self, rows: tuple[FileRow, ...]) -> None:
        """Other rows; where the same files stay, the selection does, too."""
        if rows == self._rows:
            return
        same = [row.id for row in rows] == [row.id for row in self._rows]
        if same:
            self._rows = rows
            self.tell_states()
        else:
            self.beginResetModel()
            self._rows = rows
            self.endResetModel()

    def tell_states(self) -> None:
        """Sizes and states may be others."""
        if self._rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, USED))

    def row_of(self, asset_id: str) -> int:
        """Its number; -1 where it is not shown."""
        return next((number for number, row in enumerate(self._rows) if row.id == asset_id), -1)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own signature)
        """No row has children."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own signature)
        """File, role, size, state, licence, used by."""
        return 0 if parent.isValid() else USED + 1

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        """Names of the columns."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT if section == SIZE else Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return (
            self.tr("File"),
            self.tr("For"),
            self.tr("Size"),
            self.tr("State"),
            self.tr("Licence"),
            self.tr("Used by"),
        )[section]

    def data(self, index: Index, role: int = 0) -> Any:
        """Text, alignment, tool tip, and the row itself under ``UserRole``."""
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, index.column())
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() == SIZE:
            return _RIGHT
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(row, index.column())
        if role == Qt.ItemDataRole.UserRole:
            return row
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self._text(row, index.column())
        return None

    def _text(self, row: FileRow, column: int) -> str:
        match column:
            case 0:
                return row.title
            case 1:
                return model_words.role_words(row.role)
            case 2:
                return model_words.size_short(row.size_bytes, row.exact)
            case 3:
                return model_words.state_words(row, self._transfer_of(row.id))
            case 4:
                return model_words.licence_words(row.licence)
        return self._users(row)

    def _users(self, row: FileRow) -> str:
        if row.role.startswith("pose_"):
            return self.tr("Pose engine")
        if row.role == "preview_decoder":
            return self.tr("Live preview")
        if not row.used_by:
            return "–"
        if len(row.used_by) == 1:
            return row.used_by[0].removeprefix(_PLAIN)
        return self.tr("{count} models").format(count=len(row.used_by))

    def _tip(self, row: FileRow, column: int) -> str:
        if column == USED and row.used_by:
            return "\n".join(row.used_by)
        lines = [row.title, row.id, *([row.note] if row.note else [])]
        return "\n".join(lines)
