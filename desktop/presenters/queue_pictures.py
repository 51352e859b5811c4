"""Pictures that belong to queued renders: small ones of their files, and previews while they are made."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage, QImageReader

if TYPE_CHECKING:
    from desktop.presenters.thumbnails import Thumbnails


@dataclass(frozen=True)
class LivePreview:
    """The clip as it looks so far.

    Attributes:
        images: at ``fps``; the first is at ``start_s`` seconds of the motion.
        text: how far it is, in words.
    """

    images: list[QImage]
    fps: float
    start_s: float
    text: str = ""


def read_frames(path: Path) -> list[QImage]:
    """All pictures of an animated or still file; none where it is gone or cannot be read."""
    reader = QImageReader(str(path))
    images: list[QImage] = []
    while (image := reader.read()) and not image.isNull():
        images.append(image)
        if not reader.supportsAnimation():
            break
    return images


class RowThumbnails(QObject):
    """Small pictures of rows, asked for as they are drawn; the latest few hundred are kept."""

    changed = Signal()

    def __init__(self, source: Thumbnails, parent: QObject | None = None, most: int = 400) -> None:
        super().__init__(parent)
        self._source, self._most = source, most
        self._images: OrderedDict[str, QImage | None] = OrderedDict()
        source.ready.connect(self._on_ready)

    def image(self, path: str) -> QImage | None:
        """The picture of a file; None until ``changed``, or where there is none."""
        if path not in self._images:
            self._images[path] = None
            self._source.ask(Path(path))
            while len(self._images) > self._most:
                self._images.popitem(last=False)
        self._images.move_to_end(path)
        return self._images[path]

    def _on_ready(self, path: str, times_s: tuple[float, ...], images: list[QImage]) -> None:
        if path in self._images and not times_s and images:
            self._images[path] = images[0]
            self.changed.emit()
