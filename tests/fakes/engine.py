"""An engine process without a model: the real serving loop and a real MP4, but the picture is just copied.

The prompt decides what happens: ``fail`` ends in an error, ``die`` ends the process, ``hang`` renders until
it is cancelled, anything else makes the video. Where somebody looks there is a preview of each step: grey,
and lighter from step to step.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from core.engine.preview_file import PreviewFiles
from core.engine.worker import Check, Emit, Kept, serve, take_stdout
from core.errors import OutOfMemory
from core.media.thumbnails import still
from core.media.write import write_video
from core.protocol import hello, write_message
from core.types import (
    FPS,
    Checkpointing,
    Memory,
    Note,
    Plan,
    Preview,
    Previewing,
    Progress,
    RenderEvent,
    RenderRequest,
    Result,
)

SIDE = 64


def render(
    request: RenderRequest,
    plan: Plan,
    checkpointing: Checkpointing | None,  # noqa: ARG001
    check: Check,
    emit: Emit,
) -> Result:
    """Goes through the phases and writes ``plan.frames`` copies of the reference."""
    steps = plan.sampling.steps
    for phase in ("load", "pose", "encode"):
        emit(Progress(phase))
    for step in range(1, steps + 1):
        emit(Progress("sample", step, steps, step, steps))
        _misbehave(request.prompt, check)
        check()
    emit(Note("A note from the engine."))
    emit(Progress("decode"))
    picture = np.resize(still(Path(request.reference.path), SIDE), (SIDE, SIDE, 3))
    emit(Progress("write"))
    write_video(Path(request.output.path), [picture] * plan.frames)
    memory = Memory(ram_bytes=1)
    output = request.output.path
    return Result(output, plan.frames, FPS, SIDE, SIDE, steps, request.seed, {"sample": 0.1}, memory, {})


def _misbehave(prompt: str, check: Check) -> None:
    if prompt == "fail":
        raise OutOfMemory("The GPU ran out of memory.", action="Choose a smaller size.")
    if prompt == "die":
        os._exit(9)
    never = threading.Event()
    while prompt == "hang":
        check()
        never.wait(0.01)


class Showing:
    """``render`` with previews, as the app asks for them."""

    def __init__(self) -> None:
        self._previewing: Previewing | None = None
        self._wanted: Callable[[], bool] = lambda: False

    def show(self, previewing: Previewing | None, wanted: Callable[[], bool]) -> None:
        """See ``Kept``."""
        self._previewing, self._wanted = previewing, wanted

    def render(
        self,
        request: RenderRequest,
        plan: Plan,
        checkpointing: Checkpointing | None,
        check: Check,
        emit: Emit,
    ) -> Result:
        """See ``render``."""
        if self._previewing is None:
            return render(request, plan, checkpointing, check, emit)
        files = PreviewFiles(Path(self._previewing.folder))

        def tell(event: RenderEvent) -> None:
            emit(event)
            if isinstance(event, Progress) and event.phase == "sample" and self._wanted():
                light = np.uint8(255 * event.step // event.steps)
                frames = [np.full((SIDE, SIDE, 3), light)] * plan.frames
                path = files.write(frames, FPS)
                emit(Preview(str(path), len(frames), FPS, event.step, event.steps))

        try:
            return render(request, plan, checkpointing, check, tell)
        finally:
            files.clear()


if __name__ == "__main__":
    outgoing = take_stdout()
    write_message(outgoing, hello())
    showing = Showing()
    serve(sys.stdin.buffer, outgoing, showing.render, kept=Kept(show=showing.show))
