"""The left column: thumbnails of pictures and motions, and a way to bring one's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon, QImage, QPixmap
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QListView,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from desktop.presenters.library_presenter import MOTIONS, PICTURES, Item, Kind
from desktop.views.style import NARROW, THUMBNAIL, role

_PATH = Qt.ItemDataRole.UserRole


class LibraryView(QWidget):
    """Heading, thumbnails and a button for one kind of input.

    Signals:
        selected: path as text of the thumbnail that the user chose, or that was chosen for them.
        files_picked: list of paths from the file dialogue.
    """

    selected = Signal(str)
    files_picked = Signal(object)

    def __init__(self, kind: Kind, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kind = kind
        self._list = _thumbnails()
        self._list.setAccessibleName(self._heading())
        self._list.currentItemChanged.connect(self._on_current)
        self._empty = QLabel(self._empty_text(), wordWrap=True, alignment=Qt.AlignmentFlag.AlignCenter)
        role(self._empty, "drop")
        self._stack = QStackedWidget()
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self._list)
        self.button = QPushButton(self.tr("Choose file…"))
        self.button.setAccessibleName(self._button_name())
        self.button.clicked.connect(self.choose_file)
        self._lay_out()

    def add(self, item: Item) -> None:
        """Append an item; its picture follows."""
        entry = QListWidgetItem(item.name)
        entry.setData(_PATH, str(item.path))
        entry.setToolTip(self.tr("Shipped with Pirouette") if item.shipped else str(item.path))
        entry.setTextAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
        blank = QPixmap(THUMBNAIL, THUMBNAIL)
        blank.fill(Qt.GlobalColor.transparent)
        entry.setIcon(QIcon(blank))
        self._list.addItem(entry)
        self._stack.setCurrentWidget(self._list)
        if self._list.currentItem() is None:
            self._list.setCurrentItem(entry)

    def set_preview(self, path: str, image: QImage) -> None:
        """The picture of an item that was added."""
        for entry in self._entries(path):
            entry.setIcon(_square_icon(image))

    def select(self, path: str) -> None:
        """Choose the item with this path."""
        for entry in self._entries(path):
            self._list.setCurrentItem(entry)
            self._list.scrollToItem(entry)

    def remove(self, path: str) -> None:
        """Drop an item that turned out to be unusable."""
        for entry in self._entries(path):
            self._list.takeItem(self._list.row(entry))

    def current(self) -> str | None:
        """Path of the chosen item."""
        entry = self._list.currentItem()
        return None if entry is None else str(entry.data(_PATH))

    def choose_file(self) -> None:
        """Ask for files through the system's dialogue."""
        paths, _ = QFileDialog.getOpenFileNames(self, self._button_name(), "", self._filter())
        if paths:
            self.files_picked.emit([Path(path) for path in paths])

    def _lay_out(self) -> None:
        heading = role(QLabel(self._heading()), "heading")
        row = QHBoxLayout()
        row.addWidget(heading)
        row.addStretch()
        row.addWidget(self.button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(NARROW)
        layout.addLayout(row)
        layout.addWidget(self._stack, 1)

    def _entries(self, path: str) -> Sequence[QListWidgetItem]:
        rows = (self._list.item(row) for row in range(self._list.count()))
        return [entry for entry in rows if entry.data(_PATH) == path]

    def _on_current(self, entry: QListWidgetItem | None) -> None:
        if entry is not None:
            self.selected.emit(entry.data(_PATH))

    def _heading(self) -> str:
        return self.tr("Reference") if self._kind == "reference" else self.tr("Motion")

    def _button_name(self) -> str:
        if self._kind == "reference":
            return self.tr("Choose a reference picture")
        return self.tr("Choose a motion")

    def _empty_text(self) -> str:
        if self._kind == "reference":
            return self.tr("Drop a picture of one person here.")
        return self.tr("Drop a skeleton video or a keypoint file here.")

    def _filter(self) -> str:
        suffixes = PICTURES if self._kind == "reference" else MOTIONS
        name = self.tr("Pictures") if self._kind == "reference" else self.tr("Motions")
        return f"{name} ({' '.join(f'*{suffix}' for suffix in suffixes)})"


def _thumbnails() -> QListWidget:
    view = QListWidget()
    view.setViewMode(QListView.ViewMode.IconMode)
    view.setMovement(QListView.Movement.Static)
    view.setResizeMode(QListView.ResizeMode.Adjust)
    view.setIconSize(QSize(THUMBNAIL, THUMBNAIL))
    view.setGridSize(QSize(THUMBNAIL + 14, THUMBNAIL + 32))
    view.setTextElideMode(Qt.TextElideMode.ElideRight)
    view.setUniformItemSizes(True)
    return view


def _square_icon(image: QImage) -> QIcon:
    """The middle of the picture, so that all thumbnails have one shape; selecting does not tint it."""
    side = min(image.width(), image.height())
    left, top = (image.width() - side) // 2, (image.height() - side) // 2
    smooth = Qt.TransformationMode.SmoothTransformation
    keep = Qt.AspectRatioMode.KeepAspectRatio
    square = QPixmap.fromImage(image.copy(left, top, side, side))
    pixmap = square.scaled(2 * THUMBNAIL, 2 * THUMBNAIL, keep, smooth)
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon
