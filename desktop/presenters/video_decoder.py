"""Decodes a clip on a thread of its own: the newest wish wins, and what will be wished for is made ahead."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtGui import QImage

from core.errors import BadVideo, PirouetteError
from desktop.presenters import thread_priority
from desktop.presenters.frame_cache import CachedFrame, FrameCache
from desktop.presenters.proxy_maker import ProxyMaker

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.media.proxy import Proxy
    from core.media.seeker import Seeker, Shown

# Longer side in pixels: at rest, while playing, while something is dragged.
FULL: Final = 1 << 14
PLAYING: Final = 1280
SMALL: Final = 640
# A drag that rests for this long wants the exact frame in full.
_REST_S: Final = 0.12
# On a long way a picture is shown this often.
_ON_THE_WAY_S: Final = 0.04
_AHEAD_S: Final = 0.5
_AHEAD_BYTES: Final = 64 << 20
_BEHIND_PIXELS: Final = 32_000_000
_MOST_BEHIND: Final = 16
_BACK_S: Final = 0.5
# Up to this speed every frame is decoded from the clip itself.
_FASTEST_WHOLE: Final = 2.0
_CONTINUES_S: Final = 0.25
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wish:
    """A moment, in seconds from the clip's first frame, and how it is come by: as ``Source.want``.

    Attributes:
        seen_side: of the picture of this moment that is shown already; 0 where none is.
    """

    time_s: float
    scrubbing: bool = False
    speed: float = 0.0
    seen_side: int = 0


class VideoDecoder:
    """A clip, its place in the cache, and the thread that fills it; the thread begins with the first wish.

    Args:
        path: of the clip.
        cache: where frames go.
        proxies: where small copies come from.
        show: gets each frame that may be worth showing now; called on the thread.
        fail: gets the error that ended the thread.
    """

    def __init__(
        self,
        path: Path,
        cache: FrameCache,
        proxies: ProxyMaker,
        show: Callable[[CachedFrame], None],
        fail: Callable[[PirouetteError], None],
    ) -> None:
        self._path, self._cache, self._proxies = path, cache, proxies
        self._show, self._fail = show, fail
        self._changed = threading.Condition()
        self._wish: Wish | None = None
        self._served: Wish | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._key: Hashable = None
        self._seeker: Seeker | None = None
        self._proxy: Proxy | None = None
        self._told_at_s = 0.0
        self.size: tuple[int, int] | None = None

    def want(self, wish: Wish) -> None:
        """Never waits."""
        with self._changed:
            if self._closed:
                return
            self._wish = wish
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=f"decode {self._path.name}")
                self._thread.start()
            self._changed.notify()

    def cached(self, time_s: float) -> CachedFrame | None:
        """The best picture of this moment that is in memory."""
        if self._key is None:
            return None
        for side in dict.fromkeys((FULL, self._side(PLAYING), self._side(SMALL))):
            frame = self._cache.at(self._key, side, time_s)
            if frame is not None:
                return frame
        return None

    def close(self) -> None:
        """The thread ends after the frame it is at."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def join(self) -> None:
        """Wait for its end."""
        if self._thread is not None:
            self._thread.join()

    def is_alive(self) -> bool:
        """Does the thread run?"""
        return self._thread is not None and self._thread.is_alive()

    def _work(self) -> None:
        thread_priority.lower(thread_priority.DECODING)
        try:
            self._open()
            while (wish := self._next()) is not None:
                self._serve(wish)
        except PirouetteError as error:
            self._tell(error)
        except Exception as error:
            _LOG.exception("Unforeseen while decoding %s", self._path.name)
            self._tell(BadVideo(f"{self._path.name} cannot be played: {error}."))
        finally:
            if self._seeker is not None:
                self._seeker.close()
            if self._proxy is not None:
                self._proxies.release(self._key)

    def _tell(self, error: PirouetteError) -> None:
        if not self._closed:
            self._fail(error)

    def _open(self) -> None:
        from core.media.proxy import is_worth_a_proxy
        from core.media.seeker import Seeker

        self._seeker = seeker = Seeker(self._path)
        status = self._path.stat()
        self.size = (seeker.info.width, seeker.info.height)
        self._key = (str(self._path), status.st_size, status.st_mtime_ns)
        if is_worth_a_proxy(seeker):
            self._proxy = self._proxies.ask(self._key, self._path)

    def _next(self) -> Wish | None:
        """The newest wish, once there is one that was not served; None to end."""
        with self._changed:
            while not self._closed and self._wish is self._served:
                self._changed.wait()
            self._served = self._wish
            return None if self._closed else self._wish

    def _is_stale(self) -> bool:
        return self._closed or self._wish is not self._served

    def _side(self, limit: int) -> int:
        """The same for all limits that a clip is smaller than."""
        return FULL if self.size is not None and max(self.size) <= limit else limit

    def _serve(self, wish: Wish) -> None:
        known = self.cached(wish.time_s)
        if known is not None and known.side > wish.seen_side:
            self._tell_frame(known)  # it came into memory after the wish
        if wish.scrubbing:
            self._scrub(wish)
        elif 0 < wish.speed <= _FASTEST_WHOLE:
            self._run(wish)
        elif wish.speed:
            self._rush(wish)
        else:
            self._settle(wish)

    def _scrub(self, wish: Wish) -> None:
        if self.cached(wish.time_s) is None and not self._from_proxy(wish.time_s):
            self._approach(wish.time_s, self._side(SMALL))
        with self._changed:
            rests = not self._changed.wait_for(self._is_stale, _REST_S)
        if rests:
            self._settle(wish)

    def _settle(self, wish: Wish) -> None:
        """The exact frame in full; then those before it, which one may step back to."""
        if self._key_at(FULL, wish.time_s) is not None:
            return
        if self.cached(wish.time_s) is None:
            self._from_proxy(wish.time_s)
        before = self._approach(wish.time_s, FULL)
        for shown in reversed(before or ()):
            if self._is_stale():
                return
            if self._key_at(FULL, shown.time_s) is None:
                self._keep(shown, FULL)

    def _run(self, wish: Wish) -> None:
        """Playing: what comes next, as far as there is room for."""
        seeker, side = self._opened(), self._side(PLAYING)
        goal_s = wish.time_s + self._ahead_s() * wish.speed
        missing_s = self._first_missing(side, wish.time_s, goal_s)
        if missing_s is None:
            return
        if missing_s == wish.time_s:
            self._from_proxy(wish.time_s)
        for target_s in (missing_s, goal_s):
            for shown in seeker.walk(target_s):
                newest = self._wish
                if self._closed or newest is None or not _continues(wish, newest, goal_s):
                    return
                if shown.until_s > max(newest.time_s, missing_s):
                    self._publish(shown, side, shown.covers(newest.time_s))
                elif shown.until_s > missing_s:
                    self._publish_on_the_way(shown)

    def _rush(self, wish: Wish) -> None:
        """Fast, or backwards: small pictures."""
        time_s, side = wish.time_s, self._side(SMALL)
        if self.cached(time_s) is not None or self._from_proxy(time_s):
            return
        if wish.speed > 0:
            self._approach(time_s, side)
            return
        begin_s = max(0.0, time_s - _BACK_S)
        for target_s in (begin_s, time_s):
            for shown in self._opened().walk(target_s):
                newest = self._wish
                if self._closed or newest is None or newest.speed != wish.speed or newest.scrubbing:
                    return
                if shown.until_s > begin_s:
                    self._publish(shown, side, shown.covers(newest.time_s))

    def _approach(self, time_s: float, side: int) -> list[Shown] | None:
        """Publish the frame of a moment, small ones on a long way. The ones before it; None where stale."""
        assert self.size is not None
        room = max(1, min(_MOST_BEHIND, _BEHIND_PIXELS // (self.size[0] * self.size[1])))
        before: deque[Shown] = deque(maxlen=room)
        for shown in self._opened().walk(time_s):
            if shown.covers(time_s):
                self._publish(shown, side, True)
                return list(before)
            if self._is_stale():
                self._publish_on_the_way(shown)
                return None
            self._publish_on_the_way(shown)
            before.append(shown)
        return None

    def _publish_on_the_way(self, shown: Shown) -> None:
        if time.monotonic() - self._told_at_s >= _ON_THE_WAY_S:
            self._publish(shown, self._side(SMALL), True)

    def _publish(self, shown: Shown, side: int, tell: bool) -> None:
        frame = self._key_at(side, shown.time_s) or self._keep(shown, side)
        if tell:
            self._tell_frame(frame)

    def _keep(self, shown: Shown, side: int) -> CachedFrame:
        image = _image(self._opened().picture(shown, side))
        frame = CachedFrame(image, shown.time_s, shown.from_s, shown.until_s, side)
        self._cache.put(self._key, frame)
        return frame

    def _from_proxy(self, time_s: float) -> bool:
        found = None if self._proxy is None else self._proxy.picture(time_s)
        if found is None:
            return False
        own_s, from_s, until_s, picture = found
        frame = CachedFrame(_image(picture), own_s, from_s, until_s, SMALL)
        self._cache.put(self._key, frame)
        self._tell_frame(frame)
        return True

    def _tell_frame(self, frame: CachedFrame) -> None:
        self._told_at_s = time.monotonic()
        if not self._closed:
            self._show(frame)

    def _key_at(self, side: int, time_s: float) -> CachedFrame | None:
        return self._cache.at(self._key, side, time_s)

    def _first_missing(self, side: int, time_s: float, goal_s: float) -> float | None:
        while time_s < goal_s:
            frame = self._key_at(side, time_s)
            if frame is None:
                return time_s
            time_s = frame.until_s
        return None

    def _ahead_s(self) -> float:
        assert self.size is not None
        scale = min(1.0, self._side(PLAYING) / max(self.size))
        frame_bytes = 4 * self.size[0] * self.size[1] * scale**2
        return min(_AHEAD_S, _AHEAD_BYTES / frame_bytes / self._opened().info.fps)

    def _opened(self) -> Seeker:
        assert self._seeker is not None, "wishes are served once it is open"
        return self._seeker


def _continues(wish: Wish, newest: Wish, goal_s: float) -> bool:
    """Is the newest wish the same playing, a little later?"""
    same = newest.speed == wish.speed and not newest.scrubbing
    return same and wish.time_s - 1e-6 <= newest.time_s <= goal_s + _CONTINUES_S


def _image(picture: NDArray[np.uint8]) -> QImage:
    """BGRA [H, W, 4] uint8, which the image keeps alive."""
    height, width, _ = picture.shape
    return QImage(picture.data, width, height, 4 * width, QImage.Format.Format_RGB32)
