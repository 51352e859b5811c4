"""The one window: library, stage with timeline, inspector, queue, status bar; and what lies over them."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QGuiApplication, QHideEvent, QShowEvent
from PySide6.QtWidgets import QDockWidget, QMainWindow, QSplitter, QVBoxLayout, QWidget

from desktop.presenters.parts import Parts
from desktop.presenters.queue_head import Overall
from desktop.views import theme
from desktop.views.drop_veil import DropVeil
from desktop.views.inspector.inspector_view import InspectorView
from desktop.views.library.library_view import LibraryView
from desktop.views.menus import Menus
from desktop.views.message_bar import MessageBar
from desktop.views.queue.queue_view import QueueView
from desktop.views.stage.stage_view import StageView
from desktop.views.status_bar import StatusBar
from desktop.views.timeline.timeline_view import TimelineView

_SMALLEST: Final = QSize(1000, 640)
_USUAL: Final = QSize(1400, 900)
_COLUMNS: Final = (240, 820, 340)
_MIDDLE: Final = (520, 220)
_QUEUE_HEIGHT: Final = 190
_PASSING_S: Final = 10.0


class Window(QMainWindow):
    """Builds and places the views; what commands do is in ``WindowCommands``.

    Signals:
        closed: gone from the screen; what stands behind it is to be closed next.
    """

    closed = Signal()

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts = parts
        self._project, self._edited = "", False
        self._gone = self._laid_out = False
        self.setMinimumSize(_SMALLEST)
        self.menus = Menus(self, parts.document.undo_stack)
        self.messages = MessageBar(passing_s=_PASSING_S)
        self.library = LibraryView(parts.library, parts.thumbnails, parts.intake)
        self.stage = StageView(parts.stage, parts.playback)
        self.timeline = TimelineView(parts.timeline, parts.playback)
        self.inspector = InspectorView(parts.inspector, parts.settings)
        self.queue = QueueView(parts.queue, parts.thumbnails)
        self.status = StatusBar(parts.machine, parts.downloads)
        self._middle = QSplitter(Qt.Orientation.Vertical)
        self._columns = QSplitter(Qt.Orientation.Horizontal)
        self.dock = QDockWidget(self.tr("Queue"), self)
        self._lay_out()
        self.veil = DropVeil(self, parts.intake)
        self._restore()
        self.timeline.setFocus()
        parts.queue.progress_changed.connect(self._show_title)

    def sizeHint(self) -> QSize:
        """As large as reads well, within the screen."""
        screen = QGuiApplication.primaryScreen()
        return _USUAL if screen is None else _USUAL.boundedTo(screen.availableSize())

    def set_project(self, name: str, edited: bool) -> None:
        """What the title names."""
        self._project, self._edited = name, edited
        self._show_title()

    def remember(self) -> None:
        """Keep the layout for the next start."""
        settings = self._parts.settings
        settings.set_bytes("geometry", self.saveGeometry())
        settings.set_bytes("layout", self.saveState())
        settings.set_bytes("columns", self._columns.saveState())
        settings.set_bytes("middle", self._middle.saveState())
        for name, side in self._sides():
            settings.set_flag(f"{name}_hidden", side.isHidden())

    def closeEvent(self, event: QCloseEvent) -> None:
        """Gone from the screen at once; the engine may take a few seconds to stop."""
        super().closeEvent(event)
        if self._gone:
            return
        self._gone = True
        self.stage.close_full_screen()
        self.veil.detach()
        self.remember()
        self.hide()
        self.closed.emit()

    def changeEvent(self, event: QEvent) -> None:
        """Minimised and back; another program was in front, where files may have come or gone."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.WindowStateChange:
            self._tell_seen()
        elif event.type() == QEvent.Type.ActivationChange and self.isActiveWindow():
            self._parts.library.look_again()

    def showEvent(self, event: QShowEvent) -> None:
        """Back on the screen."""
        super().showEvent(event)
        if not self._laid_out:
            self._laid_out = True
            self.resizeDocks([self.dock], [_QUEUE_HEIGHT], Qt.Orientation.Vertical)
        self._tell_seen()

    def hideEvent(self, event: QHideEvent) -> None:
        """In the tray, or about to close."""
        super().hideEvent(event)
        self._tell_seen()

    def _tell_seen(self) -> None:
        """Nobody needs pictures, previews or meters that nobody sees."""
        seen = self.isVisible() and not self.isMinimized()
        self._parts.queue.set_previews(seen)
        self._parts.stage.set_visible(seen)
        self._parts.machine.set_visible(seen)

    def _show_title(self, overall: Overall | None = None) -> None:
        overall = overall or self._parts.queue.overall
        name = f"{self._project}[*] — Pirouette"
        if overall.fraction is not None:
            name = f"{round(100 * overall.fraction)} % — {name}"
        self.setWindowTitle(name)
        self.setWindowModified(self._edited)

    def _lay_out(self) -> None:
        for side in (self.library, self.inspector, self.stage, self.timeline):
            theme.role(side, "panel")
            side.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._middle.addWidget(self.stage)
        self._middle.addWidget(self.timeline)
        self._middle.setStretchFactor(0, 1)
        self._middle.setSizes(list(_MIDDLE))
        for column in (self.library, self._middle, self.inspector):
            self._columns.addWidget(column)
        self._columns.setStretchFactor(1, 1)
        self._columns.setSizes(list(_COLUMNS))
        for splitter in (self._middle, self._columns):
            splitter.setChildrenCollapsible(False)
            splitter.setHandleWidth(1)
        centre = QWidget()
        rows = QVBoxLayout(centre)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        rows.addWidget(self.messages)
        rows.addWidget(self._columns, 1)
        self.setCentralWidget(centre)
        self._lay_out_dock()
        self.setStatusBar(self.status)

    def _lay_out_dock(self) -> None:
        self.dock.setObjectName("queue")
        self.dock.setWidget(self.queue)
        self.dock.setTitleBarWidget(QWidget())
        self.dock.setFeatures(QDockWidget.DockWidgetFeature.NoDockWidgetFeatures)
        self.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self.dock)

    def _restore(self) -> None:
        settings = self._parts.settings
        if not self.restoreGeometry(settings.bytes("geometry")):
            self.resize(self.sizeHint())
        self._laid_out = self.restoreState(settings.bytes("layout"))
        self._columns.restoreState(settings.bytes("columns"))
        self._middle.restoreState(settings.bytes("middle"))
        for name, side in self._sides():
            side.setHidden(settings.flag(f"{name}_hidden"))

    def _sides(self) -> tuple[tuple[str, QWidget], ...]:
        return ("library", self.library), ("inspector", self.inspector), ("queue", self.dock)
