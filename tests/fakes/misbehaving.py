"""Engine processes that behave in every bad way: the real serving loop with a render of the test's own."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from core.types import MediaInput, Output, Plan, RenderRequest, Sampling, Size

PLAN = Plan("mini", Sampling(4), Size(64, 64), 5)
WAIT_S = 30.0

# The real worker with another render function; ``out`` is the output's path.
_ENGINE = """
import ctypes, os, signal, sys, time
from pathlib import Path
from core.engine import worker
from core.types import *
from core.errors import *
def render(request, plan, checkpointing, check, emit):
    out = request.output.path
    {body}
sys.exit(worker.main(render))
"""
RESULT = "return Result(out, 5, 16.0, 64, 64, 4, request.seed, {'load': 0.1}, Memory(1), {})"
PID = "emit(Note(str(os.getpid())))"
HANG = "emit(Note('busy'))\nwhile True: time.sleep(1)"
POLITE = "emit(Note('busy'))\nwhile True: check()"
# Holds the interpreter, so that no other thread of the engine runs.
HOLD_GIL = "emit(Progress('sample', 1, 4, 1, 4))\nctypes.PyDLL(None).sleep(1000)"


def engine(body: str, python: str = sys.executable) -> tuple[str, ...]:
    """Command line of an engine whose render does this."""
    return (python, "-c", _ENGINE.format(body=textwrap.indent(body, "    ").strip()))


def request(tmp_path: Path, device: str = "cpu", prompt: str = "") -> RenderRequest:
    """A render to ``out.mp4``; the prompt may tell the body what to do."""
    output = Output(str(tmp_path / "out.mp4"))
    inputs = MediaInput("a.png"), MediaInput("b.mp4")
    return RenderRequest(*inputs, output, seed=11, device=device, prompt=prompt)
