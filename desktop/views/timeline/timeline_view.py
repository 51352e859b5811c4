"""The timeline with its head line, the names of its tracks and its scroll bar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import (
    QAction,
    QColor,
    QContextMenuEvent,
    QFontMetricsF,
    QPainter,
    QPaintEvent,
)
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QScrollBar,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from desktop.presenters.timeline import Timeline
from desktop.views.elided import ElidedLabel
from desktop.views.icons import icon
from desktop.views.theme import ICON, NARROW, SPACE, TIGHT, role, scaled, tokens_of
from desktop.views.timeline.canvas import TimelineCanvas
from desktop.views.timeline.commands import Commands
from desktop.views.timeline.keys import KeyGuard

if TYPE_CHECKING:
    from desktop.presenters.playback import Playback

_GUTTER: Final = 64
# A scroll bar counts in whole numbers: milliseconds.
_MS: Final = 1000


class TimelineView(QWidget):
    """Shows a timeline; ``commands`` are its actions, for the menus of the window.

    Args:
        timeline: the presenter; not closed here.
        playback: the clock.
    """

    def __init__(self, timeline: Timeline, playback: Playback, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._timeline = timeline
        self.canvas = TimelineCanvas(timeline, playback, self)
        self.commands = Commands(timeline, playback, self.canvas, self)
        self._guard = KeyGuard([*self.commands.play, *self.commands.trim], self)
        self._length = role(QLabel(), "heading")
        self._cut = role(ElidedLabel(), "warning")
        self._cut.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._scroll = QScrollBar(Qt.Orientation.Horizontal)
        policy = self._scroll.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._scroll.setSizePolicy(policy)
        self._scroll.setAccessibleName(self.tr("Scroll the timeline"))
        self._scroll.valueChanged.connect(lambda value: self.canvas.scroll_to(value / _MS))
        role(self, "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._lay_out()
        timeline.changed.connect(self._show)
        self.canvas.scale_changed.connect(self._show_scale)
        self._show()
        self._show_scale()

    @property
    def menu_actions(self) -> list[QAction]:
        """For the window's menus; their keys are heard in the whole window but where a control needs them."""
        return self.commands.all

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """What can be done here."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setToolTipsVisible(True)
        menu.addActions(self.commands.trim[:3])
        menu.addSeparator()
        menu.addActions(self.commands.trim[3:])
        menu.addSeparator()
        menu.addActions(self.commands.zoom)
        menu.popup(event.globalPos())

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(SPACE, TIGHT, SPACE, NARROW)
        grid.setHorizontalSpacing(NARROW)
        grid.setVerticalSpacing(TIGHT)
        grid.addLayout(self._head(), 0, 0, 1, 2)
        grid.addWidget(_Names(self.canvas), 1, 0)
        grid.addWidget(self.canvas, 1, 1)
        grid.addWidget(self._scroll, 2, 1)
        grid.setRowStretch(1, 1)
        grid.setColumnStretch(1, 1)

    def _head(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(TIGHT)
        row.addWidget(self._length)
        row.addSpacing(TIGHT)
        row.addWidget(self._cut, 1)
        for name in ("set_in", "set_out"):
            row.addWidget(self._button(self.commands[name]))
        self._align = self._align_button()
        row.addWidget(self._align)
        row.addSpacing(SPACE)
        for name in ("zoom_out", "zoom_in", "zoom_fit"):
            row.addWidget(self._button(self.commands[name]))
        return row

    def _button(self, action: QAction) -> QToolButton:
        button = QToolButton()
        button.setDefaultAction(action)
        button.setIconSize(QSize(ICON, ICON))
        button.setAccessibleName(action.text().replace("&", ""))
        return button

    def _align_button(self) -> QToolButton:
        button = QToolButton()
        button.setIcon(icon("marker"))
        button.setIconSize(QSize(ICON, ICON))
        button.setAccessibleName(self.tr("Align frame"))
        button.setToolTip(self.tr("Align frame: proportions are measured on it"))
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
        menu.addActions([self.commands["align_here"], self.commands["align_auto"]])
        button.setMenu(menu)
        return button

    def _show(self) -> None:
        words = self._timeline.words
        self._align.setEnabled(self._timeline.ready)
        self._length.setText(words.length)
        self._cut.say(words.cut)

    def _show_scale(self) -> None:
        scale = self.canvas.scale
        self._scroll.blockSignals(True)
        self._scroll.setRange(0, round(scale.furthest_s * _MS))
        self._scroll.setPageStep(max(1, round(scale.visible_s * _MS)))
        self._scroll.setSingleStep(max(1, round(scale.visible_s * _MS / 10)))
        self._scroll.setValue(round(scale.start_s * _MS))
        self._scroll.blockSignals(False)
        self._scroll.setVisible(not scale.fits)


class _Names(QWidget):
    """What the tracks are, beside them."""

    def __init__(self, canvas: TimelineCanvas) -> None:
        super().__init__()
        self._canvas = canvas
        self.setFixedWidth(_GUTTER)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Each in the middle of its track."""
        painter = QPainter(self)
        painter.setFont(scaled(self.font(), 0.9))
        painter.setPen(QColor(tokens_of(self).quiet))
        metrics, rows = QFontMetricsF(painter.font()), self._canvas.rows
        for row, name in (
            (rows.motion, self.tr("Motion")),
            (rows.pose, self.tr("Pose")),
            (rows.result, self.tr("Result")),
        ):
            text = metrics.elidedText(name, Qt.TextElideMode.ElideRight, self.width())
            box = row.adjusted(0, 0, self.width() - row.width(), 0)
            painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)

    def changeEvent(self, event: QEvent) -> None:
        """Another theme or font."""
        super().changeEvent(event)
        self.update()
