"""The right region: the settings of the next render, what they cost, and the button that starts it."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from desktop.presenters.inspector import Inspector
from desktop.presenters.window_settings import WindowSettings
from desktop.views.inspector.advanced import Advanced
from desktop.views.inspector.estimate_card import CautionCard, EstimateCard
from desktop.views.inspector.fields import say, wrapped
from desktop.views.inspector.main_fields import MainFields
from desktop.views.inspector.snug import Scroll, Snug
from desktop.views.theme import NARROW, SPACE, role

_NARROWEST: Final = 280
_USUAL: Final = 330
# Of the height, for estimate and cautions; the settings keep the rest.
_FOOT_SHARE: Final = 0.42
_ADVANCED, _REASONS = "inspector/advanced", "inspector/reasons"


class InspectorView(QWidget):
    """All of it.

    Args:
        settings: remembers which folds are open.

    Signals:
        render_asked, update_asked, leave_asked: what the buttons at the foot are for.
        models_asked: id of the model that shall be fetched.
        pose_check_asked: somebody wants to see how the pose sits on the reference.
    """

    render_asked = Signal()
    update_asked = Signal()
    leave_asked = Signal()
    models_asked = Signal(str)
    pose_check_asked = Signal()

    def __init__(
        self, inspector: Inspector, settings: WindowSettings | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.inspector, self._settings = inspector, settings
        self.fields, self.advanced = MainFields(inspector), Advanced(inspector)
        self.caution, self.estimate = CautionCard(inspector), EstimateCard(inspector)
        self.render_button = role(QPushButton(self.tr("Render")), "primary")
        self.update_button = role(QPushButton(self.tr("Update")), "primary")
        self.leave_button = QPushButton(self.tr("Leave"))
        self.editing, self.blocked = wrapped("heading"), wrapped("small")
        self._set_up_buttons()
        self._lay_out()
        self._open_folds()
        inspector.shown.connect(self.refresh)
        inspector.estimate_changed.connect(self._on_estimate)
        inspector.editing_changed.connect(self._show_editing)
        inspector.models_wanted.connect(self.models_asked)
        self.fields.pose_check_asked.connect(self.pose_check_asked)
        self.refresh()
        self._show_editing(inspector.editing)

    def sizeHint(self) -> QSize:
        """A column."""
        return QSize(_USUAL, 640)

    def minimumSizeHint(self) -> QSize:
        """The narrowest that reads well."""
        return QSize(_NARROWEST, 320)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The foot keeps to its share."""
        super().resizeEvent(event)
        self._foot_area.setMaximumHeight(round(self.height() * _FOOT_SHARE))

    def refresh(self) -> None:
        """Show the draft."""
        self.fields.refresh()
        self.advanced.refresh()
        self._on_estimate()

    def _on_estimate(self, _: object = None) -> None:
        self.estimate.show_estimate()
        self.caution.show_estimate()
        self.fields.show_problems()
        self.advanced.show_problems()
        reason = self.inspector.blocked()
        say(self.blocked, reason)
        for button in (self.render_button, self.update_button):
            button.setEnabled(not reason)
            button.setAccessibleDescription(reason)

    def _show_editing(self, name: str | None) -> None:
        editing = name is not None
        say(self.editing, self.tr("Editing ‘{name}’").format(name=name) if editing else "")
        self.render_button.setVisible(not editing)
        self.update_button.setVisible(editing)
        self.leave_button.setVisible(editing)

    def _set_up_buttons(self) -> None:
        self.render_button.setToolTip(self.tr("Put this render into the queue (Ctrl+Return)"))
        self.update_button.setToolTip(self.tr("Give the queued render these settings (Ctrl+Return)"))
        self.leave_button.setToolTip(self.tr("Leave the queued render as it was"))
        for button in (self.render_button, self.update_button):
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.render_button.clicked.connect(self.render_asked)
        self.update_button.clicked.connect(self.update_asked)
        self.leave_button.clicked.connect(self.leave_asked)

    def _open_folds(self) -> None:
        if self._settings is not None:
            self.advanced.set_open(self._settings.flag(_ADVANCED))
            self.estimate.set_open(self._settings.flag(_REASONS))
        self.advanced.toggled.connect(lambda on: self._remember(_ADVANCED, on))
        self.estimate.reasons_toggled.connect(lambda on: self._remember(_REASONS, on))

    def _remember(self, name: str, on: bool) -> None:
        if self._settings is not None:
            self._settings.set_flag(name, on)

    def _lay_out(self) -> None:
        role(self, "panel")
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 0, SPACE)
        column.setSpacing(0)
        column.addWidget(self.fields)
        column.addWidget(self.advanced)
        column.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        self.scroll_area = Scroll(inside)
        outer.addWidget(self.scroll_area, 1)
        outer.addWidget(role(QFrame(), "separator"))
        outer.addWidget(self._cards())
        outer.addLayout(self._buttons())

    def _cards(self) -> Snug:
        cards = QWidget()
        column = QVBoxLayout(cards)
        column.setContentsMargins(SPACE, SPACE, SPACE, 0)
        column.setSpacing(NARROW)
        column.addWidget(self.caution)
        column.addWidget(self.estimate)
        self._foot_area = Snug(cards)
        return self._foot_area

    def _buttons(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setContentsMargins(SPACE, NARROW, SPACE, SPACE)
        column.setSpacing(NARROW)
        column.addWidget(self.editing)
        row = QHBoxLayout()
        row.setSpacing(NARROW)
        row.addWidget(self.leave_button)
        row.addWidget(self.update_button, 1)
        row.addWidget(self.render_button, 1)
        column.addLayout(row)
        column.addWidget(self.blocked)
        return column
