"""What Ctrl-C and polite kills do: raise, or be told where nothing may be torn off."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
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


class CtrlC:
    """What an inbox gets from ``told_of_ctrl_c``."""


@contextmanager
def told_of_ctrl_c(tell: Callable[[CtrlC], None]) -> Iterator[None]:
    """Ctrl-C and polite kills raise nothing: each calls ``tell``, in the middle of whatever this thread does.

    An exception could be raised anywhere, also outside of the ``try`` that waits for it, and tears off what
    runs. What is told to be ignored (``nohup``) stays ignored.

    Args:
        tell: must be safe between any two instructions, such as the ``put`` of a ``queue.SimpleQueue``.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = [signal.SIGINT, *_polite()]
    before = {kind: signal.getsignal(kind) for kind in kinds}
    raise_or_end = (signal.SIG_DFL, signal.default_int_handler)
    raising = {kind for kind, handler in before.items() if handler in raise_or_end}
    for kind in raising:
        signal.signal(kind, lambda *_: tell(CtrlC()))
    try:
        yield
    finally:
        for kind in raising:
            signal.signal(kind, before[kind])


def _polite() -> list[signal.Signals]:
    """Windows has no SIGHUP."""
    return [signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if name in signal.Signals.__members__]
