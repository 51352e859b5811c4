"""The right column: what the next render uses."""

from __future__ import annotations

import secrets

from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from desktop.presenters.offers import Offers
from desktop.views.style import NARROW, SPACE, role

_DEFAULT_PRESET = "turbo"
_LARGEST_SEED = 2**31 - 1


class InspectorView(QWidget):
    """Preset, length, seed and prompt."""

    def __init__(self, offers: Offers, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.preset = self._preset_box(offers)
        self.length = self._length_box(offers)
        self.seed = QSpinBox(maximum=_LARGEST_SEED)
        self.seed.setAccessibleName(self.tr("Seed"))
        self.seed.setToolTip(self.tr("The same seed and settings give the same video."))
        self.new_seed = QPushButton(self.tr("New"))
        self.new_seed.setToolTip(self.tr("Another random seed"))
        self.new_seed.setAccessibleName(self.tr("Another random seed"))
        self.new_seed.clicked.connect(lambda: self.seed.setValue(secrets.randbelow(_LARGEST_SEED)))
        self.prompt = self._prompt_box()
        self._lay_out()

    def _preset_box(self, offers: Offers) -> QComboBox:
        titles = {
            "draft": self.tr("Draft"),
            "turbo": self.tr("Turbo"),
            "quality": self.tr("Quality"),
            "reference": self.tr("Reference"),
        }
        box = QComboBox()
        for name, steps in offers.presets:
            box.addItem(self.tr("{title} ({steps} steps)").format(title=titles[name], steps=steps), name)
        box.setCurrentIndex(box.findData(_DEFAULT_PRESET))
        box.setAccessibleName(self.tr("Preset"))
        box.setToolTip(self.tr("More steps take longer and look sharper."))
        return box

    def _length_box(self, offers: Offers) -> QComboBox:
        box = QComboBox()
        longest, *shorter = offers.lengths
        seconds = f"{longest / offers.fps:.2f}"
        box.addItem(self.tr("Whole motion, at most {seconds} s").format(seconds=seconds), None)
        for frames in shorter:
            text = self.tr("{frames} frames, {seconds} s")
            box.addItem(text.format(frames=frames, seconds=f"{frames / offers.fps:.2f}"), frames)
        box.setAccessibleName(self.tr("Length"))
        return box

    def _prompt_box(self) -> QPlainTextEdit:
        box = QPlainTextEdit()
        box.setPlaceholderText(
            self.tr("Optional: what the person wears. The embedded model hardly heeds it.")
        )
        box.setAccessibleName(self.tr("Prompt"))
        box.setTabChangesFocus(True)
        box.setMaximumHeight(96)
        return box

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(NARROW)
        self._field(layout, self.tr("&Preset"), self.preset)
        self._field(layout, self.tr("&Length"), self.length)
        row = QHBoxLayout()
        row.addWidget(self.seed, 1)
        row.addWidget(self.new_seed)
        self._field(layout, self.tr("S&eed"), self.seed, row)
        self._field(layout, self.tr("Pr&ompt"), self.prompt)
        layout.addStretch()
        layout.addWidget(self._model_note())

    def _field(self, layout: QVBoxLayout, text: str, box: QWidget, row: QHBoxLayout | None = None) -> None:
        label = role(QLabel(text), "heading")
        label.setBuddy(box)
        layout.addWidget(label)
        if row is None:
            layout.addWidget(box)
        else:
            layout.addLayout(row)
        layout.addSpacing(SPACE)

    def _model_note(self) -> QFrame:
        frame = role(QFrame(), "note")
        inside = QVBoxLayout(frame)
        inside.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        inside.addWidget(role(QLabel(self.tr("Embedded model")), "heading"))
        text = self.tr("Draws characters in the style of the demo, not photos of people. Needs no GPU.")
        inside.addWidget(QLabel(text, wordWrap=True))
        return frame
