"""Pictures of a filmstrip: only those in view are asked for, a few at a time, the newest wish first."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from core.types import FPS
from desktop.model.grid import nearest
from desktop.presenters.background import Background

if TYPE_CHECKING:
    from desktop.presenters.thumbnails import Thumbnails

# Pictures of one answer: few enough that the strip is seen to fill, and that a scroll is answered at once.
_AT_ONCE: Final = 6
# Of 160 x 90 pixels, 57 kB each.
_KEPT: Final = 400
_SKELETONS_AT_ONCE: Final = 4


@dataclass(frozen=True)
class Sign:
    """Why there are no pictures: what is wrong, and the way out."""

    message: str
    action: str = ""


class Frames:
    """The most recently used pictures by frame number."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._images: OrderedDict[int, QImage] = OrderedDict()
        self._kept = kept
        self._sorted: list[int] | None = None

    def __contains__(self, frame: int) -> bool:
        return frame in self._images

    def __len__(self) -> int:
        return len(self._images)

    def put(self, frame: int, image: QImage) -> None:
        """Keep one; the one used longest ago goes."""
        self._sorted = None
        self._images[frame] = image
        self._images.move_to_end(frame)
        while len(self._images) > self._kept:
            self._images.popitem(last=False)

    def get(self, frame: int) -> QImage | None:
        """This very frame."""
        image = self._images.get(frame)
        if image is not None:
            self._images.move_to_end(frame)
        return image

    def closest(self, frame: int, within: int) -> QImage | None:
        """Something to show until the frame itself is here, not further away than ``within`` frames."""
        if self._sorted is None:
            self._sorted = sorted(self._images)
        place = bisect_left(self._sorted, frame)
        around = self._sorted[max(0, place - 1) : place + 1]
        near = min(around, key=lambda each: abs(each - frame), default=None)
        return None if near is None or abs(near - frame) > within else self._images[near]

    def any(self) -> QImage | None:
        """Whichever; None where there is none."""
        return next(iter(self._images.values()), None)

    def clear(self) -> None:
        """Forget all."""
        self._sorted = None
        self._images.clear()


class Filmstrip(QObject):
    """Thumbnails of one file by frame of its 16 fps grid.

    Args:
        thumbnails: makes them.
        side: of the longer side, in pixels.

    Signals:
        changed: another picture is here, or it is known that there will be none.
    """

    changed = Signal()

    def __init__(self, thumbnails: Thumbnails, side: int = 160, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thumbnails, self._side = thumbnails, side
        self._path: Path | None = None
        self._frames = Frames()
        self._wanted: list[int] = []
        self._asked: set[int] = set()
        self._given_up: set[int] = set()
        self._sign: Sign | None = None
        thumbnails.ready.connect(self._on_ready)
        thumbnails.failed.connect(self._on_failed)

    @property
    def sign(self) -> Sign | None:
        """Why nothing can be shown."""
        return self._sign

    @property
    def wanted(self) -> tuple[int, ...]:
        """Frames in view."""
        return tuple(self._wanted)

    @property
    def aspect(self) -> float:
        """Width by height of the pictures; 1 until one is here."""
        some = self._frames.any()
        return some.width() / max(1, some.height()) if some is not None else 1.0

    def show(self, path: Path | None) -> None:
        """Another file, or none."""
        if path == self._path:
            return
        self._path = path
        self.refresh()

    def refresh(self) -> None:
        """Forget what is here: the file may be another one under the same name."""
        self._frames.clear()
        self._wanted, self._sign = [], None
        self._asked.clear()
        self._given_up.clear()
        self.changed.emit()

    def want(self, frames: Iterable[int]) -> None:
        """These are in view; what was wanted before and not asked for is not any more."""
        self._wanted = list(dict.fromkeys(frames))
        self._ask()

    def image(self, frame: int, within: int = 0) -> QImage | None:
        """The picture of a frame, or of one near by until it is here."""
        return self._frames.get(frame) or (self._frames.closest(frame, within) if within else None)

    def close(self) -> None:
        """Nobody is told any more."""
        self._thumbnails.ready.disconnect(self._on_ready)
        self._thumbnails.failed.disconnect(self._on_failed)

    def _ask(self) -> None:
        if self._path is None or self._sign is not None or self._asked:
            return
        missing = [each for each in self._wanted if each not in self._frames and each not in self._given_up]
        if missing:
            # From all over the view first: a coarse strip at once, the rest between.
            now = missing[:: max(1, len(missing) // _AT_ONCE)][:_AT_ONCE]
            self._asked.update(now)
            self._thumbnails.ask(self._path, tuple(each / FPS for each in now), self._side)

    def _on_ready(self, path: str, times_s: Sequence[float], images: Sequence[QImage]) -> None:
        if self._path is None or path != str(self._path) or not times_s:
            return
        for time_s, image in zip(times_s, images, strict=False):
            self._frames.put(nearest(time_s), image)
        self._asked.difference_update(nearest(time_s) for time_s in times_s)
        self._ask()
        self.changed.emit()

    def _on_failed(self, path: str, message: str, action: str) -> None:
        if self._path is None or path != str(self._path):
            return
        self._given_up |= self._asked
        self._asked.clear()
        if len(self._frames):
            self._ask()
        else:
            self._sign = Sign(message, action)
        self.changed.emit()


class Skeletons(QObject):
    """Skeletons of the fitted pose by frame of the motion's grid, drawn on a thread.

    Args:
        background: draws.

    Signals:
        changed: another skeleton is here.
    """

    changed = Signal()

    def __init__(self, background: Background, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._background = background
        self._fitted: Any = None
        self._frames = Frames()
        self._wanted: list[int] = []
        self._drawing = False
        self._height = 0
        self._turn = 0

    @property
    def wanted(self) -> tuple[int, ...]:
        """Fitted frames in view."""
        return tuple(self._wanted)

    @property
    def aspect(self) -> float:
        """Width by height."""
        return self._fitted.width / max(1, self._fitted.height) if self._fitted is not None else 1.0

    def show(self, fitted: Any) -> None:
        """Other poses, or None."""
        if fitted is not self._fitted:
            self._fitted = fitted
            self._forget()

    def want(self, frames: Iterable[int], height: int) -> None:
        """These of the fitted frames are in view, ``height`` pixels high."""
        if height != self._height:
            self._height = height
            self._forget()
        self._wanted = list(dict.fromkeys(frames))
        self._draw()

    def image(self, frame: int) -> QImage | None:
        """The skeleton of a fitted frame on a transparent ground, once it is drawn."""
        return self._frames.get(frame)

    def _forget(self) -> None:
        self._frames.clear()
        self._wanted = []
        self._turn += 1
        self._drawing = False

    def _draw(self) -> None:
        if self._fitted is None or self._drawing or self._height < 1:
            return
        missing = [each for each in self._wanted if each not in self._frames][:_SKELETONS_AT_ONCE]
        if missing:
            self._drawing = True
            width = max(1, round(self._height * self.aspect))
            self._background.run(
                _drawing(self._fitted, missing, width, self._height), self._arrival(self._turn)
            )

    def _arrival(self, turn: int) -> Callable[[dict[int, QImage]], None]:
        def arrived(images: dict[int, QImage]) -> None:
            if turn != self._turn:
                return
            for frame, image in images.items():
                self._frames.put(frame, image)
            self._drawing = False
            self._draw()
            self.changed.emit()

        return arrived


def _drawing(fitted: Any, frames: Sequence[int], width: int, height: int) -> Callable[[], dict[int, QImage]]:
    return lambda: {frame: fitted.draw(frame, width, height) for frame in frames}
