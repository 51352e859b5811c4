"""How soon a pause gives the GPU back: ``python -m tests.gpu.pause_on_gpu --gib 60``.

The real supervisor and the real worker, with a render that holds so much memory on the GPU and page-locked in
the host, and computes in forwards of a given length. Needs an NVIDIA GPU; prints a row a case.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pynvml

from core.errors import Paused
from core.hardware.activity import gpu_busy
from core.jobs.engine.supervisor import Supervisor
from core.types import (
    Checkpointing,
    MediaInput,
    Output,
    Plan,
    Progress,
    RenderEvent,
    RenderRequest,
    Sampling,
    Size,
)

ENGINE = """
import sys, time
from core.engine import worker
from core.types import *

def render(request, plan, checkpointing, check, emit):
    import torch
    gib, pinned, forward_s = map(float, request.prompt.split())
    held = [torch.randn(2**28, device="cuda") for _ in range(int(gib))]
    locked = torch.empty(int(pinned * 2**30), dtype=torch.uint8, pin_memory=True) if pinned else None
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    b = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    for _ in range(3): c = a @ b
    torch.cuda.synchronize(); began = time.perf_counter()
    for _ in range(20): c = a @ b
    torch.cuda.synchronize(); each = (time.perf_counter() - began) / 20
    for step in range(1000):
        check()
        emit(Progress("sample", step, 1000, step, 1000))
        for _ in range(int(forward_s / each)): c = a @ b
        torch.cuda.synchronize()
sys.exit(worker.main(render))
"""


def main() -> int:
    """Each case once; 1 when one takes 5 s or more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=8, help="held on the GPU")
    parser.add_argument("--pinned", type=float, nargs="+", default=[0, 8], help="GiB page-locked in the host")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    uuid = pynvml.nvmlDeviceGetUUID(handle)
    print(f"{pynvml.nvmlDeviceGetName(handle)}, {options.gib:g} GiB held")
    print("forward  pinned  asked->ended  ->memory back  busy seen")
    worst_s = 0.0
    for forward_s in (0.2, 2.0, 7.0):
        for pinned in options.pinned:
            for _ in range(options.runs):
                ended_s, back_s, busy = case(handle, uuid, options.gib, pinned, forward_s)
                worst_s = max(worst_s, back_s)
                row = f"{forward_s:5.1f} s {pinned:4.0f} GiB {ended_s:10.2f} s {back_s:13.2f} s  {busy}"
                print(row, flush=True)
    print(f"the slowest pause gave the memory back after {worst_s:.2f} s (bar 5 s)")
    return int(worst_s >= 5)


def case(handle: Any, uuid: str, gib: float, pinned: float, forward_s: float) -> tuple[float, float, Any]:
    """Seconds from the pause to the answer, and until the driver shows the memory free."""
    before = used(handle)
    sampling = threading.Event()

    def heard(event: RenderEvent) -> None:
        if isinstance(event, Progress) and event.phase == "sample" and event.step == 1:
            sampling.set()

    with TemporaryDirectory() as folder, Supervisor((sys.executable, "-c", ENGINE)) as supervisor:
        request = RenderRequest(
            MediaInput("a.png"),
            MediaInput("b.mp4"),
            Output(str(Path(folder) / "c.mp4")),
            prompt=f"{gib} {pinned} {forward_s}",
            device=f"cuda:{uuid}",
        )
        plan = Plan("mini", Sampling(4), Size(64, 64), 5)
        rendering = supervisor.rendering(request, plan, Checkpointing(folder))
        asked: list[float] = []
        busy: list[Any] = []

        def pause() -> None:
            sampling.wait()
            threading.Event().wait(0.3 * forward_s + 0.5)
            busy.append((gpu_busy(uuid), gpu_busy(uuid, rendering.engine_pid)))
            asked.append(time.monotonic())
            rendering.pause()

        thread = threading.Thread(target=pause)
        thread.start()
        try:
            rendering.run(heard)
        except Paused:
            ended_s = time.monotonic()
        thread.join()
        while used(handle) > before + 2**28:
            threading.Event().wait(0.01)
        return ended_s - asked[0], time.monotonic() - asked[0], busy[0]


def used(handle: Any) -> int:
    """Bytes of the GPU's memory in use by anybody."""
    return int(pynvml.nvmlDeviceGetMemoryInfo(handle).used)


if __name__ == "__main__":
    sys.exit(main())
