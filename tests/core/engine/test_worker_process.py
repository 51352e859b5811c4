"""The engine as a process: its hello, its crashes, and memory that does not grow with the renders."""

from __future__ import annotations

import importlib.metadata
import platform
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from core.catalogue.planner import plan as planned
from core.protocol import VERSION, heartbeat_message, render_message, unload_message
from core.types import Failure, MediaInput, Note, Output, Overrides, PoseSettings, RenderRequest, Result
from tests.fakes.engine_process import EngineProcess, engine_process
from tests.fakes.engine_session import PLAN, REQUEST

WAIT_S = 60.0
MIB = 2**20
# A worker with another render function, which the body of this script is.
SCRIPT = """
import os, signal, sys, threading
from core.engine import worker
from core.types import *
def render(request, plan, checkpointing, check, emit):
    {body}
sys.exit(worker.main(render))
"""
UNFIT = """
class Unfit(worker.TorchRender):
    fit = iter((True, False, False))
    def is_fit(self):
        return next(self.fit)
worker.TorchRender = Unfit
"""
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def doing(body: str) -> tuple[str, ...]:
    """Command line of an engine whose render does this."""
    return (sys.executable, "-c", SCRIPT.format(body=body))


@pytest.fixture
def request_(reference: Path, motion: Path, out: Path) -> RenderRequest:
    return RenderRequest(
        MediaInput(str(reference)),
        MediaInput(str(motion)),
        Output(str(out / "result.mp4")),
        overrides=Overrides(steps=2),
        device="cpu",
        pose=PoseSettings(align="off"),
    )


def test_its_hello_tells_what_it_is_and_beats_follow(tmp_path: Path) -> None:
    with engine_process(tmp_path / "log") as engine:
        assert engine.greeting == {
            "type": "hello",
            "protocol": VERSION,
            "app": importlib.metadata.version("pirouette-studio"),
            "python": platform.python_version(),
            "torch": importlib.metadata.version("torch"),
            "pid": engine.process.pid,
        }
        assert [engine.message() for _ in range(2)] == [heartbeat_message(1), heartbeat_message(2)]
    assert engine.process.returncode == 0


@POSIX
def test_a_crash_leaves_its_stacks_and_no_core_file(tmp_path: Path) -> None:
    limit = "import resource; print(resource.getrlimit(resource.RLIMIT_CORE)[0], flush=True)"
    body = f"{limit}; os.kill(os.getpid(), signal.SIGSEGV)"
    with engine_process(tmp_path / "log", doing(body)) as engine:
        engine.say(render_message(REQUEST, PLAN))
        assert engine.process.wait(WAIT_S) == -signal.SIGSEGV
    log = engine.log.read_text(encoding="utf-8").splitlines()
    assert log[0] == "0"
    assert "Fatal Python error: Segmentation fault" in log
    assert any("in render" in line for line in log)
    assert any("heartbeat.py" in line for line in log), "other threads are told, too"


@POSIX
def test_a_hanging_engine_tells_where_on_a_signal(tmp_path: Path) -> None:
    body = "emit(Note('busy')); threading.Event().wait()"
    with engine_process(tmp_path / "log", doing(body)) as engine:
        engine.say(render_message(REQUEST, PLAN))
        while engine.event() != Note("busy"):
            continue
        engine.process.send_signal(signal.SIGUSR1)
        engine.message()  # it lives on
        _wait_for(engine, "in render")
        engine.process.kill()


def test_an_engine_that_cannot_render_again_leaves_in_order(tmp_path: Path) -> None:
    """Python would abort at its end, since a thread still waits for messages: a crash that nobody had."""
    script = SCRIPT.format(body="raise RuntimeError").replace("sys.exit", f"{UNFIT}sys.exit")
    with engine_process(tmp_path / "log", (sys.executable, "-c", script)) as engine:
        assert isinstance(engine.render(REQUEST, PLAN), Failure)
        assert engine.process.wait(WAIT_S) == 1
    assert "Fatal" not in engine.log.read_text(encoding="utf-8")


def _wait_for(engine: EngineProcess, words: str) -> None:
    """Until the log holds them; every beat is a chance to look."""
    for _ in range(int(WAIT_S)):
        if words in engine.log.read_text(encoding="utf-8"):
            return
        engine.message()
    raise AssertionError(engine.log.read_text(encoding="utf-8"))


@pytest.mark.usefixtures("tiny_mini")
def test_memory_does_not_grow_with_the_renders(request_: RenderRequest, tmp_path: Path) -> None:
    growth(request_, tmp_path / "log", renders=12, first=4, most=0.03)


@pytest.mark.faults
@pytest.mark.usefixtures("tiny_mini")
def test_memory_does_not_grow_with_a_hundred_renders(request_: RenderRequest, tmp_path: Path) -> None:
    growth(request_, tmp_path / "log", renders=100, first=10, most=0.02)


def growth(request: RenderRequest, log: Path, renders: int, first: int, most: float) -> None:
    """From the ``first`` render, when all was used once, to the last, and once more after an unload."""
    plan = planned(request, 9)
    resident: list[int] = []
    with engine_process(log) as engine:
        for seed in range(renders):
            assert isinstance(engine.render(replace(request, seed=seed), plan), Result)
            resident.append(engine.resident_bytes())
        bad = engine.render(replace(request, reference=MediaInput("none.png")), plan)
        assert isinstance(bad, Failure)
        engine.say(unload_message())
        assert isinstance(engine.render(request, plan), Result)
        again = engine.resident_bytes()
    share = resident[-1] / resident[first - 1] - 1
    told = ", ".join(f"{count}: {resident[count - 1] / MIB:.1f}" for count in (1, 2, first, renders))
    print(f"Resident MiB after render {told}; {share:+.2%} from {first} on; reloaded {again / MIB:.1f}")
    assert share < most
    assert again / resident[first - 1] - 1 < most
