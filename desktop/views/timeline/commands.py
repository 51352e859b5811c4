"""What can be done on the timeline, as actions with keys for menus, buttons and the whole window."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget

from core.types import FPS
from desktop.model.grid import frame_at
from desktop.presenters.timeline import Timeline
from desktop.views.icons import icon

if TYPE_CHECKING:
    from desktop.presenters.playback import Playback
    from desktop.views.timeline.canvas import TimelineCanvas

_ZOOM: Final = 1.5
# What goes on while a key is held.
_REPEATED: Final = ("step_back", "step_on", "second_back", "second_on", "zoom_in", "zoom_out")
_WINDOW: Final = Qt.ShortcutContext.WindowShortcut
_NATIVE: Final = QKeySequence.SequenceFormat.NativeText
_HERE: Final = Qt.ShortcutContext.WidgetWithChildrenShortcut


class Commands(QObject):
    """The actions by name.

    Attributes:
        play: ``play``, ``shuttle_back``, ``shuttle_stop``, ``shuttle_on``, ``step_back``, ``step_on``,
            ``second_back``, ``second_on``, ``first``, ``last``; heard in the whole window.
        trim: ``set_in``, ``set_out``, ``whole``, ``align_here``, ``align_auto``; also in the whole window.
        zoom: ``zoom_in``, ``zoom_out``, ``zoom_fit``, ``zoom_range``; heard in the timeline.
    """

    def __init__(
        self, timeline: Timeline, playback: Playback, canvas: TimelineCanvas, owner: QWidget
    ) -> None:
        super().__init__(owner)
        self._timeline, self._playback, self._canvas, self._owner = timeline, playback, canvas, owner
        self._named: dict[str, QAction] = {}
        self.play = self._make_play()
        self.trim = self._make_trim()
        self.zoom = self._make_zoom()
        timeline.changed.connect(self._enable)
        playback.duration_changed.connect(self._enable)
        self._enable()

    def __getitem__(self, name: str) -> QAction:
        """One by its name."""
        return self._named[name]

    @property
    def all(self) -> list[QAction]:
        """All of them, in the order of a menu."""
        return [*self.play, *self.trim, *self.zoom]

    def _make_play(self) -> list[QAction]:
        playback = self._playback
        step, shuttle = playback.step, playback.shuttle
        return [
            self._add("play", self.tr("&Play or pause"), "play", playback.toggle, "Space"),
            self._add("shuttle_back", self.tr("Play &backwards, faster"), "", lambda: shuttle(-1), "J"),
            self._add("shuttle_stop", self.tr("&Halt"), "pause", lambda: shuttle(0), "K"),
            self._add("shuttle_on", self.tr("Play on, &faster"), "", lambda: shuttle(1), "L"),
            self._add("step_back", self.tr("Frame back"), "step-back", lambda: step(-1), "Left"),
            self._add("step_on", self.tr("Frame on"), "step-forward", lambda: step(1), "Right"),
            self._add("second_back", self.tr("Second back"), "", lambda: step(-FPS), "Shift+Left"),
            self._add("second_on", self.tr("Second on"), "", lambda: step(FPS), "Shift+Right"),
            self._add("first", self.tr("To fi&rst frame"), "to-start", self._go_first, "Home"),
            self._add("last", self.tr("To &last frame"), "to-end", self._go_last, "End"),
        ]

    def _make_trim(self) -> list[QAction]:
        timeline = self._timeline
        return [
            self._add("set_in", self.tr("Set &in point here"), "in-point", self._set_in, "I"),
            self._add("set_out", self.tr("Set o&ut point here"), "out-point", self._set_out, "O"),
            self._add("whole", self.tr("Select the &whole clip"), "", timeline.select_all),
            self._add("align_here", self.tr("&Align on this frame"), "marker", self._align_here),
            self._add(
                "align_auto", self.tr("Align auto&matically"), "", lambda: timeline.set_align_frame(None)
            ),
        ]

    def _make_zoom(self) -> list[QAction]:
        canvas, add = self._canvas, self._add
        return [
            add("zoom_in", self.tr("&Zoom in"), "zoom-in", lambda: canvas.zoom(_ZOOM), "+", "=", here=True),
            add("zoom_out", self.tr("Zoom &out"), "zoom-out", lambda: canvas.zoom(1 / _ZOOM), "-", here=True),
            add("zoom_fit", self.tr("Show the whole &clip"), "zoom-fit", canvas.fit, "0", here=True),
            add("zoom_range", self.tr("Zoom to the &selection"), "", canvas.zoom_to_range, "9", here=True),
        ]

    def _add(
        self, name: str, text: str, image: str, slot: Callable[[], object], *keys: str, here: bool = False
    ) -> QAction:
        action = QAction(text, self)
        if image:
            action.setIcon(icon(image))
        action.setShortcuts([QKeySequence(key) for key in keys])
        action.setShortcutContext(_HERE if here else _WINDOW)
        plain = text.replace("&", "")
        action.setToolTip(f"{plain} ({QKeySequence(keys[0]).toString(_NATIVE)})" if keys else plain)
        action.setAutoRepeat(name in _REPEATED)
        action.triggered.connect(lambda _checked=False: slot())
        self._owner.addAction(action)
        self._named[name] = action
        return action

    def _go_first(self) -> None:
        self._playback.seek(self._playback.range_s[0])

    def _go_last(self) -> None:
        start_s, end_s = self._playback.range_s
        self._playback.seek(max(start_s, frame_at(end_s - 1e-3) / FPS))

    def _set_in(self) -> None:
        self._timeline.set_in(frame_at(self._playback.position_s) / FPS)

    def _set_out(self) -> None:
        # The frame that is seen belongs to the selection.
        self._timeline.set_out((frame_at(self._playback.position_s) + 1) / FPS)

    def _align_here(self) -> None:
        self._timeline.set_align_frame(self._playback.position_s)

    def _enable(self) -> None:
        ready = self._timeline.ready
        for action in (*self.trim, *self.zoom):
            action.setEnabled(ready)
        for action in self.play:
            action.setEnabled(ready or self._playback.duration_s > 0)
        self["align_auto"].setEnabled(ready and self._timeline.chosen_align_s is not None)
        self["whole"].setEnabled(ready and self._timeline.selected.frames < self._timeline.whole_frames)
