"""The stage as a whole: mode bar, canvas and transport, in the window or in full screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from desktop.presenters.stage import Stage
from desktop.presenters.stage_layers import MODES, StageMode
from desktop.views.icons import icon
from desktop.views.stage.canvas import Canvas
from desktop.views.stage.full_screen import FullScreen
from desktop.views.stage.invite import Invite
from desktop.views.stage.mode_bar import ICONS, ModeBar
from desktop.views.stage.transport import Transport
from desktop.views.theme import SPACE, WIDE, role

if TYPE_CHECKING:
    from desktop.presenters.playback import Playback

_UNDER_CAPTION: Final = 36


class StageView(QWidget):
    """Connects the presenter with what is seen of it.

    Signals:
        picture_asked, motion_asked: an empty stage's buttons; a file is to be chosen.

    Attributes:
        mode_actions: one for each mode, keys 1 to 6, for menus.
        full_screen_action, fit_action: for menus.
    """

    picture_asked = Signal()
    motion_asked = Signal()

    def __init__(self, stage: Stage, playback: Playback, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stage, self._playback = stage, playback
        self._full: FullScreen | None = None
        self._shared: list[QAction] = []
        self.canvas = Canvas(stage)
        self.mode_bar = role(ModeBar(stage), "panel")
        self.transport = Transport(stage, playback)
        self.invite = Invite(self.canvas)
        self.arrived = role(QPushButton(parent=self.canvas), "primary")
        self.mode_actions = {mode: self._mode_action(number, mode) for number, mode in enumerate(MODES, 1)}
        self.full_screen_action = QAction(icon("full-screen"), self.tr("Stage on &full screen"), self)
        self.full_screen_action.setShortcuts([QKeySequence("F"), QKeySequence("F11")])
        self.fit_action = QAction(icon("zoom-fit"), self.tr("Show all of the picture"), self)
        self._rows = QVBoxLayout(self)
        self._lay_out()
        self._connect()
        self._show()

    @property
    def full_screen(self) -> bool:
        """Is the stage in a window of its own?"""
        return self._full is not None

    def share_actions(self, actions: Sequence[QAction]) -> None:
        """Have actions of the main window, such as the timeline's keys, in full screen as well."""
        self._shared = list(actions)

    def toggle_full_screen(self) -> None:
        """Enter or leave."""
        if self._full is None:
            self._enter()
        else:
            self._leave()

    def close_full_screen(self) -> None:
        """Leave it if it is on; before the window closes."""
        if self._full is not None:
            self._leave()

    def _lay_out(self) -> None:
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(0)
        self._rows.addWidget(self.mode_bar)
        self._rows.addWidget(self.canvas, 1)
        self._rows.addWidget(self.transport)
        self.arrived.hide()
        self.canvas.installEventFilter(self)

    def _connect(self) -> None:
        self.mode_bar.mode_asked.connect(self._stage.set_mode)
        self.canvas.play_asked.connect(self._playback.toggle)
        self.canvas.zoom_changed.connect(self.transport.show_zoom)
        self.transport.fit_asked.connect(self.canvas.fit)
        self.transport.full_screen_asked.connect(self.toggle_full_screen)
        self.full_screen_action.triggered.connect(self.toggle_full_screen)
        self.fit_action.triggered.connect(self.canvas.fit)
        self.invite.picture_asked.connect(self.picture_asked)
        self.invite.motion_asked.connect(self.motion_asked)
        self.arrived.clicked.connect(self._on_arrived)
        self._stage.choices_changed.connect(self._show)
        self._stage.mode_changed.connect(self._show)
        self.addActions([*self.mode_actions.values(), self.full_screen_action, self.fit_action])

    def _mode_action(self, number: int, mode: StageMode) -> QAction:
        action = QAction(icon(ICONS[mode]), self._stage.words.name(mode), self, checkable=True)
        action.setShortcut(QKeySequence(str(number)))
        action.triggered.connect(lambda: self._on_mode(mode))
        return action

    def _on_mode(self, mode: StageMode) -> None:
        """Its action is never disabled: where the mode cannot be had, the canvas says why."""
        self._stage.set_mode(mode)
        self._show()

    def _on_arrived(self) -> None:
        item = self._stage.waiting
        if item is not None:
            self._stage.look_at(item.path)

    def _show(self, *_: object) -> None:
        stage = self._stage
        for mode, action in self.mode_actions.items():
            action.setChecked(mode == stage.mode)
        no_picture, no_motion = stage.missing
        asking = stage.empty or stage.mode in ("reference", "driving", "skeleton")
        self.invite.show_for(no_picture and asking, no_motion and asking, stage.empty)
        waiting = stage.waiting
        self.arrived.setVisible(waiting is not None)
        if waiting is not None:
            self.arrived.setText(self.tr("Result is ready: play it"))
            self.arrived.setToolTip(waiting.name)
        self._place()

    def _place(self) -> None:
        """Lay what floats over the canvas in its place."""
        canvas, invite = self.canvas, self.invite
        if self._stage.empty:
            invite.resize(min(canvas.width() - 2 * SPACE, 480), invite.sizeHint().height() + WIDE)
            invite.move((canvas.width() - invite.width()) // 2, (canvas.height() - invite.height()) // 2)
        else:
            hint = invite.sizeHint()
            invite.resize(min(canvas.width() - 2 * SPACE, hint.width()), hint.height())
            left, top = (canvas.width() - invite.width()) // 2, canvas.height() - invite.height()
            invite.move(left, top - SPACE // 2)
        at_foot = not invite.isHidden() and not self._stage.empty
        canvas.keep_free(float(invite.height()) if at_foot else 0.0)
        self.arrived.adjustSize()
        self.arrived.move(canvas.width() - self.arrived.width() - SPACE, _UNDER_CAPTION)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """What floats follows the canvas's size."""
        if watched is self.canvas and event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def _enter(self) -> None:
        self._full = FullScreen(self.canvas, self.transport, self._playback, self)
        self._full.addActions([*self.mode_actions.values(), self.full_screen_action, *self._shared])
        self._full.left.connect(self._leave, Qt.ConnectionType.QueuedConnection)
        self._full.showFullScreen()
        self._full.activateWindow()
        self._stage.full_screen = True
        self.transport.show_full_screen(True)
        self.canvas.setFocus()

    def _leave(self) -> None:
        full, self._full = self._full, None
        if full is None:
            return
        full.give_back()
        self._rows.insertWidget(1, self.canvas, 1)
        self._rows.insertWidget(2, self.transport)
        self._stage.full_screen = False
        self.transport.show_full_screen(False)
        full.hide()
        full.deleteLater()
        if self.window().isVisible():
            self.window().activateWindow()  # keys go on where they went, also without a window manager
        self.canvas.show()
        self.canvas.setFocus()
