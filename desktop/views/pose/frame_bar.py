"""Which frame is shown, which one proportions are measured on, and where the motion begins."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSlider, QVBoxLayout, QWidget

from desktop.presenters.pose_check import PoseCheck
from desktop.views.icons import icon
from desktop.views.theme import NARROW, role


class FrameBar(QWidget):
    """A slider over the frames of the render, and what can be done with the one it is on."""

    def __init__(self, check: PoseCheck, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._check = check
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName(self.tr("Frame"))
        self.slider.setToolTip(self.tr("The frame that is shown (arrows: one, Page Up and Down: a second)"))
        self.slider.setPageStep(16)
        self.where = role(QLabel(), "quiet")
        self.aligned = role(QLabel(), "small")
        self.align_here = QPushButton(icon("marker"), self.tr("&Align on this frame"))
        self.align_here.setToolTip(self.tr("Measure the dancer's proportions on the frame shown (Alt+A)"))
        self.automatic = QPushButton(self.tr("A&utomatic"))
        self.automatic.setToolTip(
            self.tr("Measure on the frame whose pose is most like the reference's (Alt+U)")
        )
        self.start_best = QPushButton(icon("to-start"), self.tr("Use &best frame as start"))
        self._build()
        self._connect()
        self.refresh()

    def refresh(self) -> None:
        """Show the present state."""
        check, fitted = self._check, self._check.fitted
        whole = fitted is not None and fitted.complete
        with QSignalBlocker(self.slider):
            self.slider.setRange(0, 0 if fitted is None else fitted.frames - 1)
            self.slider.setValue(check.frame)
        self.slider.setEnabled(whole)
        self.where.setText("" if fitted is None else self._where())
        self.aligned.setText(self._aligned())
        fits = fitted is not None and fitted.facts.fitted
        self.align_here.setEnabled(whole and fits and not check.aligned_here)
        chosen = check.draft.pose.align_frame_s is not None
        self.automatic.setEnabled(chosen)
        self.start_best.setEnabled(whole and check.can_start_at_best)
        self.start_best.setToolTip(self._best())

    def _where(self) -> str:
        fitted = self._check.fitted
        assert fitted is not None, "asked for with poses only"
        text = self.tr("frame {frame} of {frames} · {seconds} s")
        return text.format(
            frame=self._check.frame + 1,
            frames=fitted.frames,
            seconds=f"{fitted.time_of(self._check.frame):.2f}",
        )

    def _aligned(self) -> str:
        fitted = self._check.fitted
        if fitted is None:
            return ""
        if fitted.align_frame_s is None:
            return self.tr("The motion is used where it is, without fitting it to the reference.")
        if self._check.draft.pose.align_frame_s is None:
            text = self.tr("Proportions are measured at {seconds} s, chosen automatically.")
        else:
            text = self.tr("Proportions are measured at {seconds} s, as you chose.")
        return text.format(seconds=f"{fitted.align_frame_s:.2f}")

    def _best(self) -> str:
        fitted = self._check.fitted
        best_s = None if fitted is None else fitted.facts.best_frame_s
        if best_s is None:
            return self.tr("Needs a person in the reference and in the motion")
        if not self._check.can_start_at_best:
            return self.tr("The motion begins with its best frame already")
        text = self.tr("Begin at {seconds} s, where the pose is most like the reference's (Alt+B)")
        return text.format(seconds=f"{best_s:.2f}")

    def _build(self) -> None:
        line = QHBoxLayout()
        line.setSpacing(NARROW)
        line.addWidget(self.slider, 1)
        line.addWidget(self.where)
        buttons = QHBoxLayout()
        buttons.setSpacing(NARROW)
        buttons.addWidget(self.align_here)
        buttons.addWidget(self.automatic)
        buttons.addStretch()
        buttons.addWidget(self.start_best)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NARROW)
        column.addLayout(line)
        column.addWidget(self.aligned)
        column.addLayout(buttons)

    def _connect(self) -> None:
        check = self._check
        self.slider.valueChanged.connect(check.set_frame)
        self.align_here.clicked.connect(lambda: check.align_on(check.frame))
        self.automatic.clicked.connect(lambda: check.align_on(None))
        self.start_best.clicked.connect(check.start_at_best)
        check.changed.connect(self.refresh)
        check.moved.connect(self.refresh)
