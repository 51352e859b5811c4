"""The app's side of the engine's message loop, over real pipes; no model."""

from __future__ import annotations

import os
import threading
from typing import IO

from core.engine.worker import Kept, Render, serve
from core.protocol import Message, hello, read_event, read_message, render_message, write_message
from core.types import (
    Failure,
    MediaInput,
    Memory,
    Output,
    Plan,
    RenderEvent,
    RenderRequest,
    Result,
    Sampling,
    Size,
)

REQUEST = RenderRequest(MediaInput("a.png"), MediaInput("b.mp4"), Output("c.mp4"))
PLAN = Plan("mini", Sampling(4), Size(64, 64), 5)
RESULT = Result("c.mp4", 5, 16.0, 64, 64, 4, 0, {"load": 0.1}, Memory(1), {})


class Session:
    """The app's side of a ``serve`` on a thread, which by default beats too seldom to be seen twice."""

    def __init__(self, render: Render, kept: Kept | None = None, beat_s: float = 60.0) -> None:
        self._ends = [*os.pipe(), *os.pipe()]
        their_in, our_out, our_in, their_out = (
            os.fdopen(end, mode) for end, mode in zip(self._ends, ("rb", "wb", "rb", "wb"), strict=True)
        )
        self.outgoing: IO[bytes] = our_out
        self.incoming: IO[bytes] = our_in
        self.ended = threading.Event()
        self._theirs = (their_in, their_out)
        arguments = (their_in, their_out, render, self.ended.set, kept, beat_s)
        self._thread = threading.Thread(target=serve, args=arguments)
        self._thread.start()
        write_message(self.outgoing, hello())

    def ask(self) -> None:
        """For a render."""
        self.say(render_message(REQUEST, PLAN))

    def say(self, message: Message) -> None:
        """Send."""
        write_message(self.outgoing, message)

    def message(self) -> Message:
        """The next message, beats among them."""
        message = read_message(self.incoming)
        assert message is not None
        return message

    def event(self) -> RenderEvent:
        """The next event."""
        while (message := self.message())["type"] != "event":
            continue
        return read_event(message)

    def last(self) -> Result | Failure:
        """The end of the render."""
        while not isinstance(event := self.event(), Result | Failure):
            continue
        return event

    def has_ended(self, timeout_s: float) -> bool:
        """Waits for the engine's loop to end."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def close(self) -> None:
        """The app is gone."""
        if not self.outgoing.closed:
            self.outgoing.close()
        self._thread.join()
        for stream in (*self._theirs, self.incoming):
            stream.close()
