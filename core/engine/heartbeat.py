"""What the engine tells the app: one writer's message after the other's, and a heartbeat among them.

A beat says that the interpreter runs, no more: it stays out while something holds the GIL, such as the
loading of a large library, and while the app does not read. Then the app looks at the process itself.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import IO

from core.protocol import Message, event_message, heartbeat_message, write_message
from core.types import RenderEvent

BEAT_S = 1.0
_LOG = logging.getLogger("engine")


class AppGone(Exception):  # noqa: N818
    """Nobody is left who reads."""


class Outbox:
    """Writes messages from several threads, each whole.

    A writer waits while the app does not read and the pipe is full; the end of the app ends that.
    """

    def __init__(self, outgoing: IO[bytes]) -> None:
        self._outgoing = outgoing
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Write one message.

        Raises:
            AppGone: the pipe is closed.
            ProtocolError: it is no JSON or too large; nothing was written.
        """
        try:
            with self._lock:
                write_message(self._outgoing, message)
        except OSError as error:
            raise AppGone from error

    def tell(self, event: RenderEvent) -> None:
        """``send`` an event."""
        self.send(event_message(event))


class Pulse:
    """Beats once every ``period_s`` while it is entered, from a thread of its own.

    Args:
        held_bytes: of the GPU's memory, told with each beat.
    """

    def __init__(
        self, outbox: Outbox, period_s: float = BEAT_S, held_bytes: Callable[[], int] = lambda: 0
    ) -> None:
        self._outbox = outbox
        self._period_s = period_s
        self._held_bytes = held_bytes
        self._lock = threading.Lock()
        self._count = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def beat(self) -> None:
        """Beat once more, from any thread: what is held has changed; raises ``AppGone``."""
        held_bytes = self._held()
        with self._lock:
            self._count += 1
            self._outbox.send(heartbeat_message(self._count, held_bytes))

    def _held(self) -> int:
        """0 where that cannot be told: a beat without it is better than none."""
        try:
            return self._held_bytes()
        except Exception as error:  # a GPU that has failed
            _LOG.debug("What is held of the GPU's memory is not known: %s", error)
            return 0

    def _run(self) -> None:
        with contextlib.suppress(AppGone):
            while not self._over.is_set():
                self.beat()
                self._over.wait(self._period_s)
