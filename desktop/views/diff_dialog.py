"""A result was dropped: which of its settings shall come back?"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from desktop.model.diff import FoundSettings, MissingInput
from desktop.presenters.document import Document
from desktop.presenters.intake import Intake
from desktop.presenters.settings_diff import DiffRow, SettingsDiff
from desktop.views.icons import icon
from desktop.views.theme import NARROW, SPACE, TIGHT, WIDE, icon_size, role, tokens_of
from desktop.views.ticks import TickDelegate

_KEY: Final = int(Qt.ItemDataRole.UserRole)
_SIGN: Final = 18


class DiffDialog(QDialog):
    """Settings now and then with ticks; missing files with a button to find them.

    Args:
        found: what the result remembers.
        document: has the settings of now.
        intake: takes the answer.
    """

    def __init__(
        self, found: FoundSettings, document: Document, intake: Intake, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.diff = SettingsDiff(found, document, intake, self)
        self._unticked: set[str] = set()
        self.setWindowTitle(self.tr("Settings of a result"))
        self.table = self._make_table()
        self._same = role(
            QLabel(
                self.tr("Everything is set as it was for this result."),
                alignment=Qt.AlignmentFlag.AlignCenter,
            ),
            "quiet",
        )
        self._lost = QVBoxLayout()
        self._lost.setSpacing(TIGHT)
        self.restore = role(QPushButton(), "primary")
        self.restore.setDefault(True)
        self.restore.clicked.connect(self._on_restore)
        self.as_motion = QPushButton(icon("film"), self.tr("Use as motion"))
        self.as_motion.setToolTip(self.tr("Take the video itself as the motion of the next render"))
        self.as_motion.clicked.connect(self._on_motion)
        self.cancel = QPushButton(self.tr("Cancel"))
        self.cancel.clicked.connect(self.reject)
        self.diff.changed.connect(self._show)
        self._lay_out()
        self._show()
        self.resize(680, 520)

    def done(self, result: int) -> None:
        """Accepted or not."""
        self.diff.close()
        super().done(result)

    def changeEvent(self, event: QEvent) -> None:
        """Another theme: the signs have its colours."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self.isVisible():
            self._show_lost()

    def ticked(self) -> list[str]:
        """Keys of the settings that shall come back."""
        items = (self.table.topLevelItem(row) for row in range(self.table.topLevelItemCount()))
        return [
            item.data(0, _KEY)
            for item in items
            if item is not None and item.checkState(0) == Qt.CheckState.Checked
        ]

    def _make_table(self) -> QTreeWidget:
        table = QTreeWidget()
        table.setColumnCount(3)
        table.setItemDelegateForColumn(0, TickDelegate(table))
        table.setHeaderLabels([self.tr("Setting"), self.tr("Now"), self.tr("In the result")])
        table.setRootIsDecorated(False)
        table.setUniformRowHeights(True)
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setAccessibleName(self.tr("Settings that differ"))
        header = table.header()
        header.setStretchLastSection(False)
        header.setSectionsMovable(False)
        for column in range(3):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
        table.itemChanged.connect(self._on_item)
        return table

    def _lay_out(self) -> None:
        hint = self.tr("Ticked settings come back as they were; one step of undo takes them away again.")
        title = role(QLabel(self.diff.path.name), "title")
        title.setToolTip(str(self.diff.path))
        title.setMinimumWidth(1)
        foot = QHBoxLayout()
        foot.setSpacing(NARROW)
        foot.addWidget(self.as_motion)
        foot.addStretch()
        foot.addWidget(self.cancel)
        foot.addWidget(self.restore)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(WIDE, WIDE, WIDE, WIDE)
        layout.setSpacing(SPACE)
        layout.addWidget(title)
        layout.addWidget(role(QLabel(hint, wordWrap=True), "quiet"))
        layout.addLayout(self._lost)
        layout.addWidget(self.table, 1)
        layout.addWidget(self._same, 1)
        layout.addLayout(foot)

    def _show(self) -> None:
        """All rows anew; ticks that were taken away stay away."""
        rows = self.diff.rows()
        self.table.blockSignals(True)
        self.table.clear()
        for row in rows:
            self.table.addTopLevelItem(self._item(row))
        self.table.blockSignals(False)
        self.table.setVisible(bool(rows))
        self._same.setVisible(not rows and not self.diff.missing)
        self._show_lost()
        self._show_count()

    def _item(self, row: DiffRow) -> QTreeWidgetItem:
        item = QTreeWidgetItem([row.name, row.now, row.then])
        item.setData(0, _KEY, row.key)
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
        unticked = row.key in self._unticked
        item.setCheckState(0, Qt.CheckState.Unchecked if unticked else Qt.CheckState.Checked)
        for column, text in ((1, row.now), (2, row.then)):
            item.setToolTip(column, text)
        return item

    def _show_lost(self) -> None:
        while (old := self._lost.takeAt(0)) is not None:
            widget = old.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for missing in self.diff.missing:
            find = QPushButton(self.tr("Find…"))
            find.setAccessibleName(self.tr("Find {name}").format(name=missing.name))
            find.setToolTip(self.tr("Choose the file; its content is compared"))
            find.clicked.connect(partial(self._on_find, missing))
            self._lost.addWidget(self._line(self.diff.sentence(missing), find))
        for warning in self.diff.warnings():
            self._lost.addWidget(self._line(warning, None))

    def _line(self, text: str, button: QPushButton | None) -> QFrame:
        frame = role(QFrame(), "caution")
        sign = QLabel()
        colour = tokens_of(self).warning
        sign.setPixmap(icon("warning", colour).pixmap(icon_size(_SIGN), self.devicePixelRatioF()))
        row = QHBoxLayout(frame)
        row.setContentsMargins(SPACE, TIGHT, TIGHT, TIGHT)
        row.addWidget(sign)
        row.addWidget(QLabel(text, wordWrap=True), 1)
        if button is not None:
            row.addWidget(button)
        return frame

    def _show_count(self) -> None:
        count = len(self.ticked())
        self.restore.setText(
            self.tr("Restore 1 setting")
            if count == 1
            else self.tr("Restore {count} settings").format(count=count)
        )
        self.restore.setEnabled(count > 0)
        self.restore.setToolTip("" if count else self.tr("There is nothing to bring back"))

    def _on_item(self, item: QTreeWidgetItem) -> None:
        key = item.data(0, _KEY)
        if item.checkState(0) == Qt.CheckState.Checked:
            self._unticked.discard(key)
        else:
            self._unticked.add(key)
        self._show_count()

    def _on_find(self, missing: MissingInput) -> None:
        title = self.tr("Find {name}").format(name=missing.name)
        name, _ = QFileDialog.getOpenFileName(self, title, str(self.diff.path.parent))
        if name:
            self.diff.relink(missing, Path(name))

    def _on_restore(self) -> None:
        self.diff.restore(self.ticked())
        self.accept()

    def _on_motion(self) -> None:
        self.diff.use_as_motion()
        self.accept()
