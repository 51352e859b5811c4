"""The middle: the chosen picture and motion side by side, and afterwards the result, in a loop."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from desktop.views.filmstrip import Filmstrip
from desktop.views.style import NARROW, SPACE, role

_INPUTS, _RESULT = 0, 1


class StageView(QWidget):
    """Two pages: what goes in, and what came out."""

    def __init__(self, fps: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._fps = fps
        self.reference, self.motion, self.result = (Filmstrip(fps) for _ in range(3))
        self.reference.set_empty_text(self.tr("Choose a picture on the left, or drop one anywhere."))
        self.motion.set_empty_text(self.tr("Choose a motion on the left, or drop one anywhere."))
        self.reference.setAccessibleName(self.tr("Reference picture"))
        self.motion.setAccessibleName(self.tr("Motion preview"))
        self.result.setAccessibleName(self.tr("Result"))
        self._pages = QStackedWidget()
        self._pages.addWidget(self._inputs_page())
        self._pages.addWidget(self._result_page())
        self._tabs = QButtonGroup(self)
        self._caption = QLabel()
        self._count = 0
        self.result.frame_changed.connect(self._on_frame)
        self._lay_out()
        self.show_inputs()

    def show_inputs(self) -> None:
        """The page with picture and motion."""
        self._turn_to(_INPUTS)

    def show_result(self, images: Sequence[QImage]) -> None:
        """Play a result; its page comes to the front."""
        self._count = len(images)
        self._tabs.button(_RESULT).setEnabled(True)
        self.result.set_images(images)
        self._turn_to(_RESULT)

    def toggle_playing(self) -> None:
        """Play or hold what is in front."""
        for strip in self._in_front():
            strip.set_playing(not strip.playing)

    def step(self, count: int) -> None:
        """One picture on or back in what is in front."""
        for strip in self._in_front():
            strip.step(count)

    def _in_front(self) -> list[Filmstrip]:
        return [self.result] if self._pages.currentIndex() == _RESULT else [self.motion]

    def _turn_to(self, page: int) -> None:
        self._pages.setCurrentIndex(page)
        self._tabs.button(page).setChecked(True)
        self._on_frame(self.result.index)

    def _on_frame(self, index: int) -> None:
        if self._pages.currentIndex() != _RESULT or not self._count:
            self._caption.clear()
            return
        seconds = self._count / self._fps
        text = self.tr("Frame {now} of {count}, {seconds} s")
        self._caption.setText(text.format(now=index + 1, count=self._count, seconds=f"{seconds:.2f}"))

    def _lay_out(self) -> None:
        bar = QHBoxLayout()
        for page, text in ((_INPUTS, self.tr("Inputs")), (_RESULT, self.tr("Result"))):
            button = role(QPushButton(text), "tab")
            button.setCheckable(True)
            button.setEnabled(page == _INPUTS)
            self._tabs.addButton(button, page)
            bar.addWidget(button)
        self._tabs.idClicked.connect(self._turn_to)
        bar.addStretch()
        bar.addWidget(role(self._caption, "quiet"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(NARROW)
        layout.addLayout(bar)
        layout.addWidget(self._pages, 1)

    def _inputs_page(self) -> QWidget:
        page = role(QFrame(), "stage")
        grid = QGridLayout(page)
        grid.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        grid.setSpacing(SPACE)
        for column, (text, strip) in enumerate(
            ((self.tr("Reference"), self.reference), (self.tr("Motion"), self.motion))
        ):
            label = QLabel(text, alignment=Qt.AlignmentFlag.AlignCenter)
            grid.addWidget(role(label, "caption"), 0, column)
            grid.addWidget(strip, 1, column)
            grid.setColumnStretch(column, 1)
        grid.setRowStretch(1, 1)
        return page

    def _result_page(self) -> QWidget:
        page = role(QFrame(), "stage")
        layout = QVBoxLayout(page)
        layout.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        layout.addWidget(self.result)
        return page
