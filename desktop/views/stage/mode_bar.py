"""Above the stage: which mode, and what belongs to it: results to compare, how strongly the picture shows."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSlider,
    QToolButton,
    QWidget,
)

from desktop.presenters.stage import Stage
from desktop.presenters.stage_layers import MODES, StageMode
from desktop.views.icons import icon
from desktop.views.theme import CONTROL, ICON, NARROW, TIGHT, role

ICONS: Final[dict[StageMode, str]] = {
    "reference": "image",
    "driving": "film",
    "skeleton": "skeleton",
    "result": "result",
    "side_by_side": "side-by-side",
    "wipe": "wipe",
}
_NARROWEST: Final = 360
# Width of a list of results: at least, at most.
_CHOOSER: Final = (84, 210)


class ModeBar(QWidget):
    """Six buttons, their words where there is room, and the mode's own controls.

    Signals:
        mode_asked: a ``StageMode``.
    """

    mode_asked = Signal(str)

    def __init__(self, stage: Stage, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stage = stage
        self.buttons: dict[StageMode, QToolButton] = {}
        self._group = QButtonGroup(self)
        self.first, self.second = QComboBox(), QComboBox()
        self._letters = [role(QLabel(text), "quiet") for text in ("A", "B")]
        self._row = QHBoxLayout(self)
        self._dim = role(QLabel(self.tr("Picture")), "quiet")
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self._build_buttons()
        self._build_controls()
        self._lay_out()
        stage.mode_changed.connect(self._show)
        stage.choices_changed.connect(self._show)
        self._show()

    def _build_buttons(self) -> None:
        words = self._stage.words
        for number, mode in enumerate(MODES, 1):
            button = QToolButton()
            button.setText(words.name(mode))
            button.setIcon(icon(ICONS[mode]))
            button.setCheckable(True)
            button.setIconSize(QSize(ICON, ICON))
            button.setAccessibleName(words.name(mode))
            button.clicked.connect(lambda _on=False, mode=mode: self.mode_asked.emit(mode))
            button.setProperty("number", number)
            self._group.addButton(button, number)
            self.buttons[mode] = button

    def _build_controls(self) -> None:
        self.first.setAccessibleName(self.tr("Result that is shown, A"))
        self.second.setAccessibleName(self.tr("Result to compare with, B"))
        for box in (self.first, self.second):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
            box.setMinimumWidth(_CHOOSER[0])
            box.setMaximumWidth(_CHOOSER[1])
        self.first.activated.connect(self._on_first)
        self.second.activated.connect(lambda _index: self._stage.set_compare(self.second.currentData()))
        self.opacity.setRange(0, 100)
        self.opacity.setValue(round(100 * self._stage.picture_opacity))
        self.opacity.setFixedWidth(96)
        self.opacity.setAccessibleName(self.tr("How strongly the picture shows under the skeleton"))
        self.opacity.setToolTip(self.opacity.accessibleName())
        self.opacity.valueChanged.connect(lambda value: self._stage.set_picture_opacity(value / 100))

    def _lay_out(self) -> None:
        row = self._row
        row.setContentsMargins(NARROW, TIGHT, NARROW, TIGHT)
        row.setSpacing(TIGHT)
        self.setFixedHeight(CONTROL + 2 * TIGHT + 2)
        for button in self.buttons.values():
            row.addWidget(button)
        row.addStretch(1)
        for widget in (self._letters[0], self.first, self._letters[1], self.second, self._dim, self.opacity):
            row.addWidget(widget)

    def _on_first(self, index: int) -> None:
        path = self.first.itemData(index)
        if path is None:
            self._stage.show_live()
        else:
            self._stage.set_result(path)

    def _show(self, *_: object) -> None:
        """Buttons and controls follow the presenter."""
        stage, reasons = self._stage, self._stage.reasons()
        for mode, button in self.buttons.items():
            button.setChecked(mode == stage.mode)
            button.setEnabled(not reasons[mode])
            told = reasons[mode] or stage.words.purpose(mode)
            tip = f"{stage.words.name(mode)} ({button.property('number')})\n{told}"
            button.setToolTip(tip)
            button.setAccessibleDescription(told)
        wiping, live = stage.mode == "wipe", bool(stage.preview_job)
        choices = len(stage.results) + live
        several = stage.mode in ("result", "side_by_side") and choices > 1
        self._fill(self.first, live and not wiping, stage.live and not wiping, stage.shown)
        self._fill(self.second, False, False, stage.compared)
        self.first.setVisible(wiping or several)
        self._letters[0].setVisible(wiping)
        self._letters[1].setVisible(wiping)
        self.second.setVisible(wiping)
        drawn = stage.mode in ("skeleton", "side_by_side")
        self._dim.setVisible(drawn)
        self.opacity.setVisible(drawn)
        self._fit_words()

    def _fill(self, box: QComboBox, with_live: bool, live: bool, chosen: object) -> None:
        """List the results, newest first; untouched where nothing changed, so that an open list stays."""
        stage = self._stage
        wanted = [(self.tr("Live preview"), None)] if with_live else []
        metrics, room = box.fontMetrics(), _CHOOSER[1] - 40
        middle = Qt.TextElideMode.ElideMiddle
        names = ((metrics.elidedText(item.name, middle, room), item.path) for item in stage.results)
        entries = [*wanted, *names]
        with QSignalBlocker(box):
            if entries != [(box.itemText(index), box.itemData(index)) for index in range(box.count())]:
                box.clear()
                for name, path in entries:
                    box.addItem(name, path)
                    tip = name if path is not None else self.tr("What is being rendered now")
                    box.setItemData(box.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
            path = None if live else getattr(chosen, "path", None)
            box.setCurrentIndex(next((at for at, entry in enumerate(entries) if entry[1] == path), -1))
            box.setToolTip(box.currentText())

    def minimumSizeHint(self) -> QSize:
        """Words and choosers come and go with the room; they must not push the window wider."""
        return QSize(_NARROWEST, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Words where there is room."""
        super().resizeEvent(event)
        self._fit_words()

    def _fit_words(self) -> None:
        """All words, or only that of the mode that is on, or none."""
        beside, alone = Qt.ToolButtonStyle.ToolButtonTextBesideIcon, Qt.ToolButtonStyle.ToolButtonIconOnly
        for style, own in ((beside, beside), (alone, beside), (alone, alone)):
            for button in self.buttons.values():
                button.setToolButtonStyle(own if button.isChecked() else style)
            self._row.invalidate()
            if self._row.minimumSize().width() <= self.width():
                break
