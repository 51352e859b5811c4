"""Numbers beside the handles: how far the skeleton was moved, scaled and turned, and the lengths of limbs."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtGui import QKeyEvent, QWheelEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from desktop.model.fitted import GROUPS, ByHand
from desktop.presenters.pose_check import PoseCheck
from desktop.views.icons import icon
from desktop.views.theme import NARROW, TIGHT, role

_SHIFT_PERCENT: Final = 200.0
_SCALE_PERCENT: Final = (10.0, 1000.0)
_HALF_TURN: Final = 180.0
_PERCENT: Final = 100.0
_NARROWEST: Final = 84


class Number(QDoubleSpinBox):
    """One decimal; the wheel scrolls the panel unless the field has the focus."""

    def __init__(self, lowest: float, highest: float, step: float, suffix: str) -> None:
        super().__init__(minimum=lowest, maximum=highest, singleStep=step, suffix=suffix, decimals=1)
        self.setKeyboardTracking(False)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(_NARROWEST)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter finishes the number, not the dialog."""
        super().keyPressEvent(event)
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            event.accept()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scrolling past a field must not change it."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class AdjustPanel(QWidget):
    """Shows and takes what is done by hand."""

    def __init__(self, check: PoseCheck, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._check = check
        self.right = Number(-_SHIFT_PERCENT, _SHIFT_PERCENT, 0.5, " %")
        self.down = Number(-_SHIFT_PERCENT, _SHIFT_PERCENT, 0.5, " %")
        self.size_percent = Number(*_SCALE_PERCENT, 1.0, " %")
        self.turn = Number(-_HALF_TURN, _HALF_TURN, 1.0, "°")
        self.lengths = {group: Number(*_SCALE_PERCENT, 1.0, " %") for group in GROUPS}
        self.mirror = QCheckBox(self.tr("&Mirror the motion"))
        self.mirror.setToolTip(self.tr("Exchange left and right (Alt+M)"))
        self.reset = role(QPushButton(icon("retry"), self.tr("&Reset")), "flat")
        self.reset.setToolTip(self.tr("Take back everything that was moved by hand (Alt+R)"))
        self.fold = QToolButton()
        self._limbs = QWidget()
        self._build()
        self._connect()
        self.refresh()

    def refresh(self) -> None:
        """Show the present values."""
        check, hand = self._check, self._check.hand
        self.setEnabled(check.fitted is not None)
        _set(self.right, hand.x * _PERCENT)
        _set(self.down, hand.y * _PERCENT)
        _set(self.size_percent, hand.scale * _PERCENT)
        _set(self.turn, hand.degrees)
        for group, field in self.lengths.items():
            _set(field, hand.lengths.get(group, 1.0) * _PERCENT)
        with QSignalBlocker(self.mirror):
            self.mirror.setChecked(check.mirrored)
        self.reset.setEnabled(hand != ByHand())

    def _build(self) -> None:
        top = QHBoxLayout()
        top.addWidget(role(QLabel(self.tr("Move by hand")), "heading"))
        top.addStretch()
        top.addWidget(self.reset)
        grid = QGridLayout()
        grid.setHorizontalSpacing(NARROW)
        grid.setVerticalSpacing(TIGHT)
        height = self.tr("In percent of the picture's height")
        self._add(grid, 0, 0, self.tr("Ri&ght"), self.right, height)
        self._add(grid, 0, 2, self.tr("&Down"), self.down, height)
        self._add(grid, 1, 0, self.tr("&Size"), self.size_percent, self.tr("Of the whole skeleton"))
        self._add(grid, 1, 2, self.tr("&Turn"), self.turn, self.tr("Clockwise, in degrees"))
        limbs = QGridLayout(self._limbs)
        limbs.setContentsMargins(0, 0, 0, 0)
        limbs.setHorizontalSpacing(NARROW)
        limbs.setVerticalSpacing(TIGHT)
        names = {
            "head": self.tr("Head"),
            "shoulders": self.tr("Shoulders"),
            "torso": self.tr("Trunk"),
            "arms": self.tr("Arms"),
            "legs": self.tr("Legs"),
        }
        for number, group in enumerate(GROUPS):
            tip = self.tr("Length in percent of what was fitted")
            self._add(limbs, number // 2, 2 * (number % 2), names[group], self.lengths[group], tip)
        for each in (grid, limbs):
            each.setColumnStretch(1, 1)
            each.setColumnStretch(3, 1)
        self.fold.setText(self.tr("&Proportions"))
        self.fold.setCheckable(True)
        self.fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.fold.setToolTip(self.tr("Lengthen or shorten head, shoulders, trunk, arms and legs (Alt+P)"))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NARROW)
        column.addLayout(top)
        column.addLayout(grid)
        column.addWidget(self.mirror)
        column.addWidget(self.fold)
        column.addWidget(self._limbs)
        self._unfold(bool(self._check.hand.lengths))

    def _add(self, grid: QGridLayout, row: int, column: int, title: str, field: Number, tip: str) -> None:
        label = role(QLabel(title), "quiet")
        label.setBuddy(field)
        field.setToolTip(tip)
        field.setAccessibleName(title.replace("&", ""))
        grid.addWidget(label, row, column)
        grid.addWidget(field, row, column + 1)

    def _connect(self) -> None:
        check = self._check
        self.right.valueChanged.connect(lambda value: self._set(x=value / _PERCENT))
        self.down.valueChanged.connect(lambda value: self._set(y=value / _PERCENT))
        self.turn.valueChanged.connect(lambda value: self._set(degrees=value))
        self.size_percent.valueChanged.connect(
            lambda value: check.scale_by(value / _PERCENT / check.hand.scale)
        )
        for group, field in self.lengths.items():
            field.valueChanged.connect(
                lambda value, group=group: check.set_hand(check.hand.lengthened(group, value / _PERCENT))
            )
        self.mirror.toggled.connect(check.set_mirrored)
        self.reset.clicked.connect(check.reset)
        self.fold.toggled.connect(self._unfold)
        check.moved.connect(self.refresh)
        check.changed.connect(self.refresh)

    def _set(self, **values: float) -> None:
        self._check.set_hand(replace(self._check.hand, **values))  # type: ignore[arg-type]

    def _unfold(self, on: bool) -> None:
        with QSignalBlocker(self.fold):
            self.fold.setChecked(on)
        self.fold.setIcon(icon("chevron-down" if on else "chevron-right"))
        self._limbs.setVisible(on)


def _set(field: Number, value: float) -> None:
    """Without telling that the user did it."""
    with QSignalBlocker(field):
        field.setValue(value)
