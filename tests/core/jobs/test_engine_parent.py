"""The engine ends with the app, and leaves the processor to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from core.jobs.engine.parent import Watchdog
from core.jobs.engine.supervisor import Supervisor
from core.parent import lower_priority
from core.protocol import PARENT_VARIABLE, PRIORITY_VARIABLE
from core.types import Note, RenderEvent
from tests.fakes.misbehaving import PLAN, RESULT, WAIT_S, engine, request

POSIX = pytest.mark.skipif(os.name != "posix", reason="the shell of POSIX")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")
# An app with an engine that holds its interpreter for ever; it tells the engine's process id.
APP = """
import sys
from pathlib import Path
from core.jobs.engine.supervisor import Supervisor
from core.types import Note
from tests.fakes.misbehaving import HOLD_GIL, PID, PLAN, engine, request
body = PID + "\\n" + HOLD_GIL
show = lambda event: print(event.text, flush=True) if isinstance(event, Note) else None
Supervisor(engine(body)).render(request(Path(sys.argv[1])), PLAN, show)
"""
# An app whose engine is bound to it by the watchdog alone.
WATCHED_APP = """
import subprocess, sys
from core.jobs.engine.parent import Watchdog
hung = "import ctypes; print('held', flush=True); ctypes.PyDLL(None).sleep(1000)"
engine = subprocess.Popen([sys.executable, "-c", hung], stdout=subprocess.PIPE, start_new_session=True)
engine.stdout.readline()
watchdog = Watchdog(engine.pid)
print(engine.pid, flush=True)
sys.stdin.read()
"""


def seconds_to_live(app: str, folder: Path) -> float:
    """Kill the app; how long its engine outlives it."""
    command = [sys.executable, "-c", app, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], text=True, **pipes) as process:
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        process.kill()
        began_s = time.monotonic()
        assert _ends(child)
        return time.monotonic() - began_s


def _ends(process: psutil.Process) -> bool:
    """Whether it ends; where nobody collects orphans, as a zombie."""
    end_s = time.monotonic() + WAIT_S
    while time.monotonic() < end_s:
        if psutil.wait_procs([process], timeout=0.02)[0] or process.status() == psutil.STATUS_ZOMBIE:
            return True
    return False


@LINUX
def test_an_engine_that_hangs_ends_with_a_killed_app(tmp_path: Path) -> None:
    assert seconds_to_live(APP, tmp_path) < 1


@POSIX
def test_the_watchdog_ends_an_engine_that_hangs_with_a_killed_app(tmp_path: Path) -> None:
    assert seconds_to_live(WATCHED_APP, tmp_path) < 1


@POSIX
def test_a_watchdog_that_is_dismissed_kills_nobody() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        watchdog = Watchdog(process.pid)
        watchdog.close()
        assert process.poll() is None
        process.communicate(b"\n")
    assert process.returncode == 0


@POSIX
def test_a_watchdog_that_hangs_is_not_waited_for() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        watchdog = Watchdog(process.pid)
        os.kill(watchdog.pid, signal.SIGSTOP)
        watchdog.close()
        assert not psutil.pid_exists(watchdog.pid)
        process.communicate(b"\n")
    assert process.returncode == 0


@LINUX
def test_an_engine_whose_app_was_gone_before_it_asked_leaves() -> None:
    asks = "from core.parent import die_with_parent; die_with_parent(); print('alive')"
    for parent, told in ((os.getpid(), "alive\n"), (1, "")):
        environment = os.environ | {PARENT_VARIABLE: str(parent)}
        done = subprocess.run(
            [sys.executable, "-c", asks], env=environment, capture_output=True, text=True, check=False
        )
        assert done.stdout == told, done.stderr
        assert ("did not start this process directly" in done.stderr) == (told == "")


def test_an_engine_is_nicer_than_the_app(tmp_path: Path) -> None:
    notes: list[RenderEvent] = []
    body = f"import psutil\nemit(Note(str(int(psutil.Process().nice()))))\n{RESULT}"
    with Supervisor(engine(body)) as supervisor:
        supervisor.render(request(tmp_path), PLAN, notes.append)
    nice = next(int(event.text) for event in notes if isinstance(event, Note))
    assert nice == psutil.BELOW_NORMAL_PRIORITY_CLASS if os.name == "nt" else nice > psutil.Process().nice()


def test_priority_stays_where_the_environment_does_not_ask() -> None:
    before = psutil.Process().nice()
    lower_priority({})
    lower_priority({PRIORITY_VARIABLE: "normal"})
    assert psutil.Process().nice() == before
