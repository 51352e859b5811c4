"""Where the pictures on the stage come from: clips, stills, and frames in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QImage, QImageReader

from core.errors import PirouetteError
from core.settings import places
from desktop.presenters.background import Background
from desktop.presenters.frame_cache import LIMIT_BYTES, CachedFrame, FrameCache
from desktop.presenters.proxy_maker import ProxyMaker
from desktop.presenters.source import Source
from desktop.presenters.video_decoder import FULL, VideoDecoder, Wish

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FramesSource", "Source", "Sources", "StillSource", "VideoSource"]

# A larger picture gains nothing on a screen and takes long to paint.
_LARGEST_STILL: Final = 4096
_EPSILON_FRAMES: Final = 1e-3


class VideoSource(Source):
    """A clip.

    Args:
        path: of the clip; opened with the first wish.
        offset_s: where its first frame is on the motion's clock.
    """

    _arrived = Signal(object)
    _broke = Signal(object)

    def __init__(
        self,
        path: Path,
        offset_s: float,
        cache: FrameCache,
        proxies: ProxyMaker,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.path, self._offset_s = path, offset_s
        self._wish: Wish | None = None
        self._shown: CachedFrame | None = None
        self._closed = False
        self._arrived.connect(self._show, Qt.ConnectionType.QueuedConnection)
        self._broke.connect(self._fail, Qt.ConnectionType.QueuedConnection)
        self._decoder = VideoDecoder(path, cache, proxies, self._arrived.emit, self._broke.emit)

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the clip as shown."""
        return self._decoder.size

    def want(self, time_s: float, scrubbing: bool = False, speed: float = 0.0) -> None:
        """As ``Source.want``; before the clip's beginning its first frame, after its end the last."""
        if self._closed:
            return
        self._wish = wish = Wish(max(0.0, time_s - self._offset_s), scrubbing, speed)
        known = self._decoder.cached(wish.time_s)
        if known is not None:
            self._show(known)
        if known is None or known.side < FULL or speed:
            self._decoder.want(replace(wish, seen_side=self._side_shown(wish.time_s)))

    def close(self) -> None:
        """The thread ends soon; ``join`` waits for it."""
        self._closed = True
        self._decoder.close()

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._decoder.join()

    def is_alive(self) -> bool:
        """Is it open, or its thread still ending?"""
        return not self._closed or self._decoder.is_alive()

    def _show(self, frame: CachedFrame) -> None:
        if self._closed or self._wish is None or not self._is_better(frame, self._wish):
            return
        self._shown = frame
        self.image, self.image_time_s = frame.image, frame.time_s + self._offset_s
        self.changed.emit()

    def _side_shown(self, time_s: float) -> int:
        return self._shown.side if self._shown is not None and self._shown.covers(time_s) else 0

    def _is_better(self, frame: CachedFrame, wish: Wish) -> bool:
        now = self._shown
        if now is None:
            return True
        if frame.covers(wish.time_s):
            return not now.covers(wish.time_s) or frame.side > now.side
        near = frame.distance_s(wish.time_s) < now.distance_s(wish.time_s)
        return near and (wish.scrubbing or wish.speed != 0)

    def _fail(self, error: PirouetteError) -> None:
        if not self._closed:
            self.failed.emit(error.statement(), error.action)


class StillSource(Source):
    """The same picture at every moment.

    Args:
        picture: a file, read in the background with the first wish, or the picture itself.
    """

    def __init__(self, picture: Path | QImage, background: Background, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._background = background
        self._path = picture if isinstance(picture, Path) else None
        self._asked = self._closed = False
        if isinstance(picture, QImage):
            self.image, self.image_time_s = picture, 0.0

    def want(self, time_s: float, scrubbing: bool = False, speed: float = 0.0) -> None:  # noqa: ARG002
        """As ``Source.want``."""
        path = self._path
        if path is not None and not self._asked and not self._closed:
            self._asked = True
            self._background.run(lambda: _still(path), self._show, self._fail)

    def close(self) -> None:
        """Nobody is told any more."""
        self._closed = True

    def _show(self, image: QImage) -> None:
        if not self._closed:
            self.image, self.image_time_s = image, 0.0
            self.changed.emit()

    def _fail(self, error: PirouetteError) -> None:
        if not self._closed:
            self.failed.emit(error.statement(), error.action)


class FramesSource(Source):
    """Pictures in memory.

    Args:
        images: one after the other, at least one.
        fps: frames a second.
        offset_s: where the first one is on the motion's clock.
    """

    def __init__(
        self, images: Sequence[QImage], fps: float, offset_s: float = 0.0, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._images, self._fps, self._offset_s = tuple(images), fps, offset_s
        self._number: int | None = None

    def want(self, time_s: float, scrubbing: bool = False, speed: float = 0.0) -> None:  # noqa: ARG002
        """As ``Source.want``; before the first the first, after the last the last."""
        if not self._images:
            return
        number = int(max(0.0, (time_s - self._offset_s) * self._fps + _EPSILON_FRAMES))
        number = min(number, len(self._images) - 1)
        if number != self._number:
            self._number = number
            self.image, self.image_time_s = self._images[number], self._offset_s + number / self._fps
            self.changed.emit()

    def close(self) -> None:
        """Let the pictures go."""
        self._images = ()


class Sources:
    """Makes sources, which share the memory for frames and the small copies of slow clips.

    Args:
        limit_bytes: of decoded frames in memory.
        proxy_folder: of the copies; by default in this user's cache.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES, proxy_folder: Path | None = None) -> None:
        self.cache = FrameCache(limit_bytes)
        self._proxies = ProxyMaker(proxy_folder or places().cache / "proxies")
        self._background = Background("stills")
        self._videos: list[VideoSource] = []

    def video(self, path: Path, offset_s: float = 0.0) -> VideoSource:
        """A clip whose first frame is at ``offset_s`` of the motion."""
        self._videos = [one for one in self._videos if one.is_alive()]
        source = VideoSource(path, offset_s, self.cache, self._proxies)
        self._videos.append(source)
        return source

    def still(self, picture: Path | QImage) -> StillSource:
        """A picture."""
        return StillSource(picture, self._background)

    def frames(self, images: Sequence[QImage], fps: float, offset_s: float = 0.0) -> FramesSource:
        """Pictures in memory, the first at ``offset_s`` of the motion."""
        return FramesSource(images, fps, offset_s)

    def close(self) -> None:
        """Close all of them; leaves no thread."""
        for video in self._videos:
            video.close()
        self._proxies.close()
        self._background.close()
        for video in self._videos:
            video.join()


def _still(path: Path) -> QImage:
    """As a render reads it, at most ``_LARGEST_STILL`` pixels a side. Raises ``BadImage``."""
    return _plain_still(path) or _any_still(path)


def _plain_still(path: Path) -> QImage | None:
    """Of an opaque 8-bit PNG or JPEG: through Qt, which spares the start a third of a second of imports."""
    reader = QImageReader(str(path))
    reader.setAutoTransform(True)
    size = reader.size()
    plain = reader.imageFormat() in (QImage.Format.Format_RGB32, QImage.Format.Format_RGB888)
    if bytes(reader.format().data()) not in (b"png", b"jpeg") or not plain or not size.isValid():
        return None
    if max(size.width(), size.height()) > _LARGEST_STILL:
        return None
    image = reader.read()
    return None if image.isNull() else image.convertToFormat(QImage.Format.Format_RGB32)


def _any_still(path: Path) -> QImage:
    from core.media.images import load_reference

    picture: NDArray[np.uint8] = load_reference(path)
    height, width, _ = picture.shape
    image = QImage(picture.data, width, height, 3 * width, QImage.Format.Format_RGB888)
    if max(width, height) > _LARGEST_STILL:
        size = image.size().scaled(_LARGEST_STILL, _LARGEST_STILL, Qt.AspectRatioMode.KeepAspectRatio)
        image = image.scaled(
            size, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
    return image.convertToFormat(QImage.Format.Format_RGB32)
