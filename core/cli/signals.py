"""A polite kill means the same as Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def terminated_like_ctrl_c() -> Iterator[None]:
    """A polite kill (``timeout``, a scheduler, a terminal that closes) raises ``KeyboardInterrupt``.

    So nothing is left behind. What is told to be ignored (``nohup``) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what signals do
        return
    before = {kind: signal.getsignal(kind) for kind in _polite()}
    for kind, handler in before.items():
        if handler == signal.SIG_DFL:
            signal.signal(kind, signal.default_int_handler)
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _polite() -> list[signal.Signals]:
    """Windows has no SIGHUP."""
    return [signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if name in signal.Signals.__members__]
