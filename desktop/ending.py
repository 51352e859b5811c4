"""How the app ends but by its window: on a signal of the system, and when something in it hangs."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QObject, QSocketNotifier

# The queue keeps a render's state within 14 s, poses and thumbnails take 8 s at most; then something hangs.
END_WITHIN_S: Final = 30.0
_HUNG: Final = 1
_SIGNALLED: Final = 128
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


def end_on_signals(leave: Callable[[int], None], parent: QObject) -> None:
    """End in order on Ctrl-C, at a log-out and by ``kill``: renders are paused, and what is open is kept.

    Python hears a signal between two of its own instructions only, and Qt's loop may wait for long; a pipe
    wakes it. Windows tells through its window.

    Args:
        leave: gets the exit code, 128 and the signal's number.
        parent: that the pipe's watcher belongs to.
    """
    if os.name != "posix":
        return
    import signal

    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup asks for
            signal.signal(number, lambda _number, _frame: None)
    watch = QSocketNotifier(reading, QSocketNotifier.Type.Read, parent)
    watch.activated.connect(lambda _socket, _type: leave(_SIGNALLED + os.read(reading, 1)[0]))


def _give_up(limit_s: float) -> None:
    own = (threading.main_thread(), threading.current_thread())
    names = ", ".join(one.name for one in threading.enumerate() if one not in own and not one.daemon)
    _LOG.error("The app did not end within %g s and is ended now. Still at work: %s.", limit_s, names or "?")
    os._exit(_HUNG)
