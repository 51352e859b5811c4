"""Real engines that hang or only look like it."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import psutil
import pytest

from core.errors import EngineHung
from core.jobs.engine.liveness import Limits
from core.jobs.engine.supervisor import Supervisor
from core.types import Note, Progress, RenderEvent
from tests.fakes.misbehaving import HOLD_GIL, PLAN, RESULT, engine, request

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the loop that holds the GIL is Linux's C library")
SHORT = Limits(silent_s=1.2, greeting_s=20, start_s=20, load_s=20, compile_s=20, tick_s=0.1)
# Computes for two seconds in a C call that keeps the interpreter, so that no heartbeat comes.
BURN_GIL = """
emit(Progress('sample', 1, 4, 1, 4))
libc = ctypes.PyDLL(None)
size = 64 * 2**20
a = ctypes.create_string_buffer(size)
end = time.monotonic() + 2
sys.setswitchinterval(1000)
while time.monotonic() < end:
    libc.memset(a, 1, size)
"""


def hang(tmp_path: Path, limits: Limits) -> tuple[EngineHung, float, list[str]]:
    """What a hang becomes, the seconds from its begin until the engine was gone, and the log."""
    log: list[str] = []
    began_s: list[float] = []

    def listen(event: RenderEvent) -> None:
        if isinstance(event, Progress) and event.phase == "sample":
            began_s.append(time.monotonic())

    with Supervisor(engine(HOLD_GIL), limits=limits) as supervisor:
        rendering = supervisor.rendering(request(tmp_path), PLAN, on_log=log.append)
        with pytest.raises(EngineHung) as caught:
            rendering.run(listen)
        seconds = time.monotonic() - began_s[0]
        assert rendering.engine_pid is not None
        assert not psutil.pid_exists(rendering.engine_pid)
    return caught.value, seconds, log


@LINUX
def test_an_engine_that_holds_the_interpreter_is_seen_and_its_stacks_are_kept(tmp_path: Path) -> None:
    error, seconds, log = hang(tmp_path, SHORT)
    assert re.fullmatch(
        r"The engine showed no sign of life for \d+ s \(sample\) and was killed\.", error.message
    )
    assert log[0] == error.message
    assert any("most recent call first" in line for line in log)
    assert any(" in render" in line for line in log)
    assert any(line.startswith("status: State:") for line in log)
    assert seconds < 10


@LINUX
def test_a_call_that_computes_is_not_called_hung(tmp_path: Path) -> None:
    with Supervisor(engine(f"{BURN_GIL}\n{RESULT}"), limits=SHORT) as supervisor:
        assert supervisor.render(request(tmp_path), PLAN, lambda _: None).seed == 11


def test_an_engine_that_waits_with_a_heartbeat_is_not_called_hung(tmp_path: Path) -> None:
    body = f"emit(Progress('sample', 1, 4, 1, 4))\ntime.sleep(2)\n{RESULT}"
    with Supervisor(engine(body), limits=SHORT) as supervisor:
        assert supervisor.render(request(tmp_path), PLAN, lambda _: None).seed == 11


def test_a_program_that_never_says_hello_is_hung(tmp_path: Path) -> None:
    mute = (sys.executable, "-c", "while True: pass")
    limits = Limits(greeting_s=0.5, tick_s=0.1)
    with Supervisor(mute, limits=limits) as supervisor, pytest.raises(EngineHung, match="greeting"):
        supervisor.render(request(tmp_path), PLAN, lambda _: None)


@LINUX
@pytest.mark.faults
def test_a_hang_is_seen_within_15_seconds(tmp_path: Path) -> None:
    _, seconds, _ = hang(tmp_path, Limits())
    print(f"\nhang: seen and the engine gone {seconds:.2f} s after the interpreter was held")
    assert seconds < 15


@LINUX
@pytest.mark.faults
def test_a_forward_of_half_a_minute_without_a_heartbeat_is_busy(tmp_path: Path) -> None:
    body = BURN_GIL.replace("+ 2\n", "+ 30\n").strip()
    notes: list[RenderEvent] = []
    with Supervisor(engine(f"{body}\nemit(Note('done'))\n{RESULT}")) as supervisor:
        supervisor.render(request(tmp_path), PLAN, notes.append)
    assert Note("done") in notes
