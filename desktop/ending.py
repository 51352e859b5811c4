"""The end of the app is bounded: what does not answer any more is not waited for."""

from __future__ import annotations

import logging
import os
import threading
from typing import Final

# The queue keeps a render's state within 14 s, poses and thumbnails take 8 s at most; then something hangs.
END_WITHIN_S: Final = 30.0
_HUNG: Final = 1
_LOG = logging.getLogger(__name__)


def end_within(limit_s: float = END_WITHIN_S) -> None:
    """End the process after this many seconds, whoever still works in it.

    A drive of the network that went away can hold a thread up for ever, and with it a process that nobody
    sees. Nothing is lost: files are written beside and renamed, the queue is a database, what was open is
    kept first, and helper processes end with this one.
    """
    watch = threading.Timer(limit_s, _give_up, (limit_s,))
    watch.daemon = True
    watch.start()


def _give_up(limit_s: float) -> None:
    own = (threading.main_thread(), threading.current_thread())
    names = ", ".join(one.name for one in threading.enumerate() if one not in own and not one.daemon)
    _LOG.error("The app did not end within %g s and is ended now. Still at work: %s.", limit_s, names or "?")
    os._exit(_HUNG)
