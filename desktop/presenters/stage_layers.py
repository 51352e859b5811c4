"""What the stage shows, as data: panes made of layers, and the sources of pictures that are no files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QImage

from core.types import FPS
from desktop.presenters.background import Background

if TYPE_CHECKING:
    from collections.abc import Sequence

StageMode = Literal["reference", "driving", "skeleton", "result", "side_by_side", "wipe"]
MODES: Final[tuple[StageMode, ...]] = (
    "reference",
    "driving",
    "skeleton",
    "result",
    "side_by_side",
    "wipe",
)
PartName = Literal["reference", "driving", "skeleton", "result", "other"]
# What each mode shows, from left to right; the wipe lays the second over the first.
PARTS: Final[dict[StageMode, tuple[PartName, ...]]] = {
    "reference": ("reference",),
    "driving": ("driving",),
    "skeleton": ("skeleton",),
    "result": ("result",),
    "side_by_side": ("driving", "skeleton", "result"),
    "wipe": ("result", "other"),
}
RESULT_MODES: Final = ("result", "wipe")
# Drawn this large, lines stay crisp when zoomed in a little, and drawing stays quick.
_LONGER_SIDE: Final = 1024


@dataclass(frozen=True)
class Layer:
    """An image stretched over the pane's picture; opacity 0 to 1."""

    image: QImage
    opacity: float = 1.0


@dataclass(frozen=True)
class Pane:
    """One picture on the stage.

    Attributes:
        title: what it is: "Result".
        detail: whose: a file's name.
        layers: from below, all stretched over the same room. Empty: ``message`` says why.
        message, action: instead of or beside the picture: what is missing, and what to do.
        badge: a short state that is laid over the picture.
        size: width and height of the whole picture, whose ratio counts; the first layer may be smaller.
    """

    title: str
    detail: str = ""
    layers: tuple[Layer, ...] = ()
    message: str = ""
    action: str = ""
    badge: str = ""
    size: tuple[int, int] | None = None

    @property
    def ratio(self) -> float | None:
        """Width by height of the picture, None where there is none."""
        if not self.layers:
            return None
        image = self.layers[0].image
        width, height = self.size or (image.width(), image.height())
        return width / max(1, height)


class Drawable(Protocol):
    """What is needed of a fitted pose; times in seconds of the motion, ``frames`` at 16 a second."""

    @property
    def start_s(self) -> float: ...
    @property
    def frames(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    def draw(self, frame: int, width: int, height: int) -> QImage: ...


class SkeletonSource(QObject):
    """Draws the fitted skeleton of a moment on a thread; the newest wish wins.

    Signals:
        changed: another skeleton, or none, is there now.
    """

    changed = Signal()

    def __init__(self, background: Background, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._background = background
        self._pose: Drawable | None = None
        self._wanted: int | None = None
        self._drawing = False
        self.image: QImage | None = None

    def set_pose(self, pose: Drawable | None) -> None:
        """Another track; the old one's drawing goes with the first of the new one, or at once with None."""
        if pose is self._pose:
            return
        self._pose, self._wanted = pose, None
        if pose is None:
            self._show(None)

    def covers(self, time_s: float) -> bool:
        """Does the track have a frame for this moment?"""
        return self._pose is not None and 0 <= self._frame_at(self._pose, time_s) < self._pose.frames

    def want(self, time_s: float) -> None:
        """Have the skeleton of this moment drawn."""
        pose = self._pose
        if pose is None:
            return
        if not self.covers(time_s):
            self._wanted = None
            self._show(None)
            return
        frame = self._frame_at(pose, time_s)
        if frame != self._wanted:
            self._wanted = frame
            self._draw()

    def _draw(self) -> None:
        """One drawing at a time: what is asked for meanwhile is drawn next, if it is still wanted."""
        pose, frame = self._pose, self._wanted
        if self._drawing or pose is None or frame is None:
            return
        self._drawing = True
        scale = _LONGER_SIDE / max(pose.width, pose.height)
        size = (max(1, round(pose.width * scale)), max(1, round(pose.height * scale)))
        self._background.run(
            lambda: pose.draw(frame, *size),
            lambda image: self._drawn(pose, frame, image),
            lambda _error: self._drawn(pose, frame, None),
        )

    def _drawn(self, pose: Drawable, frame: int, image: QImage | None) -> None:
        self._drawing = False
        if pose is self._pose and self._wanted is not None:
            self._show(image)
        if (pose, frame) != (self._pose, self._wanted):
            self._draw()

    def _show(self, image: QImage | None) -> None:
        if image is not self.image:
            self.image = image
            self.changed.emit()

    @staticmethod
    def _frame_at(pose: Drawable, time_s: float) -> int:
        return round((time_s - pose.start_s) * FPS)


class PreviewLoop(QObject):
    """A short clip of a render that is still being made, in a loop of its own.

    Signals:
        changed: another picture is there now.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.job_id = ""
        self.badge = ""
        self.frozen = False
        self._images: Sequence[QImage] = ()
        self._fps, self._start_s, self._at = float(FPS), 0.0, 0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._next)

    @property
    def image(self) -> QImage | None:
        """The picture of now."""
        return self._images[self._at] if self._images else None

    def set_clip(self, job_id: str, images: Sequence[QImage], fps: float, start_s: float, badge: str) -> None:
        """A newer clip, of this or another job; the loop goes on where it is."""
        self.job_id, self.badge, self.frozen = job_id, badge, False
        self._images, self._fps, self._start_s = tuple(images), fps, start_s
        self._at %= max(1, len(self._images))
        self._timer.setInterval(max(1, round(1000 / fps)))
        self.changed.emit()

    def clear(self) -> None:
        """There is no render any more."""
        self.job_id, self.badge, self.frozen, self._images, self._at = "", "", False, (), 0
        self._timer.stop()
        self.changed.emit()

    def freeze(self, badge: str) -> None:
        """Hold the present picture."""
        self.frozen, self.badge = True, badge
        self._timer.stop()
        self.changed.emit()

    def run(self, on: bool) -> None:
        """Loop by itself, where somebody looks and nothing else gives the time."""
        if on and not self.frozen and len(self._images) > 1:
            if not self._timer.isActive():
                self._timer.start()
        else:
            self._timer.stop()

    def follow(self, time_s: float) -> None:
        """Show the picture of a moment of the motion, the clip being repeated over all of it."""
        if self._images and not self.frozen:
            self._turn_to(int((time_s - self._start_s) * self._fps + 1e-6) % len(self._images))

    def _next(self) -> None:
        self._turn_to((self._at + 1) % max(1, len(self._images)))

    def _turn_to(self, at: int) -> None:
        if at != self._at:
            self._at = at
            self.changed.emit()
