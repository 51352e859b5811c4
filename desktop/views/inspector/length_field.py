"""How long the result is: the whole selection, or a number of frames."""

from __future__ import annotations

from PySide6.QtWidgets import QPushButton

from core.types import FPS
from desktop.presenters.inspector import Inspector
from desktop.views.inspector.controls import Combo, Spin
from desktop.views.inspector.fields import Field
from desktop.views.theme import role

_STEP = 4
_MOST = 9999
_WHOLE, _EXACT = 0, 1


class LengthField(Field):
    """A choice, a number of frames that counts in fours, and what a longer selection comes to."""

    def __init__(self, inspector: Inspector) -> None:
        self.mode, self.frames = Combo(), Spin(1, _MOST, _STEP)
        super().__init__(inspector, "frames", self.mode, (self.frames,))
        self.mode.addItems([self.tr("Whole selection"), self.tr("Exact length")])
        self.mode.setToolTip(self.tr("How much of the selected motion is rendered"))
        self.frames.setAccessibleName(self.tr("Length in frames"))
        self.frames.setToolTip(self.tr("Frames at 16 a second: one more than a multiple of four"))
        self.frames.setSuffix(self.tr(" frames"))
        self.cut = role(QPushButton(self.tr("Trim")), "link")
        self.cut.setToolTip(self.tr("End the selection where the model's longest clip ends"))
        self.cut.setVisible(False)
        self.column.insertWidget(self.column.indexOf(self.problem), self.cut)
        self.mode.activated.connect(self._on_mode)
        self.frames.valueChanged.connect(lambda frames: inspector.put("frames", frames))
        self.cut.clicked.connect(inspector.trim_to_model)

    def refresh(self) -> None:
        """The draft's length, and what becomes of it."""
        super().refresh()
        asked, length = self.inspector.draft.frames, self.inspector.length()
        self.mode.setCurrentIndex(_WHOLE if asked is None else _EXACT)
        self.frames.setVisible(asked is not None)
        shown = asked if asked is not None else length.frames if length is not None else self.frames.value()
        if shown != self.frames.value():
            before = self.frames.blockSignals(True)
            self.frames.setValue(shown)
            self.frames.blockSignals(before)
        self.set_hint(self._words())
        cut = length is not None and length.cut and asked is None
        if cut and length is not None:
            self.cut.setText(self.tr("Trim to {frames} frames").format(frames=length.longest))
        self.cut.setVisible(cut)

    def _words(self) -> str:
        length = self.inspector.length()
        if length is None:
            return self.tr("Known once a motion is chosen.")
        if self.inspector.draft.frames is None and length.cut:
            words = self.tr("The selection has {there}. The model renders {longest} at most: it will be cut.")
            return words.format(there=self._span(length.available), longest=self._span(length.longest))
        asked = self.inspector.draft.frames
        if asked is not None and length.available < asked:
            words = self.tr("{frames}: the selection has no more.")
            return words.format(frames=self._span(length.frames))
        return self._span(length.frames)

    def _span(self, frames: int) -> str:
        return self.tr("{frames} frames, {time_s} s").format(frames=frames, time_s=f"{frames / FPS:.2f}")

    def _on_mode(self, mode: int) -> None:
        length = self.inspector.length()
        if mode == _WHOLE:
            self.inspector.put("frames", None)
        elif self.inspector.draft.frames is None:
            self.inspector.put("frames", length.frames if length is not None and length.frames else 33)
