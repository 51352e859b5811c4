"""Pictures over the stage's clock."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage


class Source(QObject):
    """Something that has a picture for each moment, in seconds of the motion.

    Signals:
        changed: another image is there now.
        failed: message, action; once, then there are no more images.

    Attributes:
        image: the picture that is nearest to what was asked for last; None before the first one.
        image_time_s: its own time.
        size: width and height in pixels of the whole picture, as shown; ``image`` may be smaller.
    """

    changed = Signal()
    failed = Signal(str, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.image: QImage | None = None
        self.image_time_s: float | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        """As above; None while unknown."""
        return None if self.image is None else (self.image.width(), self.image.height())

    def want(self, time_s: float, scrubbing: bool = False, speed: float = 0.0) -> None:
        """Ask for the picture of a moment; never waits, ``changed`` may follow.

        Args:
            time_s: seconds of the motion.
            scrubbing: more wishes follow closely: any near picture at once; the exact one when they rest.
            speed: of the moment by itself; pictures are made ahead. 0 at rest: the exact one, whole.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is wanted any more; ``want`` does nothing then."""
