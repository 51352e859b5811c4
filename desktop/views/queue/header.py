"""The line over the list: how the work stands, search, and what holds for the whole queue."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QResizeEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from desktop.presenters.queue_head import Head
from desktop.presenters.queue_lookout import Group
from desktop.views.elided import ElidedLabel
from desktop.views.icons import icon
from desktop.views.theme import ICON, NARROW, SPACE, TIGHT, icon_size, role

_GROUPS: Final[tuple[Group, ...]] = ("all", "ahead", "done", "failed")
# Below these widths buttons are icons, and the times are left out.
_WITH_WORDS: Final = 1240
_WITH_TIMES: Final = 760
_NIGHT: Final = ("22:00", "07:00")


class QueueHeader(QWidget):
    """Counts, finish time, filter, hold, stop, clear, schedule.

    Signals:
        filter_changed: group and words.
        hold_asked: hold the queue after the current render, or go on.
        stop_asked, clear_asked: the button was pressed.
        schedule_asked: fields of a schedule.
    """

    filter_changed = Signal(str, str)
    hold_asked = Signal(bool)
    stop_asked = Signal()
    clear_asked = Signal()
    schedule_asked = Signal(dict)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        role(self, "panel")
        self.title = role(QLabel(self.tr("Queue")), "heading")
        self.counts = role(ElidedLabel(), "quiet")
        self.counts.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.ahead = QLabel()
        self.search = self._search()
        self.group = self._group()
        self.hold = self._button("hold", self.tr("Pause after current"), checkable=True)
        self.hold.setToolTip(self.tr("Finish the render that runs and start no other one"))
        self.hold.clicked.connect(self.hold_asked)
        self.stop = self._button("stop", self.tr("Stop now"))
        self.stop.setToolTip(self.tr("Pause the render that runs, keep what is done, and start no other one"))
        self.stop.clicked.connect(self.stop_asked)
        self.clear = self._button("clear", self.tr("Clear finished"))
        self.clear.setToolTip(self.tr("Take renders that have ended off the list; videos stay"))
        self.clear.clicked.connect(self.clear_asked)
        self.when = self._when()
        self._head = Head()
        self._lay_out()
        self.show_head(self._head)

    def show_head(self, head: Head) -> None:
        """Show how the work stands now."""
        self._head = head
        self.counts.say(head.checking or head.counts)
        self.ahead.setText(head.ahead)
        self.ahead.setVisible(bool(head.ahead) and self.width() >= _WITH_TIMES)
        self.hold.setChecked(head.held)
        self.stop.setEnabled(head.running)
        self.clear.setEnabled(head.finished > 0)
        self.group.setEnabled(head.total > 0)
        self.search.setEnabled(head.total > 0)
        self._show_schedule(head)

    def clear_filter(self) -> None:
        """Show all again."""
        self.search.clear()
        self.group.setCurrentIndex(0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Buttons lose their words where there is no room for them."""
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        """Icons follow the theme by themselves; fonts may change widths."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()

    def _fit(self) -> None:
        style = (
            Qt.ToolButtonStyle.ToolButtonTextBesideIcon
            if self.width() >= _WITH_WORDS
            else Qt.ToolButtonStyle.ToolButtonIconOnly
        )
        for button in (self.hold, self.stop, self.clear):
            button.setToolButtonStyle(style)
        self.ahead.setVisible(bool(self._head.ahead) and self.width() >= _WITH_TIMES)

    def _lay_out(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(SPACE, TIGHT, NARROW, TIGHT)
        row.setSpacing(NARROW)
        row.addWidget(self.title)
        row.addSpacing(TIGHT)
        row.addWidget(self.counts, 1)
        row.addWidget(self.ahead)
        row.addSpacing(TIGHT)
        for widget in (self.search, self.group, self.hold, self.stop, self.clear, self.when):
            row.addWidget(widget)

    def _search(self) -> QLineEdit:
        search = QLineEdit()
        search.setPlaceholderText(self.tr("Search"))
        search.setClearButtonEnabled(True)
        search.setFixedWidth(130)
        search.setAccessibleName(self.tr("Search the queue"))
        search.setToolTip(self.tr("Words of names, prompts, files, models and states"))
        search.textChanged.connect(self._say_filter)
        return search

    def _group(self) -> QComboBox:
        group = QComboBox()
        for text in (self.tr("All"), self.tr("To do"), self.tr("Done"), self.tr("Failed")):
            group.addItem(text)
        group.setAccessibleName(self.tr("Show renders"))
        group.setToolTip(self.tr("Which renders are shown"))
        group.currentIndexChanged.connect(self._say_filter)
        return group

    def _button(self, name: str, text: str, checkable: bool = False) -> QToolButton:
        button = QToolButton()
        button.setIcon(icon(name))
        button.setIconSize(icon_size(ICON))
        button.setText(text)
        button.setAccessibleName(text)
        button.setCheckable(checkable)
        return button

    def _when(self) -> QToolButton:
        """A menu of the usual schedules; another one that is set elsewhere is told in words."""
        button = self._button("waiting", self.tr("When to render"))
        button.setToolTip(self.tr("When renders may start"))
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
        self._words = menu.addAction("")
        self._words.setEnabled(False)
        menu.addSeparator()
        group = QActionGroup(menu)
        self.any_time = self._choice(menu, group, self.tr("At any time"))
        from_time, to_time = _NIGHT
        self.at_night = self._choice(
            menu, group, self.tr("At night, {start} to {end}").format(start=from_time, end=to_time)
        )
        self.idle = menu.addAction(self.tr("Only while other programs leave the GPU alone"))
        self.idle.setCheckable(True)
        for action in (self.any_time, self.at_night, self.idle):
            action.triggered.connect(self._say_schedule)
        button.setMenu(menu)
        return button

    def _choice(self, menu: QMenu, group: QActionGroup, text: str) -> QAction:
        action = menu.addAction(text)
        action.setCheckable(True)
        group.addAction(action)
        return action

    def _show_schedule(self, head: Head) -> None:
        schedule = head.schedule
        self.when.setEnabled(schedule is not None)
        self._words.setText(head.schedule_words)
        if schedule is None:
            return
        times = (schedule.from_time, schedule.to_time)
        self.any_time.setChecked(not schedule.from_time and not schedule.days)
        self.at_night.setChecked(times == _NIGHT and not schedule.days)
        self.idle.setChecked(schedule.only_idle_gpu)

    def _say_schedule(self) -> None:
        fields: dict[str, object] = {"only_idle_gpu": self.idle.isChecked()}
        if self.at_night.isChecked():
            fields |= {"from_time": _NIGHT[0], "to_time": _NIGHT[1]}
        self.schedule_asked.emit(fields)

    def _say_filter(self) -> None:
        self.filter_changed.emit(_GROUPS[self.group.currentIndex()], self.search.text())
