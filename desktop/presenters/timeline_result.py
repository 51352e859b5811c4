"""The result's track: what is rendered of it so far, with pictures of the preview or of the finished file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from core.types import FPS
from desktop.presenters.strip import Filmstrip


class ResultTrack(QObject):
    """A result in the making, or a finished one; nothing at first.

    Attributes:
        start_s: where its first frame is, in seconds of the motion.
        frames: of the whole of it, 0 where there is nothing.
        done: frames that are there.
        name: of the finished one.
        strip: thumbnails of the finished one, by its own frames.

    Signals:
        changed: any of it.
    """

    changed = Signal()

    def __init__(self, strip: Filmstrip, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.strip = strip
        self.start_s, self.frames, self.done, self.name = 0.0, 0, 0, ""
        self._images: tuple[QImage, ...] = ()
        self._path: Path | None = None

    @property
    def path(self) -> Path | None:
        """Of the finished one."""
        return self._path

    @property
    def end_s(self) -> float:
        """Where it ends, in seconds of the motion."""
        return self.start_s + self.frames / FPS

    @property
    def done_s(self) -> float:
        """How far it is there, in seconds of the motion."""
        return self.start_s + self.done / FPS

    @property
    def finished_one(self) -> bool:
        """Is it a file that can be played?"""
        return self._path is not None

    @property
    def aspect(self) -> float:
        """Width by height of its pictures."""
        if self._path is None and self._images:
            return self._images[0].width() / max(1, self._images[0].height())
        return self.strip.aspect

    def progress(self, done: int, frames: int, start_s: float) -> None:
        """A render is under way; one that begins anew shows nothing of the one before."""
        if self._path is not None:
            self._forget()
        self.frames, self.start_s = max(0, frames), start_s
        self.done = min(max(0, done), self.frames)
        self.changed.emit()

    def preview(self, images: Sequence[QImage], frames: int, start_s: float) -> None:
        """Pictures of the live preview.

        Args:
            frames: of the whole result, where no progress has told yet.
        """
        if self._path is not None:
            self._forget()
        if not self.frames:
            self.frames, self.start_s = frames, start_s
        self._images = tuple(images)
        self.changed.emit()

    def finished(self, path: Path, start_s: float, frames: int, name: str) -> None:
        """It is on disk."""
        again = path == self._path
        self._forget()
        self._path, self.start_s, self.frames, self.done = path, start_s, frames, frames
        self.name = name or path.stem
        self.strip.show(path)
        if again:
            self.strip.refresh()
        self.changed.emit()

    def clear(self) -> None:
        """Nothing."""
        if self.frames or self._images:
            self._forget()
            self.strip.show(None)
            self.changed.emit()

    def want(self, frames: Iterable[int]) -> None:
        """These of its frames are in view."""
        if self._path is not None:
            self.strip.want(frames)

    def image(self, frame: int, within: int) -> QImage | None:
        """A picture for one of its frames, or for one near by."""
        if self._path is not None:
            return self.strip.image(frame, within)
        if not self._images or not self.frames:
            return None
        place = frame * len(self._images) // self.frames
        return self._images[min(max(0, place), len(self._images) - 1)]

    def close(self) -> None:
        """Nobody is told any more."""
        self.strip.close()

    def _forget(self) -> None:
        self._path, self._images, self.name = None, (), ""
        self.frames = self.done = 0
