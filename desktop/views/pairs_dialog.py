"""Asks which of several references shall be rendered with which of several motions."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QImage, QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from desktop.model.intake import PairsWanted
from desktop.presenters.intake import Intake
from desktop.presenters.pairs import Pairs
from desktop.presenters.thumbnails import Thumbnails
from desktop.views.theme import NARROW, RADIUS, SPACE, TIGHT, WIDE, role, scaled, tokens_of
from desktop.views.ticks import draw_tick

Index = QModelIndex | QPersistentModelIndex
_PICTURE: Final = 52
_CELL_WIDTH: Final = 104
_CELL_HEIGHT: Final = 62
_ROW_HEADER: Final = 190
_CHECK: Final = 20


class PairsDialog(QDialog):
    """A grid of ticks; accepting queues the ticked pairs, or the files are only listed.

    Args:
        wanted: the files.
        thumbnails: makes their pictures.
        intake: takes the answer.
        seconds_each: of one render with the present settings, None where that is not known.
    """

    def __init__(
        self,
        wanted: PairsWanted,
        thumbnails: Thumbnails,
        intake: Intake,
        seconds_each: float | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._intake, self._seconds_each = intake, seconds_each
        self.pairs = Pairs(wanted, thumbnails, self)
        self.setWindowTitle(self.tr("Queue several renders"))
        self.grid = _Grid(self.pairs, self)
        self._sum = QLabel()
        self._problem = role(QLabel(), "problem")
        self.queue = role(QPushButton(), "primary")
        self.queue.setDefault(True)
        self.queue.clicked.connect(self._on_queue)
        self.list_only = QPushButton(self.tr("Only add to the library"))
        self.list_only.setToolTip(self.tr("List the files and render nothing now"))
        self.list_only.clicked.connect(self._on_list_only)
        self.cancel = QPushButton(self.tr("Cancel"))
        self.cancel.clicked.connect(self.reject)
        self.pairs.count_changed.connect(self._show_count)
        self._lay_out(wanted)
        self._show_count(self.pairs.count)
        self.grid.setFocus()

    def done(self, result: int) -> None:
        """Accepted or not, thumbnails are not wanted any more."""
        self.pairs.close()
        super().done(result)

    def _lay_out(self, wanted: PairsWanted) -> None:
        title = self.tr("{pictures} pictures × {motions} motions").format(
            pictures=len(wanted.references), motions=len(wanted.motions)
        )
        hint = self.tr("Each ticked pair is one render with the present settings.")
        if wanted.cut_off:
            hint = self.tr("{hint} There were more files than can be taken in one go.").format(hint=hint)
        every = role(QPushButton(self.tr("Tick all")), "link")
        every.clicked.connect(lambda: self.pairs.set_all(True))
        none = role(QPushButton(self.tr("Tick none")), "link")
        none.clicked.connect(lambda: self.pairs.set_all(False))
        top = QHBoxLayout()
        top.addWidget(role(QLabel(hint, wordWrap=True), "quiet"), 1)
        top.addWidget(every)
        top.addWidget(none)
        foot = QHBoxLayout()
        foot.setSpacing(NARROW)
        foot.addWidget(self._sum)
        foot.addWidget(self._problem)
        foot.addStretch()
        for button in (self.cancel, self.list_only, self.queue):
            foot.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(WIDE, WIDE, WIDE, WIDE)
        layout.setSpacing(SPACE)
        layout.addWidget(role(QLabel(title), "title"))
        layout.addLayout(top)
        layout.addWidget(self.grid, 1)
        layout.addLayout(foot)
        self.resize(self._best_size(wanted))

    def _best_size(self, wanted: PairsWanted) -> QSize:
        width = _ROW_HEADER + _CELL_WIDTH * len(wanted.motions) + 2 * WIDE + 20
        height = _CELL_HEIGHT * len(wanted.references) + 2 * _CELL_HEIGHT + 170
        return QSize(min(max(width, 620), 1000), min(max(height, 360), 660))

    def _show_count(self, count: int) -> None:
        refusal = self.pairs.refusal()
        self.queue.setText(
            self.tr("Queue {count} renders").format(count=f"{count:,}")
            if count != 1
            else self.tr("Queue 1 render")
        )
        self.queue.setEnabled(not refusal)
        self.queue.setToolTip(refusal)
        self._problem.setText(refusal)
        self._problem.setVisible(bool(refusal))
        known = self._seconds_each is not None and not refusal
        self._sum.setVisible(known)
        if self._seconds_each is not None and known:
            self._sum.setText(
                self.tr("About {time} in all").format(time=self._duration(self._seconds_each * count))
            )

    def _duration(self, seconds: float) -> str:
        if seconds < 90:
            return self.tr("{count} s").format(count=round(seconds))
        if seconds < 90 * 60:
            return self.tr("{count} min").format(count=round(seconds / 60))
        return self.tr("{count} h").format(count=f"{seconds / 3600:.1f}")

    def _on_queue(self) -> None:
        self._intake.accept_pairs(self.pairs.chosen())
        self.accept()

    def _on_list_only(self) -> None:
        self._intake.list_only(self.pairs.wanted)
        self.reject()


class _Grid(QTableView):
    """Click and Space tick a pair, a header all of its row or column."""

    def __init__(self, pairs: Pairs, parent: QWidget) -> None:
        super().__init__(parent)
        self._pairs = pairs
        self.setModel(pairs)
        self.setItemDelegate(_Tick(self))
        across = _Header(Qt.Orientation.Horizontal, self)
        down = _Header(Qt.Orientation.Vertical, self)
        self.setHorizontalHeader(across)
        self.setVerticalHeader(down)
        across.setDefaultSectionSize(_CELL_WIDTH)
        down.setDefaultSectionSize(_CELL_HEIGHT)
        across.sectionClicked.connect(pairs.toggle_column)
        down.sectionClicked.connect(pairs.toggle_row)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setCornerButtonEnabled(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTabKeyNavigation(False)
        self.setAccessibleName(self.tr("Pairs of a reference and a motion"))
        self.clicked.connect(self._toggle)
        self.setCurrentIndex(pairs.index(0, 0))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space ticks."""
        if event.key() == Qt.Key.Key_Space and self.currentIndex().isValid():
            self._toggle(self.currentIndex())
        else:
            super().keyPressEvent(event)

    def _toggle(self, index: QModelIndex) -> None:
        is_ticked = Qt.CheckState(index.data(Qt.ItemDataRole.CheckStateRole)) == Qt.CheckState.Checked
        state = Qt.CheckState.Unchecked if is_ticked else Qt.CheckState.Checked
        self._pairs.setData(index, state, int(Qt.ItemDataRole.CheckStateRole))


class _Tick(QStyledItemDelegate):
    """A cell: a box, ticked or not, on a ground that shows it from afar."""

    def __init__(self, view: QTableView) -> None:
        super().__init__(view)
        self._view = view

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """One cell."""
        tokens = tokens_of(self._view)
        ticked = Qt.CheckState(index.data(Qt.ItemDataRole.CheckStateRole)) == Qt.CheckState.Checked
        state: QStyle.StateFlag = option.state
        rect: QRect = option.rect.adjusted(2, 2, -2, -2)
        hovered = bool(state & QStyle.StateFlag.State_MouseOver)
        focused = self._view.hasFocus() and self._view.currentIndex() == index
        fill = tokens.accent_soft if ticked else tokens.hover if hovered else tokens.raised
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(option.rect, QColor(tokens.panel))
        painter.setPen(QPen(QColor(tokens.accent), 1.5) if focused else Qt.PenStyle.NoPen)
        painter.setBrush(QColor(fill))
        painter.drawRoundedRect(QRectF(rect).adjusted(1, 1, -1, -1), RADIUS, RADIUS)
        box = QRect(0, 0, _CHECK, _CHECK)
        box.moveCenter(rect.center())
        draw_tick(painter, box, ticked, tokens)
        painter.restore()


class _Header(QHeaderView):
    """Pictures and names of the files; a click ticks all of them."""

    def __init__(self, orientation: Qt.Orientation, parent: QWidget) -> None:
        super().__init__(orientation, parent)
        self.setSectionsClickable(True)
        self.setHighlightSections(False)
        self.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.setToolTip(self.tr("Click to tick all or none of it"))

    def sizeHint(self) -> QSize:
        """Across: picture over name; down: picture beside name."""
        line = QFontMetrics(scaled(self.font(), 0.9)).height()
        if self.orientation() == Qt.Orientation.Horizontal:
            return QSize(_CELL_WIDTH, _PICTURE + line + 3 * TIGHT)
        return QSize(_ROW_HEADER, _CELL_HEIGHT)

    def paintSection(self, painter: QPainter, rect: QRect, section: int) -> None:
        """One file."""
        tokens = tokens_of(self)
        model = self.model()
        name = str(model.headerData(section, self.orientation()))
        image = model.headerData(section, self.orientation(), int(Qt.ItemDataRole.DecorationRole))
        across = self.orientation() == Qt.Orientation.Horizontal
        place = QRect(rect.left() + TIGHT, rect.center().y() - _PICTURE // 2, _PICTURE, _PICTURE)
        words = rect.adjusted(_PICTURE + 3 * TIGHT, 0, -TIGHT, 0)
        align = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        if across:
            place.moveTopLeft(rect.topLeft())
            place.moveLeft(rect.center().x() - _PICTURE // 2)
            words = rect.adjusted(TIGHT, _PICTURE + TIGHT, -TIGHT, 0)
            align = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop
        painter.save()
        painter.fillRect(rect, QColor(tokens.panel))
        picture = image if isinstance(image, QImage) else None
        _draw(painter, place, picture, QColor(tokens.stage), fills=not across)
        painter.setPen(QColor(tokens.text))
        painter.setFont(scaled(self.font(), 0.9, QFont.Weight.Normal))
        text = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, words.width())
        painter.drawText(words, align, text)
        painter.restore()


def _draw(painter: QPainter, place: QRect, image: QImage | None, ground: QColor, fills: bool) -> None:
    """A picture in a square: cut to it, or whole on a dark ground."""
    painter.fillRect(place, ground)
    if image is None:
        return
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    if fills:
        side = min(image.width(), image.height())
        top = (image.height() - side) // 4
        painter.drawImage(place, image, QRect((image.width() - side) // 2, top, side, side))
        return
    size = image.size().scaled(place.size(), Qt.AspectRatioMode.KeepAspectRatio)
    inside = QRect(0, 0, size.width(), size.height())
    inside.moveCenter(place.center())
    painter.drawImage(inside, image)
