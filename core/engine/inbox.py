"""What the app asks of the engine, read on a thread so that a cancel arrives while a render runs."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO

from core.errors import Cancelled, Paused
from core.protocol import Message, ProtocolError, check_hello, read_message, wants_previews

_LOG = logging.getLogger("engine")


@dataclass(frozen=True)
class Job:
    """A render message and whether the app wants it stopped.

    Attributes:
        message: as it came.
        gone: set, for all jobs at once, when the app is.
        previews: set while somebody looks at them.
    """

    message: Message
    gone: threading.Event
    cancelled: threading.Event = field(default_factory=threading.Event)
    paused: threading.Event = field(default_factory=threading.Event)
    previews: threading.Event = field(default_factory=threading.Event)

    def show(self, on: bool) -> None:
        """Somebody looks at the previews from now on, or nobody."""
        if on:
            self.previews.set()
        else:
            self.previews.clear()

    def check(self) -> None:
        """Stop here if the app asked for it.

        Raises:
            Paused: what was done shall be kept; so it shall when the app is gone, which cannot ask.
            Cancelled: nothing shall be kept, whatever else was asked.
        """
        if self.cancelled.is_set():
            raise Cancelled()
        if self.paused.is_set() or self.gone.is_set():
            raise Paused()


class Unload:
    """The app wants the model's memory back."""


class Inbox:
    """Reads messages on a thread: renders and unloads wait; a cancel or a pause stops the newest render.

    Whether somebody looks at previews goes to the newest render, too. A stop is meant for what was asked for
    before it: one that comes when that render has ended stops nothing.
    At the end of the input, however it ends, every render is told to stop, then ``on_end`` is called.
    """

    def __init__(self, incoming: IO[bytes], on_end: Callable[[], None]) -> None:
        self.thread = threading.Thread(target=self._read, args=(incoming,), name="inbox", daemon=True)
        self._on_end = on_end
        self._queue: queue.Queue[Job | Unload | None] = queue.Queue()
        self._gone = threading.Event()
        self._newest: Job | None = None

    def take(self) -> Job | Unload | None:
        """Waits for what is next; None when the input ended."""
        return self._queue.get()

    def _read(self, incoming: IO[bytes]) -> None:
        try:
            check_hello(read_message(incoming))
            while (message := read_message(incoming)) is not None:
                self._sort(message)
        except ProtocolError as error:
            _LOG.error("%s", error.sentence())
        except Exception:
            _LOG.exception("The app's messages cannot be read")
        finally:
            self._gone.set()
            self._queue.put(None)
            self._on_end()

    def _sort(self, message: Message) -> None:
        newest = self._newest
        match message["type"]:
            case "render":
                self._newest = Job(message, self._gone)
                self._newest.show(wants_previews(message))
                self._queue.put(self._newest)
            case "cancel" if newest is not None:
                newest.cancelled.set()
            case "pause" if newest is not None:
                newest.paused.set()
            case "previews":
                if newest is not None:
                    newest.show(wants_previews(message))
            case "unload":
                self._queue.put(Unload())
            case "cancel" | "pause":
                _LOG.info("Nothing to stop")
            case other:
                raise ProtocolError("An unexpected message came from the app.", value=other)
