"""The drawn part of the timeline: zoomed, scrolled, scrubbed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QEvent, QPointF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
    QShowEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QToolTip, QWidget

from core.types import FPS
from desktop.model.grid import frame_at
from desktop.model.timescale import MARGIN, Timescale
from desktop.presenters.timeline import Part, Timeline
from desktop.presenters.timeline_words import Message
from desktop.views.theme import tokens_of
from desktop.views.timeline.handles import Handle, Playhead
from desktop.views.timeline.pull import Pull
from desktop.views.timeline.rows import LEAST, Rows, rows_of
from desktop.views.timeline.ruler import paint_ruler
from desktop.views.timeline.tracks import Tracks

if TYPE_CHECKING:
    from desktop.presenters.playback import Playback

# After so long without another change pictures for what is in view are asked for.
_SETTLED_MS: Final = 40
# A notch of the wheel: zoom, and the share of the view that is scrolled.
_ZOOM: Final = 1.25
_SCROLL: Final = 0.12
_NOTCH: Final = 120
_PINCH: Final = Qt.NativeGestureType.ZoomNativeGesture


class TimelineCanvas(QWidget):
    """Ruler and tracks on a kept pixmap, with the handles and the playhead as small widgets above.

    Attributes:
        scale: zoom and scroll.
        pull: scrolls while something is dragged beyond the edge.

    Signals:
        scale_changed: zoom or scroll are others.
    """

    scale_changed = Signal()

    def __init__(self, timeline: Timeline, playback: Playback, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._timeline, self._playback = timeline, playback
        self.scale = Timescale()
        self.pull = Pull(self)
        self._tracks = Tracks(timeline)
        self._kept: QPixmap | None = None
        self._scrub: float | None = None
        self._pan: tuple[float, float] | None = None
        self._wish = QTimer(self, singleShot=True, interval=_SETTLED_MS)
        self._wish.timeout.connect(self._ask)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Timeline"))
        self.setMinimumHeight(round(LEAST))
        self._handles = self._make_handles()
        self._playhead = Playhead(self)
        timeline.changed.connect(self._on_changed)
        timeline.pictures_changed.connect(self._on_pictures)
        playback.position_changed.connect(self._on_position)
        self._on_changed()

    def sizeHint(self) -> QSize:
        """A comfortable height."""
        return QSize(800, round(LEAST) + 40)

    @property
    def rows(self) -> Rows:
        """Where the tracks are."""
        return rows_of(self.width(), self.height())

    def handle(self, part: str) -> Handle:
        """In, out, range or align."""
        return next(each for each in self._handles if each.part == part)

    def zoom(self, factor: float, at_x: float | None = None) -> None:
        """Larger or smaller about a point; by default the playhead, or the middle where it is not seen."""
        if at_x is None:
            playhead_x = self.scale.x_of(self._playback.position_s)
            at_x = playhead_x if 0 <= playhead_x <= self.width() else self.width() / 2
        self.set_scale(self.scale.zoomed(factor, at_x))

    def fit(self) -> None:
        """All of the clip."""
        self.set_scale(self.scale.lasting(self.scale.duration_s))

    def zoom_to_range(self) -> None:
        """What is selected, with a little around it."""
        part = self._timeline.selected
        self.set_scale(self.scale.around(part.start_s, part.end_s))

    def scroll_to(self, start_s: float) -> None:
        """From this time on."""
        self.set_scale(self.scale.scrolled(start_s))

    def show_time(self, time_s: float) -> None:
        """Scroll only if it is out of view."""
        self.set_scale(self.scale.showing(time_s))

    def set_scale(self, scale: Timescale) -> None:
        """Another zoom or scroll."""
        if scale != self.scale:
            self.scale = scale
            self._stale()
            self.scale_changed.emit()

    # ---- mouse, wheel, keys

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Left: the playhead follows; middle: the clip follows."""
        x = event.position().x()
        if event.button() == Qt.MouseButton.MiddleButton:
            self._pan = (x, self.scale.start_s)
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        elif event.button() == Qt.MouseButton.LeftButton and self._playback.duration_s > 0:
            self._scrub = self._playback.position_s
            self._scrub_to(x)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Scrub, or drag the clip along."""
        x = event.position().x()
        if self._pan is not None:
            from_x, start_s = self._pan
            self.scroll_to(start_s - (x - from_x) / self.scale.px_per_s)
        elif self._scrub is not None:
            self.pull.follow(x, self._scrub_to)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """The exact frame at last; what was playing goes on from there."""
        self.pull.stop()
        if event.button() == Qt.MouseButton.MiddleButton and self._pan is not None:
            self._pan = None
            self.unsetCursor()
        elif event.button() == Qt.MouseButton.LeftButton and self._scrub is not None:
            self._scrub = None
            self._playback.seek(self._frame_under(event.position().x()))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """In the poses: align on this frame."""
        at, left = event.position(), event.button() == Qt.MouseButton.LeftButton
        if left and self.rows.pose.contains(at) and self._timeline.ready:
            self._timeline.set_align_frame(self.scale.time_at(at.x()))
        else:
            self.mousePressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """With Ctrl: zoom at the pointer; else scroll."""
        turned = event.angleDelta()
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoom(_ZOOM ** (turned.y() / _NOTCH), event.position().x())
        elif not event.pixelDelta().isNull() and event.pixelDelta().x():
            self.scroll_to(self.scale.start_s - event.pixelDelta().x() / self.scale.px_per_s)
        else:
            notches = (turned.x() or turned.y()) / _NOTCH
            self.scroll_to(self.scale.start_s - notches * _SCROLL * self.scale.visible_s)
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc: back to where the scrubbing began."""
        if event.key() == Qt.Key.Key_Escape and self._scrub is not None:
            self.pull.stop()
            position_s, self._scrub = self._scrub, None
            self._playback.seek(position_s)
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        """Tool tips, pinches, and Esc before the window has it."""
        kind = event.type()
        if kind == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            self._tip(event)
            return True
        if isinstance(event, QNativeGestureEvent) and event.gestureType() == _PINCH:
            self.zoom(1 + event.value(), event.position().x())
            return True
        if kind == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and self._scrub is not None:
            event.setAccepted(event.key() == Qt.Key.Key_Escape)
            return event.isAccepted()
        return super().event(event)

    def _scrub_to(self, x: float) -> None:
        self._playback.seek(self._frame_under(x), scrubbing=True)

    def _frame_under(self, x: float) -> float:
        last = max(0, frame_at(self._playback.duration_s - 1e-3))
        return min(max(0, frame_at(self.scale.time_at(x))), last) / FPS

    def _tip(self, event: QHelpEvent) -> None:
        at, words = QPointF(event.pos()), self._timeline.words
        time_s = self.scale.time_at(at.x())
        text = ""
        if self._timeline.ready and 0 <= time_s <= self._timeline.duration_s:
            text = words.moment(frame_at(time_s) / FPS)
            if self.rows.pose.contains(at):
                text = "\n".join(filter(None, (text, words.pose_at(time_s), self._say(words.pose()))))
        if not text and self.rows.motion.contains(at):
            text = self._say(words.motion())
        QToolTip.showText(event.globalPos(), text, self)

    @staticmethod
    def _say(message: Message | None) -> str:
        return "" if message is None else f"{message.text} {message.action}".strip()

    # ---- news

    def _on_changed(self) -> None:
        if self.scale.duration_s != self._timeline.duration_s:
            self.scale = self.scale.lasting(self._timeline.duration_s)
            self.scale_changed.emit()
        self._stale()

    def _on_pictures(self) -> None:
        self._kept = None
        self.update()
        self._wish.start()

    def _on_position(self, position_s: float) -> None:
        if self._scrub is None and not self._timeline.dragging:
            self.show_time(position_s)
        self._place_playhead()

    def _stale(self) -> None:
        """Everything has to be painted anew, once."""
        self._kept = None
        self._wish.start()
        rows = self.rows
        for handle in self._handles:
            handle.place(rows)
        self._place_playhead()
        self.update()

    def _place_playhead(self) -> None:
        there = self._playback.duration_s > 0 and self._timeline.duration_s > 0
        self._playhead.setVisible(there)
        if there:
            self._playhead.place(self.scale.x_of(self._playback.position_s), self.rows.result.bottom())
        if not self._playback.playing:
            # A screen reader would not get a word in while it plays.
            summary = self._timeline.words.summary()
            if summary != self.accessibleDescription():
                self.setAccessibleDescription(summary)

    def _ask(self) -> None:
        """Pictures for what is in view; none while nobody looks."""
        if self.isVisible():
            wish = self._tracks.wish(self.scale, self.rows)
            self._timeline.motion_strip.want(wish.motion)
            tall = self._tracks.skeleton_height(self.rows) * self.devicePixelRatioF()
            self._timeline.skeletons.want(wish.skeletons, round(tall))
            self._timeline.result.want(wish.result)

    # ---- painting

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The zoom stays, or fits again."""
        self.scale = self.scale.sized(event.size().width())
        self._stale()
        self.scale_changed.emit()

    def showEvent(self, event: QShowEvent) -> None:
        """Pictures were not asked for while hidden."""
        super().showEvent(event)
        self._wish.start()

    def changeEvent(self, event: QEvent) -> None:
        """Another theme, font or language."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._kept = None
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """From the kept pixmap: a moving playhead costs a copy of two narrow strips."""
        kept = self._kept
        if kept is None or kept.devicePixelRatioF() != self.devicePixelRatioF():
            kept = self._kept = self._painted()
        painter = QPainter(self)
        painter.setClipRegion(event.region())
        painter.drawPixmap(0, 0, kept)

    def _painted(self) -> QPixmap:
        ratio, tokens, rows, timeline = self.devicePixelRatioF(), tokens_of(self), self.rows, self._timeline
        pixmap = QPixmap(self.size() * ratio)
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(QColor(tokens.panel))
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if timeline.ready:
            paint_ruler(painter, rows.ruler, self.scale, tokens, self.font(), timeline.loop_s)
        self._tracks.paint(painter, rows, self.scale, tokens, self.font())
        if timeline.ready:
            part = timeline.selected
            painter.setPen(QPen(QColor(tokens.handle), 2))
            left, right = self.scale.x_of(part.start_s), self.scale.x_of(part.end_s)
            for y in (rows.motion.top() + 1, rows.motion.bottom() - 1):
                painter.drawLine(
                    QPointF(max(-MARGIN, left), y), QPointF(min(self.width() + MARGIN, right), y)
                )
            painter.setPen(QPen(QColor(tokens.handle), 1))
            for x in (left - 0.5, right + 0.5):
                painter.drawLine(QPointF(x, rows.pose.top()), QPointF(x, rows.result.bottom()))
        painter.end()
        return pixmap

    def _make_handles(self) -> list[Handle]:
        marker = self.tr(
            "Proportions are measured on this frame: drag it, or double-click the poses. "
            "Double-click the marker to choose it automatically."
        )
        texts: dict[Part, tuple[str, str]] = {
            "range": (
                self.tr("Selection"),
                self.tr("Drag to move the selection, double-click to zoom"),
            ),
            "in": (self.tr("In point"), self.tr("In point: drag, or press I at the playhead")),
            "out": (self.tr("Out point"), self.tr("Out point: drag, or press O at the playhead")),
            "align": (self.tr("Align frame"), marker),
        }
        return [Handle(self, self._timeline, part, name, hint) for part, (name, hint) in texts.items()]
