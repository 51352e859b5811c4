"""Under the stage: the big button, the progress, and what went wrong in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from core.types import Phase
from desktop.presenters.states import Done, Failed, Idle, Rendering, RenderState
from desktop.views.style import NARROW, SPACE, role

_TICKS = 1000


class RenderBar(QWidget):
    """Shows a ``RenderState``.

    Signals:
        render_asked, cancel_asked, reveal_asked: the buttons.
    """

    render_asked = Signal()
    cancel_asked = Signal()
    reveal_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ready = False
        self._state: RenderState = Idle()
        self.status = QLabel(wordWrap=True)
        self.remaining = role(QLabel(), "quiet")
        self.notes = role(QLabel(wordWrap=True), "quiet")
        self.progress = QProgressBar(maximum=_TICKS, textVisible=False)
        self.progress.setAccessibleName(self.tr("Progress of the render"))
        self.error_text = QLabel(wordWrap=True)
        self.error = self._error_frame()
        self.button = role(QPushButton(), "primary")
        self.button.setMinimumWidth(132)
        self.button.clicked.connect(self._on_click)
        self.reveal = QPushButton(self.tr("Show in folder"))
        self.reveal.clicked.connect(self.reveal_asked)
        self._lay_out()
        self.show_state(Idle())

    def set_ready(self, ready: bool) -> None:
        """Are a picture and a motion chosen?"""
        self._ready = ready
        self.show_state(self._state)

    def show_error(self, message: str, action: str) -> None:
        """One sentence and the way out; an empty message clears it."""
        self.error_text.setText(f"{message} {action}".strip())
        self.error.setVisible(bool(message))

    def show_state(self, state: RenderState) -> None:
        """Put everything in line with the state."""
        self._state = state
        rendering = isinstance(state, Rendering)
        self.button.setText(self.tr("Cancel") if rendering else self.tr("Render"))
        self.button.setToolTip(self.tr("Esc") if rendering else self.tr("Ctrl+Return"))
        self.button.setEnabled(not state.stopping if isinstance(state, Rendering) else self._ready)
        self.progress.setVisible(rendering)
        self.remaining.setVisible(rendering)
        self.reveal.setVisible(isinstance(state, Done))
        self._show_notes(state.notes if isinstance(state, Done) else ())
        match state:
            case Idle(cancelled=cancelled):
                self.status.setText(self.tr("Cancelled.") if cancelled else self._idle_text())
            case Rendering():
                self.show_error("", "")
                self._show_progress(state)
            case Done():
                self.status.setText(self._done_text(state))
            case Failed(message=message, action=action):
                self.status.setText(self.tr("Not rendered."))
                self.show_error(message, action)

    def _show_progress(self, state: Rendering) -> None:
        self.progress.setValue(int(state.fraction * _TICKS))
        self.status.setText(self.tr("Stopping…") if state.stopping else self._phase_text(state.phase))
        self.remaining.setText(self._remaining_text(state.remaining_s))

    def _idle_text(self) -> str:
        if self._ready:
            return self.tr("Ready.")
        return self.tr("Choose a reference picture and a motion.")

    def _done_text(self, state: Done) -> str:
        text = self.tr("Done in {elapsed} s: {frames} frames, {length} s.")
        length, elapsed = f"{state.frames / state.fps:.2f}", f"{state.elapsed_s:.0f}"
        return text.format(frames=state.frames, length=length, elapsed=elapsed)

    def _show_notes(self, notes: Sequence[str]) -> None:
        self.notes.setText("\n".join(notes))
        self.notes.setVisible(bool(notes))

    def _phase_text(self, phase: Phase) -> str:
        return {
            "start": self.tr("Starting the engine…"),
            "load": self.tr("Loading the model…"),
            "pose": self.tr("Drawing the skeletons…"),
            "encode": self.tr("Reading picture and motion…"),
            "sample": self.tr("Rendering…"),
            "decode": self.tr("Turning latents into pictures…"),
            "write": self.tr("Writing the video…"),
        }[phase]

    def _remaining_text(self, seconds: float | None) -> str:
        if seconds is None:
            return ""
        if seconds < 60:
            return self.tr("about {seconds} s left").format(seconds=max(1, round(seconds)))
        return self.tr("about {minutes} min left").format(minutes=round(seconds / 60))

    def _on_click(self) -> None:
        rendering = isinstance(self._state, Rendering)
        (self.cancel_asked if rendering else self.render_asked).emit()

    def _error_frame(self) -> QFrame:
        frame = role(QFrame(), "error")
        row = QHBoxLayout(frame)
        row.setContentsMargins(SPACE, NARROW, NARROW, NARROW)
        row.addWidget(self.error_text, 1)
        dismiss = QPushButton(self.tr("Dismiss"), flat=True)
        dismiss.clicked.connect(lambda: self.show_error("", ""))
        row.addWidget(dismiss)
        frame.hide()
        return frame

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        line.addWidget(self.status, 1)
        line.addWidget(self.remaining)
        words = QVBoxLayout()
        words.setSpacing(NARROW)
        words.addStretch()
        words.addLayout(line)
        words.addWidget(self.progress)
        words.addStretch()
        row = QHBoxLayout()
        row.setSpacing(SPACE)
        row.addLayout(words, 1)
        row.addWidget(self.reveal)
        row.addWidget(self.button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(NARROW)
        layout.addWidget(self.error)
        layout.addWidget(self.notes)
        layout.addLayout(row)
