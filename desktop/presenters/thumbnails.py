"""Small pictures of files for lists and filmstrips: from the disk cache, else made in a helper process."""

from __future__ import annotations

import heapq
import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from core.errors import BadInput, EngineError, PirouetteError
from desktop.presenters.background import Background
from desktop.presenters.thumbnail_cache import Stamp, ThumbnailCache, stamp_of
from desktop.presenters.thumbnail_helper import HelperGone, ThumbnailHelper, crashed

_LOG = logging.getLogger(__name__)
SIDE: Final = 160
_JOIN_S: Final = 5.0
_MOST_STARTS: Final = 4
# The exit code of a Python that could not even begin: no file is to blame.
_PYTHON_FAILED: Final = 1
_Asked = tuple[Path, tuple[float, ...], int]


@dataclass(order=True, frozen=True)
class _Job:
    """What is to be made: stills before filmstrips, else in the order of asking."""

    is_strip: bool
    number: int
    asked: _Asked = field(compare=False)
    stamp: Stamp = field(compare=False)
    times_s: tuple[float, ...] = field(compare=False)


@dataclass(frozen=True)
class _Found:
    """What the cache had: pictures by moment (None for the one still), and what it lacked."""

    stamp: Stamp
    images: dict[float | None, QImage]
    missing: tuple[float | None, ...]


class Thumbnails(QObject):
    """Asks the cache on one thread and the helper on another; both are started when first needed.

    Args:
        cache: None takes the user's.
        helper: None takes the real process.

    Signals:
        ready: path as text, moments in seconds (an empty tuple for the one still), as many images. What was
            asked for in one go may come in several parts, each with its own moments.
        failed: path as text, message, action; nothing more comes of what was asked for.
    """

    ready = Signal(str, object, object)
    failed = Signal(str, str, str)
    _made = Signal(object, object, object)
    _ended = Signal(object, object)

    def __init__(
        self,
        cache: ThumbnailCache | None = None,
        helper: ThumbnailHelper | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._cache = cache or ThumbnailCache()
        self._lookup = Background("thumbnail-cache", parent=self)
        self._helper = helper or ThumbnailHelper()
        self._under_way: set[_Asked] = set()
        # Files that the helper could not read, as they were then: not tried again.
        self._hopeless: dict[Stamp, PirouetteError] = {}
        self._jobs: list[_Job] = []
        self._number = 0
        self._wake = threading.Condition()
        self._closed = False
        self._maker: threading.Thread | None = None
        self._made.connect(self._on_made)
        self._ended.connect(self._on_ended)

    def ask(self, path: Path, times_s: tuple[float, ...] = (), side: int = SIDE) -> None:
        """Pictures of a file will come through ``ready``; never blocks.

        Args:
            path: a picture, a video, a keypoint file or an OpenPose folder.
            times_s: moments of a motion in seconds; none asks for the one picture that stands for the file.
            side: of the longer side in pixels at most.
        """
        asked = (path, tuple(times_s), side)
        if asked in self._under_way or self._closed:
            return
        self._under_way.add(asked)
        self._lookup.run(
            lambda: self._find(asked),
            lambda found: self._on_found(asked, found),
            lambda error: self._fail(asked, error),
        )

    def drop(self, path: Path) -> None:
        """What was asked of this file and has not begun is not wanted any more."""
        with self._wake:
            dropped = [job for job in self._jobs if job.asked[0] == path]
            self._jobs = [job for job in self._jobs if job.asked[0] != path]
            heapq.heapify(self._jobs)
        self._under_way -= {job.asked for job in dropped}

    def close(self) -> None:
        """Stop both threads and the process; nobody is told any more."""
        with self._wake:
            self._closed = True
            self._jobs.clear()
            self._wake.notify_all()
        self._helper.close()
        self._lookup.close()
        if self._maker is not None:
            self._maker.join(_JOIN_S)

    def _find(self, asked: _Asked) -> _Found:
        """On the cache's thread."""
        path, times_s, side = asked
        try:
            stamp = stamp_of(path)
        except OSError as error:
            raise _missing(path, error) from error
        moments: tuple[float | None, ...] = times_s or (None,)
        images: dict[float | None, QImage] = {}
        for moment in moments:
            data = None if self._closed else self._cache.get(stamp, moment, side)
            image = QImage() if data is None else QImage.fromData(data)
            if not image.isNull():
                images[moment] = image
        return _Found(stamp, images, tuple(moment for moment in moments if moment not in images))

    def _on_found(self, asked: _Asked, found: _Found) -> None:
        if found.missing and found.stamp in self._hopeless:
            self._fail(asked, self._hopeless[found.stamp])
            return
        if found.missing:
            self._make(asked, found)
        else:
            self._under_way.discard(asked)
        if found.images:
            self._tell(asked[0], found.images)

    def _make(self, asked: _Asked, found: _Found) -> None:
        self._number += 1
        times_s = tuple(moment for moment in found.missing if moment is not None)
        with self._wake:
            if self._closed:
                return
            heapq.heappush(self._jobs, _Job(bool(times_s), self._number, asked, found.stamp, times_s))
            self._wake.notify_all()
        if self._maker is None:
            self._maker = threading.Thread(target=self._work, name="thumbnail-maker", daemon=True)
            self._maker.start()

    def _work(self) -> None:
        """The maker's thread; it started the helper, and on Linux its end would end the helper."""
        while (job := self._next()) is not None:
            error: PirouetteError | None = None
            try:
                self._try(job)
            except PirouetteError as refused:
                error = refused
            except Exception as unforeseen:
                _LOG.exception("No thumbnail of %s", job.stamp.path)
                error = EngineError(f"No thumbnail could be made: {unforeseen}.")
            if not self._closed:
                self._ended.emit(job, error)
        self._helper.finish()

    def _next(self) -> _Job | None:
        with self._wake:
            while not self._jobs and not self._closed:
                self._wake.wait()
            return None if self._closed else heapq.heappop(self._jobs)

    def _try(self, job: _Job) -> None:
        """A helper that left was idle; one that died gets a second chance, for the file may be sound."""
        died = 0
        for _ in range(_MOST_STARTS):
            try:
                self._make_one(job)
            except HelperGone as gone:
                if self._closed:
                    return
                if gone.value == _PYTHON_FAILED:
                    raise
                died += gone.value != 0
                if died > 1:
                    raise crashed(job.stamp.path) from gone
            else:
                return
        raise crashed(job.stamp.path)

    def _make_one(self, job: _Job) -> None:
        path, _, side = job.asked
        for moment, data in self._helper.pictures(path, job.times_s, side):
            if self._closed:
                return
            image = QImage.fromData(data)
            if not image.isNull():
                self._made.emit(job, moment, image)
                self._cache.put(job.stamp, moment, side, data)

    def _on_made(self, job: _Job, moment: float | None, image: QImage) -> None:
        if not self._closed:
            self._tell(job.asked[0], {moment: image})

    def _on_ended(self, job: _Job, error: PirouetteError | None) -> None:
        self._under_way.discard(job.asked)
        if error is not None and not self._closed:
            if isinstance(error, BadInput):
                self._hopeless[job.stamp] = error
            self._fail(job.asked, error)

    def _fail(self, asked: _Asked, error: PirouetteError) -> None:
        self._under_way.discard(asked)
        self.failed.emit(str(asked[0]), error.statement(), error.action)

    def _tell(self, path: Path, images: dict[float | None, QImage]) -> None:
        times_s = tuple(moment for moment in images if moment is not None)
        self.ready.emit(str(path), times_s, list(images.values()))


def _missing(path: Path, error: OSError) -> BadInput:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return BadInput(
            f"{path.name} is not there any more.", value=path, action="Put it back, or remove it."
        )
    return BadInput(f"{path.name} cannot be read: {error.strerror or error}.", value=path)
