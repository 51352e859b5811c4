"""The score of a pose check with its figures, and what speaks against a render."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from desktop.model.fitted import Level, level_of
from desktop.presenters.fitted_pose import FittedPose
from desktop.views.theme import NARROW, SPACE, TIGHT, restyle, role

_ROLES: Final[dict[Level, str]] = {"good": "good", "fair": "caution", "poor": "error"}


class ScoreCard(QFrame):
    """Exactly what ``pirouette pose check`` reports, for people."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        role(self, "card")
        self.score = role(QLabel(), "score")
        self.of = role(QLabel(self.tr("of 100")), "quiet")
        self.verdict = QLabel()
        self._light = role(QFrame(), "good")
        lit = QHBoxLayout(self._light)
        lit.setContentsMargins(NARROW, TIGHT, NARROW, TIGHT)
        lit.addWidget(self.verdict)
        self._figures = {name: QLabel() for name in ("seen", "size", "out", "gap")}
        self._sentences: list[tuple[str, QFrame]] = []
        self._warnings = QVBoxLayout()
        self._warnings.setSpacing(NARROW)
        self._build()

    def show_pose(self, fitted: FittedPose | None) -> None:
        """Show a report; dashes while there is none for the whole range."""
        whole = fitted if fitted is not None and fitted.complete else None
        level = level_of(0 if whole is None else whole.report.score)
        self.score.setText("–" if whole is None else str(whole.report.score))
        restyle(self._light, "note" if whole is None else _ROLES[level])
        _repolish(self.verdict)
        self.of.setVisible(whole is not None)
        words = {
            "good": self.tr("Good match"),
            "fair": self.tr("May work"),
            "poor": self.tr("Poor match"),
        }
        self.verdict.setText(self.tr("Not known yet") if whole is None else words[level])
        self._show_figures(whole)
        self._show_warnings(whole)
        spoken = self.tr("Score {score} of 100: {verdict}")
        self.setAccessibleName(spoken.format(score=self.score.text(), verdict=self.verdict.text()))

    def warnings(self) -> list[str]:
        """The sentences that are shown."""
        return [sentence for sentence, _ in self._sentences]

    def figure(self, name: str) -> str:
        """The text of a figure: seen, size, out or gap."""
        return self._figures[name].text()

    def _build(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self.score)
        top.addWidget(self.of, 0, Qt.AlignmentFlag.AlignBottom)
        top.addStretch()
        top.addWidget(self._light, 0, Qt.AlignmentFlag.AlignVCenter)
        grid = QGridLayout()
        grid.setHorizontalSpacing(SPACE)
        grid.setVerticalSpacing(TIGHT)
        titles = {
            "seen": (self.tr("Joints seen"), self.tr("Of those that the reference shows, in all frames")),
            "size": (self.tr("Size"), self.tr("Person in the reference over the dancer")),
            "out": (self.tr("Out of the picture"), self.tr("Frames in which a joint lies outside")),
            "gap": (self.tr("Gap at the start"), self.tr("Between the reference's pose and the first one")),
        }
        for row, (name, (title, tip)) in enumerate(titles.items()):
            label = role(QLabel(title), "quiet")
            label.setToolTip(tip)
            self._figures[name].setToolTip(tip)
            grid.addWidget(label, row, 0)
            grid.addWidget(self._figures[name], row, 1, Qt.AlignmentFlag.AlignRight)
        grid.setColumnStretch(0, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(SPACE, NARROW, SPACE, SPACE)
        column.setSpacing(NARROW)
        column.addLayout(top)
        column.addLayout(grid)
        column.addLayout(self._warnings)

    def _show_figures(self, whole: FittedPose | None) -> None:
        if whole is None:
            for label in self._figures.values():
                label.setText("–")
            return
        report = whole.report
        self._figures["seen"].setText(f"{report.keypoints_seen:.0%}")
        self._figures["size"].setText(
            self.tr("{times}× the dancer").format(times=f"{report.scale_ratio:.2f}")
        )
        self._figures["out"].setText(self.tr("{share} of frames").format(share=f"{report.out_of_frame:.0%}"))
        self._figures["gap"].setText(self.tr("{share} of height").format(share=f"{report.start_gap:.1%}"))

    def _show_warnings(self, whole: FittedPose | None) -> None:
        wanted = [] if whole is None else list(whole.report.warnings)
        if wanted == self.warnings():
            return
        for _, frame in self._sentences:
            self._warnings.removeWidget(frame)
            frame.setParent(None)
            frame.deleteLater()
        self._sentences = [(sentence, _framed(sentence)) for sentence in wanted]
        for _, frame in self._sentences:
            self._warnings.addWidget(frame)


def _repolish(label: QLabel) -> None:
    """A label inside a frame takes the frame's colour when the frame's role has changed."""
    label.style().unpolish(label)
    label.style().polish(label)


def _framed(sentence: str) -> QFrame:
    frame = role(QFrame(), "caution")
    inside = QVBoxLayout(frame)
    inside.setContentsMargins(NARROW, NARROW, NARROW, NARROW)
    label = QLabel(sentence)
    label.setWordWrap(True)
    inside.addWidget(label)
    return frame
