"""``python -m core.cli.pose_window FOLDER``: answers a window's questions about poses, line by line.

A line in is ``{"ask": number, "request": {...}}`` or ``{"stop": number}``; a newer question stops the older
one. Lines out carry the question's number as ``id`` and one of: ``progress`` [frames done, frames in all],
``alive``, ``first`` or ``answer`` (facts of ``core.pose.answer``, and the ``file`` in FOLDER with the rest),
``error``, ``stopped``. The process ends when its input does, or when nothing was asked for a while.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from core.codec import from_data
from core.errors import Cancelled, EngineError, PirouetteError
from core.parent import die_with_parent, lower_priority
from core.types import RenderRequest

IDLE_S: Final = 30.0
_NICER: Final = 5
_TOLD_EVERY_S: Final = 0.1
# What a window that was killed did not read.
_OLD_S: Final = 3600.0
_LOGGER = logging.getLogger(__name__)


@dataclass
class _Question:
    """One question, and whether it is still wanted."""

    number: int
    request: Any
    stopped: threading.Event = field(default_factory=threading.Event)


class _Inbox:
    """Reads questions on a thread; the end of the input ends the process, whatever it is doing."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._waiting: queue.SimpleQueue[_Question] = queue.SimpleQueue()
        self._latest: _Question | None = None
        threading.Thread(target=self._read, name="pose-questions", daemon=True).start()

    def next(self) -> _Question | None:
        """The next question; None when nothing was asked for a while."""
        try:
            return self._waiting.get(timeout=IDLE_S)
        except queue.Empty:
            return None

    def _read(self) -> None:
        for line in self._stream:
            message = json.loads(line)
            if self._latest is not None and message.get("stop", self._latest.number) == self._latest.number:
                self._latest.stopped.set()
            if "ask" in message:
                self._latest = _Question(int(message["ask"]), message["request"])
                self._waiting.put(self._latest)
        os._exit(0)


class _Voice:
    """Tells of one question; often said things only now and then."""

    def __init__(self, stream: IO[bytes], number: int) -> None:
        self._stream, self._number = stream, number
        self._told_s = 0.0

    def say(self, **what: Any) -> None:
        """One line."""
        text = json.dumps({"id": self._number, **what}, allow_nan=False)
        self._stream.write(text.encode() + b"\n")
        self._stream.flush()

    def now_and_then(self, last: bool = False, **what: Any) -> None:
        """The same, unless something was said a moment ago."""
        now_s = time.monotonic()
        if last or now_s - self._told_s >= _TOLD_EVERY_S:
            self._told_s = now_s
            self.say(**what)


def main() -> int:
    """Runs until nobody asks any more."""
    _step_back()
    out = _own_output()
    inbox = _Inbox(sys.stdin.buffer)
    folder = Path(sys.argv[1])
    _sweep(folder)
    answer = _opened(folder)
    while (question := inbox.next()) is not None:
        voice = _Voice(out, question.number)
        try:
            answer(question, voice)
        except Cancelled:
            voice.say(stopped=True)
        except PirouetteError as error:
            voice.say(error=error.to_json())
        except Exception as error:
            _LOGGER.exception("Unforeseen, while poses were looked for")
            voice.say(error=EngineError(f"Something unexpected went wrong: {error}.").to_json())
    return 0


def _opened(folder: Path) -> Callable[[_Question, _Voice], None]:
    """What answers a question; imported after the reading thread has begun, since it takes a while."""
    from core.catalogue.entries import entry
    from core.catalogue.pose_finder import pose_finder
    from core.pose.answer import PoseAnswer, save_answer
    from core.pose.inquiry import Inquirer

    inquirer = Inquirer(lambda engine: pose_finder(engine, gpu=True))

    def answer(question: _Question, voice: _Voice) -> None:
        def check() -> None:
            if question.stopped.is_set():
                raise Cancelled()
            voice.now_and_then(alive=True)

        def on_frame(done: int, total: int) -> None:
            voice.now_and_then(last=done == total, progress=[done, total])

        def tell(which: str, answer: PoseAnswer) -> None:
            path = folder / f"{os.getpid()}-{question.number}-{which}.npz"
            voice.say(**{which: {**save_answer(answer, path), "file": path.name}})

        check()
        request = from_data(question.request, RenderRequest)
        native_frames = entry(request.model).native_frames
        whole = inquirer.answer(request, native_frames, check, on_frame, lambda first: tell("first", first))
        check()
        tell("answer", whole)

    return answer


def _step_back() -> None:
    """Everything else goes first, and the window's end is ours."""
    die_with_parent()
    lower_priority()
    if sys.platform != "win32":
        os.nice(_NICER)  # than a render, which has the same request


def _own_output() -> IO[bytes]:
    """Standard output for our lines alone: what a library prints goes to standard error."""
    own = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(own, "wb")


def _sweep(folder: Path) -> None:
    """Remove what nobody came to read."""
    for left in folder.glob("*.npz"):
        try:
            if time.time() - left.stat().st_mtime > _OLD_S:
                left.unlink()
        except OSError as error:
            _LOGGER.debug("A file stays: %s", error)


if __name__ == "__main__":
    sys.exit(main())
