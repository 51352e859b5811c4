"""The engine as a process of its own, asked over its pipes as the app asks it, without a supervisor."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from core.protocol import Message, hello, read_event, read_message, render_message, write_message
from core.types import Checkpointing, Failure, Plan, RenderEvent, RenderRequest, Result

ROOT = Path(__file__).resolve().parents[2]
WORKER = (sys.executable, "-m", "core.engine.worker")


class EngineProcess:
    """An engine that has said hello.

    Attributes:
        greeting: its hello.
        log: where its standard error goes.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self.log = process, log
        self._in, self._out = process.stdin, process.stdout
        self.say(hello())
        self.greeting = self.message()

    def say(self, message: Message) -> None:
        """Send."""
        write_message(self._in, message)

    def message(self) -> Message:
        """The next one, beats among them."""
        message = read_message(self._out)
        assert message is not None, self.log.read_text(encoding="utf-8")
        return message

    def event(self) -> RenderEvent:
        """The next event."""
        while (message := self.message())["type"] != "event":
            continue
        return read_event(message)

    def render(
        self, request: RenderRequest, plan: Plan, checkpointing: Checkpointing | None = None
    ) -> Result | Failure:
        """Render to the end."""
        self.say(render_message(request, plan, checkpointing))
        while not isinstance(event := self.event(), Result | Failure):
            continue
        return event

    def resident_bytes(self) -> int:
        """Memory that it holds now."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


@contextmanager
def engine_process(log: Path, command: Sequence[str] = WORKER) -> Iterator[EngineProcess]:
    """An engine on the processor with one thread, which leaves at the end of the block."""
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with (
        log.open("wb") as stderr,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=stderr, env=environment) as process,
    ):
        yield EngineProcess(process, log)
