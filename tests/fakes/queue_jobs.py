"""Requests, plans and results for tests of the queue that render nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from core.types import (
    Failed,
    Failure,
    MediaInput,
    Memory,
    Output,
    Plan,
    RenderRequest,
    Result,
    Sampling,
    Size,
)

ROOT = Path(__file__).resolve().parents[2]
BROKEN = Failed(Failure({"type": "EngineError", "message": "It broke."}, 1))
# Claims one job, says its id, and waits until somebody kills it.
CLAIM_AND_WAIT = """
import sys
from pathlib import Path
from core.jobs.queue.queue import Queue
queue = Queue(Path(sys.argv[1]))
queue.recover()
job = queue.claim(queue.open_lease())
print(job.id, flush=True)
sys.stdin.read()
"""


def request(number: int = 0, **fields: object) -> RenderRequest:
    """The n-th: it has files of its own."""
    return RenderRequest(
        **{
            "reference": MediaInput(f"/pictures/anna {number}.png", "a" * 64),
            "motion": MediaInput(f"/videos/walzer {number}.mp4", "b" * 64),
            "output": Output(f"/results/dance {number}.mp4"),
            "seed": number,
            **fields,
        }  # type: ignore[arg-type]
    )


def plan(steps: int = 4, **fields: object) -> Plan:
    """A small one."""
    return Plan("mini", Sampling(steps), Size(832, 480), 81, time_s=12.5, **fields)  # type: ignore[arg-type]


def result(output: str = "/results/dance.mp4") -> Result:
    """Of a finished render."""
    return Result(output, 81, 16.0, 832, 480, 4, 0, {"sample": 1.0}, Memory(1), {})


def process(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """Another Python process of this project."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
