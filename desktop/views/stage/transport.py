"""Under the stage: play, step, loop, the time, sound, zoom and full screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSlider, QToolButton, QWidget

from desktop.presenters.stage import Stage
from desktop.presenters.stage_clock import place
from desktop.views.icons import icon
from desktop.views.theme import ICON, NARROW, TIGHT, role

if TYPE_CHECKING:
    from desktop.presenters.playback import Playback


class Transport(QFrame):
    """Drives the one clock.

    Signals:
        fit_asked, full_screen_asked: of the canvas.
    """

    fit_asked = Signal()
    full_screen_asked = Signal()

    def __init__(self, stage: Stage, playback: Playback, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        role(self, "panel")
        self._stage, self._playback = stage, playback
        self._build()
        self._lay_out()
        playback.position_changed.connect(self._show_time)
        playback.range_changed.connect(self._show_time)
        playback.duration_changed.connect(self._show_all)
        playback.playing_changed.connect(self._show_all)
        playback.speed_changed.connect(self._show_all)
        playback.looping_changed.connect(self._show_all)
        playback.volume_changed.connect(self._show_sound)
        stage.choices_changed.connect(self._show_all)
        self._show_all()

    def show_zoom(self, zoom: float) -> None:
        """1 fits."""
        self.fit.setText("" if zoom == 1 else f"{zoom:.0%}")
        beside = Qt.ToolButtonStyle.ToolButtonTextBesideIcon
        self.fit.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly if zoom == 1 else beside)
        self.fit.setEnabled(zoom != 1)

    def show_full_screen(self, on: bool) -> None:
        """The same button leaves."""
        self.full.setChecked(on)
        name = self.tr("Leave full screen (Esc)") if on else self.tr("Full screen (F)")
        self.full.setAccessibleName(name)
        self.full.setToolTip(name)

    def minimumSizeHint(self) -> QSize:
        """Without what may give way."""
        hint = super().minimumSizeHint()
        return hint if self.volume.isHidden() else QSize(hint.width() - self._spare_width(), hint.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In a narrow window the volume gives way: to mute is what one needs first."""
        super().resizeEvent(event)
        self.volume.setVisible(self.width() >= self.minimumSizeHint().width() + self._spare_width())

    def _spare_width(self) -> int:
        return self.volume.width() + TIGHT

    def _build(self) -> None:
        playback = self._playback
        self.start = self._button("to-start", self.tr("To the start (Home)"), self._to_start)
        self.back = self._button("step-back", self.tr("A frame back (Left)"), lambda: playback.step(-1))
        self.play = self._button("play", self.tr("Play (Space)"), playback.toggle)
        self.on = self._button("step-forward", self.tr("A frame on (Right)"), lambda: playback.step(1))
        self.end = self._button("to-end", self.tr("To the end (End)"), self._to_end)
        self.loop = self._button("loop", self.tr("Repeat the range"), self._toggle_loop)
        self.loop.setCheckable(True)
        self.mute = self._button("sound", self.tr("Mute"), self._toggle_mute)
        self.mute.setCheckable(True)
        self.fit = self._button("zoom-fit", self.tr("Show all of it (double click)"), self.fit_asked.emit)
        self.full = self._button("full-screen", self.tr("Full screen (F)"), self.full_screen_asked.emit)
        self.full.setCheckable(True)
        self.volume = QSlider(Qt.Orientation.Horizontal)
        self.volume.setRange(0, 100)
        self.volume.setFixedWidth(72)
        self.volume.setAccessibleName(self.tr("Volume"))
        self.volume.setValue(round(100 * playback.volume))
        self.volume.valueChanged.connect(self._on_volume)
        self.speed = role(QLabel(), "small")
        self.speed.setToolTip(self.tr("Speed: J backwards, K holds, L forwards; again for faster"))
        self.time = role(QLabel(), "quiet")
        widest = self._stage.words.moment(888, 888, 88.88)
        self.time.setMinimumWidth(QFontMetrics(self.time.font()).horizontalAdvance(widest) + NARROW)
        self.show_zoom(1.0)

    def _button(self, name: str, text: str, pressed: Callable[[], object]) -> QToolButton:
        button = QToolButton()
        button.setIcon(icon(name))
        button.setToolTip(text)
        button.setAccessibleName(text)
        button.setIconSize(QSize(ICON, ICON))
        button.clicked.connect(lambda: pressed())
        return button

    def _lay_out(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(NARROW, TIGHT, NARROW, TIGHT)
        row.setSpacing(TIGHT)
        for button in (self.start, self.back, self.play, self.on, self.end, self.loop):
            row.addWidget(button)
        row.addSpacing(NARROW)
        row.addWidget(self.time)
        row.addWidget(self.speed)
        row.addStretch(1)
        for widget in (self.mute, self.volume, self.fit, self.full):
            row.addWidget(widget)

    def _show_all(self, *_: object) -> None:
        playback = self._playback
        ready = playback.duration_s > 0
        for button in (self.start, self.back, self.play, self.on, self.end, self.loop):
            button.setEnabled(ready)
        text = self.tr("Pause (Space)") if playback.playing else self.tr("Play (Space)")
        if text != self.play.toolTip():
            self.play.setIcon(icon("pause" if playback.playing else "play"))
            self.play.setToolTip(text)
            self.play.setAccessibleName(text)
        self.loop.setChecked(playback.looping)
        self.speed.setText(self._stage.words.speed(playback.speed))
        self._show_sound()
        self._show_time()

    def _show_sound(self, *_: object) -> None:
        heard = self._stage.has_sound
        with QSignalBlocker(self.volume):
            self.volume.setValue(round(100 * self._playback.volume))
        self.mute.setEnabled(heard)
        self.volume.setEnabled(heard)
        self.mute.setChecked(self._playback.muted)
        self.mute.setIcon(icon("mute" if self._playback.muted or not heard else "sound"))
        silent = self.tr("There is no sound to what is shown")
        name = self.tr("Unmute") if self._playback.muted else self.tr("Mute")
        self.mute.setToolTip(name if heard else silent)
        self.mute.setAccessibleName(name)
        self.volume.setToolTip(self.tr("Volume") if heard else silent)

    def _show_time(self, *_: object) -> None:
        ready = self._playback.duration_s > 0
        text = self._stage.words.moment(*place(self._playback)) if ready else ""
        if text != self.time.text():
            self.time.setText(text)

    def _to_start(self) -> None:
        self._playback.seek(self._playback.range_s[0])

    def _to_end(self) -> None:
        self._playback.seek(self._stage.last_s())

    def _toggle_loop(self) -> None:
        self._playback.set_looping(not self._playback.looping)

    def _toggle_mute(self) -> None:
        self._playback.set_muted(not self._playback.muted)
        self._show_sound()  # a press has checked the button, whatever became of it

    def _on_volume(self, value: int) -> None:
        self._playback.set_volume(value / 100)
        if value and self._playback.muted:
            self._playback.set_muted(False)
