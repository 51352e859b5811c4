"""Reads a finished video back from disk, so that the stage plays the very file that was written."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from core.errors import PirouetteError
from desktop.presenters.previews import video_frames


class PlayerPresenter(QObject):
    """Decodes on its own thread.

    Signals:
        ready: (path as text, list of QImage at 16 fps).
        failed: (message, action).
    """

    ready = Signal(str, object)
    failed = Signal(str, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="player")

    def open(self, path: Path) -> None:
        """Read the video; one of the signals follows."""
        self._worker.submit(video_frames, path).add_done_callback(lambda done: self._report(path, done))

    def close(self) -> None:
        """Wait for the file that is being read."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _report(self, path: Path, done: Future[list[QImage]]) -> None:
        """On the worker's thread; the signals cross over to the window's."""
        if done.cancelled():
            return
        match done.exception():
            case None:
                self.ready.emit(str(path), done.result())
            case PirouetteError() as error:
                self.failed.emit(error.statement(), error.action)
            case error:
                self.failed.emit(f"{path.name} cannot be played: {error}.", "")
