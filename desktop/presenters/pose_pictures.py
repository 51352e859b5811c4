"""Pictures for the pose check: the reference, and frames of the motion's clip, read on a thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QObject
from PySide6.QtGui import QImage

from core.errors import PirouetteError
from desktop.presenters.background import Background

if TYPE_CHECKING:
    from core.media.seeker import Seeker

_SIDE: Final = 1600
Then = Callable[[QImage], None]


class PosePictures(QObject):
    """Reads pictures in the order in which they are asked for; keeps the clip open."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._background = Background("pose-pictures", parent=self)
        self._open: tuple[Path, Seeker] | None = None

    def reference(self, path: Path, then: Then) -> None:
        """The reference, upright, as a render sees it; nothing comes where it cannot be read."""
        self._background.run(lambda: _reference(path), then, _left_out)

    def frame(self, clip: Path, time_s: float, side: int, then: Then, latest: str = "") -> None:
        """What is on screen at a moment of a clip.

        Args:
            side: pixels of the longer side.
            latest: a newer wish of the same name takes the place of one that has not been begun.
        """
        self._background.run(lambda: self._frame(clip, time_s, side), then, _left_out, latest)

    def close(self) -> None:
        """Wait for what is being read, and give the clip back."""
        self._background.close()
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _frame(self, clip: Path, time_s: float, side: int) -> QImage:
        seeker = self._seeker(clip)
        return _image(seeker.picture(seeker.at(time_s), side))

    def _seeker(self, clip: Path) -> Seeker:
        from core.media.seeker import Seeker

        if self._open is not None and self._open[0] != clip:
            self._open[1].close()
            self._open = None
        if self._open is None:
            self._open = (clip, Seeker(clip))
        return self._open[1]


def _reference(path: Path) -> QImage:
    import cv2

    from core.media.images import load_reference

    picture = load_reference(path)
    height, width = picture.shape[:2]
    factor = min(1.0, _SIDE / max(height, width))
    if factor < 1:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return _image(cv2.cvtColor(picture, cv2.COLOR_RGB2BGRA))


def _image(pixels: Any) -> QImage:
    """Contiguous BGRA [H, W, 4] uint8 as an image of its own."""
    height, width = pixels.shape[:2]
    return QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32).copy()


def _left_out(_error: PirouetteError) -> None:
    """Whoever looked at the file first has told it; here there is no picture then."""
