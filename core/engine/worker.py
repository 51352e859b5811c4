"""The engine process: ``python -m core.engine.worker``, driven over its standard input and output.

The main thread renders, one render after the other, with a model that is kept for the next. A second thread
reads messages, so that a cancel arrives while the first is busy; a third beats. When the input ends, the app
is gone and the engine leaves. Whatever prints goes to standard error: the pipe for messages is a private copy
of standard output.
"""

from __future__ import annotations

import gc
import importlib.metadata
import logging
import os
import platform
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from core.cache import Cache
from core.engine.crashes import tell_crashes
from core.engine.heartbeat import BEAT_S, AppGone, Outbox, Pulse
from core.engine.inbox import Inbox, Job, Unload
from core.errors import EngineError, OutOfMemory, PirouetteError
from core.parent import die_with_parent, lower_priority
from core.protocol import Message, ProtocolError, hello, read_previewing, read_render
from core.settings import places
from core.types import Checkpointing, Failure, Plan, Previewing, Progress, RenderEvent, RenderRequest, Result

if TYPE_CHECKING:
    from core.engine.warm import WarmEngine

LEAVE_S = 10.0
_LOG = logging.getLogger("engine")
Check = Callable[[], None]
Emit = Callable[[RenderEvent], None]
Render = Callable[[RenderRequest, Plan, Checkpointing | None, Check, Emit], Result]


def main(render: Render | None = None) -> int:
    """Serve renders until the input ends.

    Args:
        render: instead of the real one, for tests.
    """
    outgoing = take_stdout()
    tell_crashes()
    die_with_parent()
    lower_priority()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    real = TorchRender()
    try:
        Outbox(outgoing).send(greeting())
        serve(sys.stdin.buffer, outgoing, render or real, leave_soon, Kept.by(real))
    except AppGone:  # so are we
        leave_now(0)
    if not real.is_fit():
        leave_now(1)
    return 0


@dataclass(frozen=True)
class Kept:
    """What the loop has to know of what is kept between renders; by default nothing is.

    Attributes:
        unload: gives its memory back; called between two renders.
        held_bytes: of the GPU's memory, told with each heartbeat, from the thread that beats.
        is_fit: asked after each render; False means that this process has to go, and the engine leaves.
        show: told before each render where its previews go, and how to ask whether somebody looks.
    """

    unload: Callable[[], None] = lambda: None
    held_bytes: Callable[[], int] = lambda: 0
    is_fit: Callable[[], bool] = lambda: True
    show: Callable[[Previewing | None, Callable[[], bool]], None] = lambda *_: None

    @classmethod
    def by(cls, render: TorchRender) -> Kept:
        """What the real render keeps."""
        return cls(render.unload, render.held_bytes, render.is_fit, render.show)


def serve(
    incoming: IO[bytes],
    outgoing: IO[bytes],
    render: Render,
    on_end: Callable[[], None] = lambda: None,
    kept: Kept | None = None,
    beat_s: float = BEAT_S,
) -> None:
    """Answer every render message with events, the last a ``Result`` or ``Failure``.

    Ends with the input, or after a render that left this process unfit for another.

    Args:
        on_end: called from the reading thread when the input has ended and the renders were told to stop.
        kept: None for nothing.
        beat_s: between two heartbeats.

    Raises:
        AppGone: nobody reads any more.
    """
    inbox, outbox, kept = Inbox(incoming, on_end), Outbox(outgoing), kept or Kept()
    inbox.thread.start()
    with Pulse(outbox, beat_s, kept.held_bytes) as pulse:
        while kept.is_fit() and (asked := inbox.take()) is not None:
            if isinstance(asked, Unload):
                _unload(kept.unload)
                pulse.beat()
            else:
                outbox.tell(Progress("start"))
                outcome = attempt(asked, outbox.tell, render, kept)
                pulse.beat()  # the app plans the next render with what we hold now, not a second ago
                answer(outbox, outcome)
                del outcome
            del asked


def attempt(job: Job, emit: Emit, render: Render, kept: Kept) -> Result | Failure:
    """One render; every exception becomes a ``Failure``. Tracebacks go to the log alone.

    Raises:
        AppGone: from ``emit``.
    """
    try:
        request, plan, checkpointing = read_render(job.message)
        kept.show(read_previewing(job.message), job.previews.is_set)
        return render(request, plan, checkpointing, job.check, emit)
    except AppGone:
        raise
    except BaseException as error:
        return failure_of(error)


def answer(outbox: Outbox, outcome: Result | Failure) -> None:
    """Send the end of a render; one that cannot be written as a message still has one."""
    try:
        outbox.tell(outcome)
    except ProtocolError as error:
        _LOG.error("The answer cannot be sent: %s", ascii(error.message))
        outbox.tell(failure_of(EngineError("The engine's answer cannot be sent.", action="Try again.")))


@contextmanager
def collected_never() -> Iterator[None]:
    """What is imported meanwhile is left out of all collections: half a million objects that stay."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class TorchRender:
    """The real render. torch is imported at the first one, after hello: the app sees at once that we live."""

    def __init__(self) -> None:
        self._engine: WarmEngine | None = None
        self._previews: tuple[Previewing | None, Callable[[], bool]] = None, lambda: False

    def __call__(
        self,
        request: RenderRequest,
        plan: Plan,
        checkpointing: Checkpointing | None,
        check: Check,
        emit: Emit,
    ) -> Result:
        """See ``Render``."""
        check()
        if self._engine is None:
            with collected_never():
                import torch

                from core.engine.fast.compiler import ensure_compiler
                from core.engine.warm import WarmEngine

            if torch.cuda.is_available():
                ensure_compiler(places().cache)
            self._engine = WarmEngine(cache=Cache(places().cache / "encodings"))
        from core.engine.preview import PreviewsAsked

        previewing, wanted = self._previews
        asked = None if previewing is None else PreviewsAsked(Path(previewing.folder), wanted)
        return self._engine.render(request, plan, checkpointing, check, emit, asked)

    def show(self, previewing: Previewing | None, wanted: Callable[[], bool]) -> None:
        """Where the next render's previews go, and whether somebody looks at them."""
        self._previews = previewing, wanted

    def is_fit(self) -> bool:
        """Whether this process can render again."""
        return self._engine is None or self._engine.is_fit

    def held_bytes(self) -> int:
        """Of the GPU's memory."""
        return 0 if self._engine is None else self._engine.held_bytes()

    def unload(self) -> None:
        """Let go of the model, if there is one."""
        if self._engine is not None:
            self._engine.unload()


def _unload(unload: Callable[[], None]) -> None:
    try:
        unload()
    except Exception:
        _LOG.exception("The model could not be let go of")


def failure_of(error: BaseException) -> Failure:
    """What a user may see of any exception; where looking at it fails too, what can be said without."""
    try:
        known = error if isinstance(error, PirouetteError) else _explained(error)
        return Failure(known.to_json(), known.exit_code)
    except BaseException:  # there may be no memory left to look at it
        plain = _unexplained(error)
        return Failure(plain.to_json(), plain.exit_code)


def _explained(error: BaseException) -> PirouetteError:
    _LOG.error("The render failed", exc_info=error)
    from core.engine.machine import explain

    return explain(error)


def _unexplained(error: BaseException) -> PirouetteError:
    if isinstance(error, MemoryError):
        return OutOfMemory("The computer's memory did not suffice.", limit="RAM")
    message = f"Something unexpected went wrong in the engine: {type(error).__name__}."
    return EngineError(message, action="Try again.")


def greeting() -> Message:
    """Our hello, with what the app may write into its log: the two may come from different environments."""
    about = {"app": _version("pirouette-studio"), "torch": _version("torch")}
    return hello() | about | {"python": platform.python_version(), "pid": os.getpid()}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def leave_soon() -> None:
    """The app is gone: a render that does not listen to its cancel is cut off after ``LEAVE_S``."""
    leave = threading.Timer(LEAVE_S, os._exit, args=(1,))
    leave.daemon = True
    leave.start()


def leave_now(code: int) -> None:
    """Leave while a thread still reads: Python would abort over it, and the end of a broken GPU hang."""
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


def take_stdout() -> IO[bytes]:
    """A private copy of standard output for messages; afterwards prints go to standard error, C's too."""
    private = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return os.fdopen(private, "wb")


if __name__ == "__main__":
    sys.exit(main())
