"""The engine process: ``python -m core.engine.worker``, driven over its standard input and output.

The main thread renders; a second one reads messages, so that a cancel arrives while the first is busy. When
the input ends, the app is gone and the engine leaves. Whatever prints goes to standard error: the pipe for
messages is a private copy of standard output.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from core.errors import Cancelled, PirouetteError
from core.protocol import (
    Message,
    ProtocolError,
    check_hello,
    event_message,
    hello,
    read_message,
    read_render,
    write_message,
)
from core.types import Checkpointing, Failure, Plan, Progress, RenderEvent, RenderRequest, Result

LEAVE_S = 10.0
_PR_SET_PDEATHSIG = 1
_LOG = logging.getLogger("engine")
Check = Callable[[], None]
Emit = Callable[[RenderEvent], None]
Render = Callable[[RenderRequest, Plan, Checkpointing | None, Check, Emit], Result]


def main() -> int:
    """Serve renders until the input ends."""
    outgoing = take_stdout()
    die_with_parent()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    write_message(outgoing, hello())
    with contextlib.suppress(BrokenPipeError):  # the app is gone: so are we
        serve(sys.stdin.buffer, outgoing, render_with_torch, leave_soon)
    return 0


def serve(
    incoming: IO[bytes], outgoing: IO[bytes], render: Render, on_end: Callable[[], None] = lambda: None
) -> None:
    """Answer every render message with events, the last a ``Result`` or ``Failure``; ends with the input.

    Args:
        on_end: called from the reading thread when the input has ended and the renders were told to stop.
    """
    inbox = Inbox(incoming, on_end)
    inbox.thread.start()
    write_lock = threading.Lock()

    def emit(event: RenderEvent) -> None:
        with write_lock:
            write_message(outgoing, event_message(event))

    while (job := inbox.next_job()) is not None:
        emit(Progress("start"))
        emit(attempt(job, emit, render))


def attempt(job: Job, emit: Emit, render: Render) -> Result | Failure:
    """One render; every exception becomes a ``Failure``. Tracebacks go to the log alone."""
    try:
        request, plan, checkpointing = read_render(job.message)
        return render(request, plan, checkpointing, job.check, emit)
    except BrokenPipeError:
        raise
    except PirouetteError as error:
        return Failure(error.to_json(), error.exit_code)
    except BaseException as error:
        _LOG.exception("The render failed")
        from core.engine.machine import explain

        known = explain(error)
        return Failure(known.to_json(), known.exit_code)


def render_with_torch(
    request: RenderRequest,
    plan: Plan,
    checkpointing: Checkpointing | None,  # noqa: ARG001 until renders keep their state
    check: Check,
    emit: Emit,
) -> Result:
    """The real render. torch is imported here, after hello: the app sees at once that the engine lives."""
    check()
    from core.engine.determinism import make_deterministic
    from core.engine.interfaces import Hooks
    from core.engine.loading.bundle import load_bundle
    from core.engine.render import render

    make_deterministic()
    return render(request, plan, load_bundle, Hooks(check), emit)


@dataclass(frozen=True)
class Job:
    """A render message and whether the app wants it stopped."""

    message: Message
    stop: threading.Event

    def check(self) -> None:
        """Raises ``Cancelled`` when the app asked to stop or is gone."""
        if self.stop.is_set():
            raise Cancelled()


class Inbox:
    """Reads messages on a thread: renders are queued, a cancel stops the newest.

    At the end of the input every render is told to stop, then ``on_end`` is called.
    """

    def __init__(self, incoming: IO[bytes], on_end: Callable[[], None]) -> None:
        self.thread = threading.Thread(target=self._read, args=(incoming,), name="inbox", daemon=True)
        self._on_end = on_end
        self._queue: queue.Queue[Job | None] = queue.Queue()
        self._jobs: list[Job] = []

    def next_job(self) -> Job | None:
        """Waits for the next render; None when the input ended."""
        return self._queue.get()

    def _read(self, incoming: IO[bytes]) -> None:
        try:
            check_hello(read_message(incoming))
            while (message := read_message(incoming)) is not None:
                self._take(message)
        except ProtocolError as error:
            _LOG.error("%s", error.sentence())
        for job in self._jobs:
            job.stop.set()
        self._queue.put(None)
        self._on_end()

    def _take(self, message: Message) -> None:
        if message["type"] == "cancel" and self._jobs:
            self._jobs[-1].stop.set()
        elif message["type"] == "render":
            self._jobs.append(Job(message, threading.Event()))
            self._queue.put(self._jobs[-1])
        else:
            raise ProtocolError("An unexpected message came from the app.", value=message["type"])


def leave_soon() -> None:
    """The app is gone: a render that does not listen to its cancel is cut off after ``LEAVE_S``."""
    leave = threading.Timer(LEAVE_S, os._exit, args=(1,))
    leave.daemon = True
    leave.start()


def take_stdout() -> IO[bytes]:
    """A private copy of standard output for messages; afterwards prints go to standard error, C's too."""
    private = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return os.fdopen(private, "wb")


def die_with_parent() -> None:
    """On Linux the kernel ends us with the app even while a C call holds the interpreter."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
