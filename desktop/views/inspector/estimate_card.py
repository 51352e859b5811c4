"""What the next render takes, in figures and one sentence; and what to do where it cannot be."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from desktop.model.costs import Estimate, download_text, memory_text, time_text
from desktop.presenters.inspector import Inspector
from desktop.views.icons import icon
from desktop.views.inspector.controls import push_button, tool_button
from desktop.views.inspector.fields import say, wrapped
from desktop.views.theme import NARROW, SPACE, TIGHT, restyle, role

_MINI: Final = "mini"
_PLAIN: Final = "steadydancer-14b"
_NAMED: Final = 3
_SMALL_ICON: Final = 14


class EstimateCard(QFrame):
    """Figures, sentence, obstacles, ways out and reasons.

    Signals:
        reasons_toggled: whether the reasons are open.
    """

    reasons_toggled = Signal(bool)

    def __init__(self, inspector: Inspector) -> None:
        super().__init__()
        self.inspector = inspector
        role(self, "card")
        self.time = Figure(self.tr("Time"))
        self.vram = Figure(self.tr("GPU memory"))
        self.ram = Figure(self.tr("RAM"))
        self.sentence, self.notes = wrapped("small"), wrapped("small")
        self.obstacles, self.missing = wrapped("problem"), wrapped("warning")
        self.smaller, self.embedded, self.get, self.anyway = self._ways_out()
        tip = self.tr("The reasons of the plan, and where the figures come from")
        self.why = role(tool_button("", tip, _SMALL_ICON, checkable=True), "fold-small")
        self.reasons = wrapped("small")
        self._set_up()
        self._lay_out()
        self.show_estimate()

    def set_open(self, is_open: bool) -> None:
        """Show or hide the reasons."""
        self.why.setChecked(is_open)
        self._on_why(is_open)

    def show_estimate(self) -> None:
        """The presenter's latest."""
        estimate = self.inspector.estimate
        # What is missing stands under the Render button already.
        self.setVisible(estimate.state != "inputs")
        self._show_figures(estimate)
        say(self.sentence, estimate.sentence)
        restyle(self.sentence, "problem" if estimate.state == "refused" else "small")
        say(self.obstacles, "\n".join(estimate.obstacles))
        say(self.missing, self._missing(estimate))
        say(self.notes, "\n".join(estimate.notes))
        self._show_ways_out(estimate)
        lines = [*estimate.reasons[1:], estimate.known] if estimate.reasons else []
        self.reasons.setText("\n".join(f"• {line}" for line in lines if line not in estimate.obstacles))
        self.why.setVisible(bool(lines))
        self.reasons.setVisible(bool(lines) and self.why.isChecked())

    def _show_figures(self, estimate: Estimate) -> None:
        has = estimate.plan is not None
        dim = estimate.state == "working"
        for figure in (self.time, self.vram, self.ram):
            figure.setEnabled(not dim)
        self.time.setVisible(has)
        self.ram.setVisible(has and estimate.ram_bytes is not None)
        self.vram.setVisible(has and estimate.vram_bytes is not None)
        self.time.show_text(time_text(estimate.time_s) if estimate.time_s is not None else self.tr("unknown"))
        self.time.setToolTip(estimate.known)
        self.vram.show_share(estimate.vram_bytes, estimate.vram_total_bytes)
        self.ram.show_share(estimate.ram_bytes, estimate.ram_total_bytes)

    def _missing(self, estimate: Estimate) -> str:
        if not estimate.missing or estimate.state not in ("files", "large"):
            return ""
        lines = [f"{download_text(file.size_bytes)}  {file.title}" for file in estimate.missing[:_NAMED]]
        if len(estimate.missing) > _NAMED:
            lines.append(self.tr("and {count} more").format(count=len(estimate.missing) - _NAMED))
        words = self.tr("To be downloaded, {size} in all:").format(size=download_text(estimate.missing_bytes))
        return "\n".join((words, *lines)) if estimate.state == "files" else ""

    def _show_ways_out(self, estimate: Estimate) -> None:
        large, remedy = estimate.state == "large", estimate.remedy
        insists = self.inspector.draft.try_anyway
        self.smaller.setVisible(large and remedy is not None)
        if remedy is not None:
            size = f"{remedy.size.width} × {remedy.size.height}"
            words = self.tr("Use {size}, {frames} frames").format(size=size, frames=remedy.frames)
            self.smaller.setText(words)
            self.smaller.setAccessibleName(words)
        self.embedded.setVisible(large and self.inspector.draft.model != _MINI)
        self.anyway.setVisible(large or insists)
        self.anyway.setChecked(insists)
        self.get.setVisible(estimate.state == "files")
        if estimate.plan is not None and estimate.obstacles:
            restyle(self.obstacles, "warning" if insists else "problem")

    def _ways_out(self) -> tuple[QPushButton, QPushButton, QPushButton, QPushButton]:
        fits = self.tr("Fits any computer and draws the demo's kind of characters")
        files = self.tr("Shows the files with size and licence before anything is downloaded")
        risk = self.tr("Render although memory may not suffice; other renders are not harmed")
        anyway = push_button(self.tr("Try anyway"), risk)
        anyway.setCheckable(True)
        return (
            push_button(self.tr("Use what fits"), self.tr("The largest that fits this computer")),
            push_button(self.tr("Use the embedded model"), fits),
            push_button(self.tr("Get them…"), files, "download"),
            anyway,
        )

    def _set_up(self) -> None:
        self.why.setText(self.tr("Why"))
        self.why.setAccessibleName(self.tr("Reasons of the plan"))
        self.why.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.smaller.clicked.connect(self.inspector.take_remedy)
        self.embedded.clicked.connect(lambda: self.inspector.choose_model(_MINI))
        self.anyway.clicked.connect(lambda on: self.inspector.put("try_anyway", on))
        self.get.clicked.connect(self._on_get)
        self.why.toggled.connect(self._on_why)
        self._on_why(False)

    def _on_get(self) -> None:
        plan = self.inspector.estimate.plan
        self.inspector.models_wanted.emit(self.inspector.draft.model if plan is None else plan.model)

    def _on_why(self, is_open: bool) -> None:
        self.why.setIcon(icon("chevron-down" if is_open else "chevron-right"))
        self.reasons.setVisible(is_open and bool(self.reasons.text()))
        self.reasons_toggled.emit(is_open)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(SPACE, NARROW, SPACE, NARROW)
        column.setSpacing(NARROW)
        figures = QHBoxLayout()
        figures.setSpacing(SPACE)
        for figure in (self.time, self.vram, self.ram):
            figures.addWidget(figure, 1)
        column.addLayout(figures)
        for label in (self.sentence, self.obstacles, self.missing, self.notes):
            column.addWidget(label)
        for button in (self.smaller, self.get, self.embedded, self.anyway):
            column.addWidget(button)
        column.addWidget(self.why, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.reasons)


class Figure(QWidget):
    """A number under its name, over a thin bar where it is a share of something."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.caption, self.text = role(QLabel(name), "small"), role(QLabel(), "heading")
        self.bar = QProgressBar(textVisible=False, maximum=1000)
        self.bar.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(TIGHT // 2)
        for widget in (self.caption, self.text, self.bar):
            column.addWidget(widget)
        column.addStretch(1)

    def show_text(self, text: str) -> None:
        """A figure without a bar."""
        self.text.setText(text)
        self.bar.setVisible(False)

    def show_share(self, needed_bytes: int | None, total_bytes: int | None) -> None:
        """How much of how much."""
        if needed_bytes is None:
            return
        self.text.setText(memory_text(needed_bytes))
        self.bar.setVisible(bool(total_bytes))
        if total_bytes:
            self.bar.setValue(min(1000, round(1000 * needed_bytes / total_bytes)))
            restyle(self.bar, "over" if needed_bytes > total_bytes else "")
            words = self.tr("{needed} of {total}")
            self.setToolTip(words.format(needed=memory_text(needed_bytes), total=memory_text(total_bytes)))


class CautionCard(QFrame):
    """Says before a render that the model will not draw this reference as it looks."""

    def __init__(self, inspector: Inspector) -> None:
        super().__init__()
        role(self, "caution")
        self.setVisible(False)
        self.inspector = inspector
        self.text = wrapped("caution")
        tip = self.tr("The model that animates photos: files, size and licence")
        self.get = push_button(self.tr("Get SteadyDancer 14B…"), tip)
        self.get.setMinimumWidth(1)
        self.get.clicked.connect(self._on_get)
        column = QVBoxLayout(self)
        column.setContentsMargins(SPACE, NARROW, SPACE, NARROW)
        column.setSpacing(NARROW)
        column.addWidget(self.text)
        column.addWidget(self.get, 0, Qt.AlignmentFlag.AlignLeft)

    def show_estimate(self) -> None:
        """The presenter's latest; where the better model is here, the button chooses it."""
        estimate, offers = self.inspector.estimate, self.inspector.offers
        say(self.text, estimate.caution)
        self.setVisible(bool(estimate.caution))
        better = None if offers is None else offers.model(_PLAIN)
        here = better is not None and better.installed
        self.get.setText(self.tr("Use SteadyDancer 14B") if here else self.tr("Get SteadyDancer 14B…"))

    def _on_get(self) -> None:
        offers = self.inspector.offers
        better = None if offers is None else offers.model(_PLAIN)
        if better is not None and better.installed:
            self.inspector.choose_model(_PLAIN)
        else:
            self.inspector.models_wanted.emit(_PLAIN)
