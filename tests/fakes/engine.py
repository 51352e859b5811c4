"""An engine process without a model: the real serving loop and a real MP4, but the picture is just copied.

The prompt decides what happens: ``fail`` ends in an error, ``die`` ends the process, ``hang`` renders until
it is cancelled, anything else makes the video.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import numpy as np

from core.engine.worker import Check, Emit, serve, take_stdout
from core.errors import OutOfMemory
from core.media.thumbnails import still
from core.media.write import write_video
from core.protocol import hello, write_message
from core.types import FPS, Checkpointing, Memory, Note, Plan, Progress, RenderRequest, Result

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


if __name__ == "__main__":
    outgoing = take_stdout()
    write_message(outgoing, hello())
    serve(sys.stdin.buffer, outgoing, render)
