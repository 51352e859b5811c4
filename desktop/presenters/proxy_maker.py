"""Makes small copies of slow clips, one at a time, on a thread that stands behind everything else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import Cancelled, PirouetteError
from desktop.presenters import thread_priority

if TYPE_CHECKING:
    from core.media.proxy import Proxy

_LOG = logging.getLogger(__name__)


@dataclass
class _Wanted:
    """A copy and how many look at it."""

    path: Path
    proxy: Proxy
    users: int = 1


class ProxyMaker:
    """Copies by clip, shared by all who show it. For any number of threads.

    Args:
        folder: where copies are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changed = threading.Condition()
        self._wanted: dict[Hashable, _Wanted] = {}
        self._waiting: list[Hashable] = []
        self._thread: threading.Thread | None = None
        self._closed = False

    def ask(self, clip: Hashable, path: Path) -> Proxy:
        """The clip's copy: finished, or growing from now on. ``release`` it afterwards."""
        from core.media.proxy import Proxies, Proxy

        with self._changed:
            known = self._wanted.get(clip)
            if known is not None:
                known.users += 1
                return known.proxy
            found = Proxies(self._folder).find(path)
            proxy = Proxy() if found is None else found
            self._wanted[clip] = _Wanted(path, proxy)
            if found is None and not self._closed:
                self._waiting.append(clip)
                self._start()
            return proxy

    def release(self, clip: Hashable) -> None:
        """One less looks at it; an unfinished one that nobody looks at is given up."""
        with self._changed:
            wanted = self._wanted[clip]
            wanted.users -= 1
            if wanted.users:
                return
            del self._wanted[clip]
            if clip in self._waiting:
                self._waiting.remove(clip)
        wanted.proxy.close()

    def close(self) -> None:
        """Gives up what is unfinished; leaves no thread."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="proxies")
            self._thread.start()
        self._changed.notify()

    def _work(self) -> None:
        thread_priority.lower(thread_priority.AHEAD)
        while True:
            with self._changed:
                while not (self._waiting or self._closed):
                    self._changed.wait()
                if self._closed:
                    return
                clip = self._waiting.pop(0)
                wanted = self._wanted[clip]
            self._make(clip, wanted)

    def _make(self, clip: Hashable, wanted: _Wanted) -> None:
        from core.media.proxy import Proxies

        def check() -> None:
            if self._closed or self._wanted.get(clip) is not wanted:
                raise Cancelled

        try:
            Proxies(self._folder).make(wanted.path, wanted.proxy, check)
        except Cancelled:
            _LOG.debug("The copy of %s is not wanted any more", wanted.path.name)
        except PirouetteError as error:
            _LOG.warning("No copy for scrubbing of %s: %s", wanted.path.name, error.sentence())
        except Exception:  # the clip is gone by now, say: others want their copies
            _LOG.exception("No copy for scrubbing of %s", wanted.path.name)
            wanted.proxy.close()
