"""The runner against engine processes that behave in every bad way: the real loop, a render of our own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from core.errors import BadVideo, Cancelled, EngineDied, EngineError
from core.hardware import Device
from core.jobs.engine.environment import engine_environment
from core.jobs.engine.reasons import died
from core.jobs.runner import Runner
from core.media.disk import part_file
from core.types import Note, Progress, RenderEvent
from tests.fakes.misbehaving import HANG, PLAN, POLITE, RESULT, WAIT_S, engine, request

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def run(tmp_path: Path, body: str) -> object:
    return Runner(engine(body)).run(request(tmp_path), PLAN, lambda _: None)


def test_events_and_result(tmp_path: Path) -> None:
    events: list[RenderEvent] = []
    log: list[str] = []
    body = f"print('hello'); emit(Note(os.environ['CUDA_VISIBLE_DEVICES'] + '|'))\n{RESULT}"
    runner = Runner(engine(body), on_log=log.append)
    result = runner.run(request(tmp_path), PLAN, events.append)
    assert (result.seed, result.frames) == (11, 5)
    assert events == [Progress("start"), Note("|")]
    assert log == ["hello"]


def test_errors_of_the_engine_keep_their_class(tmp_path: Path) -> None:
    with pytest.raises(BadVideo, match="Bad clip") as caught:
        run(tmp_path, "raise BadVideo('Bad clip.', value=7, limit='8', action='Cut it.')")
    assert (caught.value.value, caught.value.limit, caught.value.action) == ("7", "8", "Cut it.")


def test_an_unexpected_exception_leaves_its_traceback_in_the_log_alone(tmp_path: Path) -> None:
    log: list[str] = []
    with pytest.raises(EngineError) as caught:
        Runner(engine("raise KeyError('x')"), on_log=log.append).run(request(tmp_path), PLAN, lambda _: None)
    assert "Traceback" not in caught.value.sentence()
    assert any("Traceback" in line for line in log)


def test_cancel_stops_a_render_that_listens(tmp_path: Path) -> None:
    runner = Runner(engine(POLITE))
    with pytest.raises(Cancelled):
        runner.run(
            request(tmp_path), PLAN, lambda event: runner.cancel() if isinstance(event, Note) else None
        )


def test_a_render_that_does_not_listen_is_killed_and_its_file_removed(tmp_path: Path) -> None:
    body = "p = Path(out); p.with_name(f'.{p.stem}.{os.getpid()}.part.mp4').touch()\n" + HANG
    runner = Runner(engine(body), grace_s=0.2)
    left: list[Path] = []

    def cancel(event: RenderEvent) -> None:
        if isinstance(event, Note):
            left.extend(tmp_path.iterdir())
            runner.cancel()

    with pytest.raises(Cancelled):
        runner.run(request(tmp_path), PLAN, cancel)
    assert left == [part_file(tmp_path / "out.mp4", runner.engine_pid or 0)]
    assert list(tmp_path.iterdir()) == []


def test_force_stop_from_another_thread(tmp_path: Path) -> None:
    runner = Runner(engine(HANG))
    busy = threading.Event()
    stopper = threading.Thread(target=lambda: busy.wait(WAIT_S) and runner.force_stop())
    stopper.start()
    with pytest.raises(Cancelled):
        runner.run(request(tmp_path), PLAN, lambda event: busy.set() if isinstance(event, Note) else None)
    stopper.join()
    assert runner.engine_pid is not None
    assert not psutil.pid_exists(runner.engine_pid)


def test_a_cancel_before_the_start_starts_nothing(tmp_path: Path) -> None:
    runner = Runner(engine(HANG))
    runner.cancel()
    with pytest.raises(Cancelled):
        runner.run(request(tmp_path), PLAN, lambda _: None)
    assert runner.engine_pid is None


def test_a_runner_renders_once(tmp_path: Path) -> None:
    runner = Runner(engine(RESULT))
    runner.run(request(tmp_path), PLAN, lambda _: None)
    with pytest.raises(EngineError):
        runner.run(request(tmp_path), PLAN, lambda _: None)


@POSIX
@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGABRT"])
def test_a_dead_engine_is_named_by_its_signal(tmp_path: Path, name: str) -> None:
    with pytest.raises(EngineDied) as caught:
        run(tmp_path, f"os.kill(os.getpid(), signal.{name})")
    assert name in str(caught.value)


def test_an_engine_that_leaves_says_why_in_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"code 9: no libfoo\."):
        run(tmp_path, "print('no libfoo', file=sys.stderr, flush=True); os._exit(9)")


@pytest.mark.parametrize(
    "script",
    [
        "print('this is no protocol')",
        "import sys; sys.stdout.buffer.write(b'\\xff\\xff\\xff\\xff')",
        "import sys; sys.stdout.buffer.write(b'\\0\\0\\0\\x20{\"type\":')",
        "",
        "raise SystemExit(3)",
    ],
)
def test_whatever_is_not_our_engine_is_an_engine_error(tmp_path: Path, script: str) -> None:
    with pytest.raises(EngineError):
        Runner((sys.executable, "-c", script), grace_s=5).run(request(tmp_path), PLAN, lambda _: None)


def test_an_engine_of_another_version_is_told(tmp_path: Path) -> None:
    script = (
        "import sys, json, struct; b = json.dumps({'type': 'hello', 'protocol': 99}).encode();"
        "sys.stdout.buffer.write(struct.pack('>I', len(b)) + b); sys.stdout.flush(); sys.stdin.read()"
    )
    with pytest.raises(EngineError, match="do not fit together"):
        Runner((sys.executable, "-c", script)).run(request(tmp_path), PLAN, lambda _: None)


def test_a_missing_engine_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot be started"):
        Runner((str(tmp_path / "nothing"),)).run(request(tmp_path), PLAN, lambda _: None)


def test_an_exception_of_the_listener_ends_the_engine(tmp_path: Path) -> None:
    runner = Runner(engine(POLITE))

    def broken(event: RenderEvent) -> None:
        raise ZeroDivisionError(str(event))

    with pytest.raises(ZeroDivisionError):
        runner.run(request(tmp_path), PLAN, broken)
    assert runner.engine_pid is not None
    assert not psutil.pid_exists(runner.engine_pid)


@pytest.mark.parametrize("body", [POLITE, HANG], ids=["listens", "hangs"])
@pytest.mark.skipif(sys.platform != "linux", reason="a render that hangs is ended by the Linux kernel")
def test_the_engine_dies_with_its_parent(tmp_path: Path, body: str) -> None:
    parent = f"""
import sys
from pathlib import Path
from core.jobs.runner import Runner
from core.types import *
request = RenderRequest(MediaInput("a"), MediaInput("b"), Output({str(tmp_path / "o.mp4")!r}), device="cpu")
runner = Runner({engine(body)!r})
show = lambda event: print(runner.engine_pid, flush=True) if isinstance(event, Note) else None
runner.run(request, Plan("mini", Sampling(4), Size(64, 64), 5), show)
"""
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        process.kill()
    psutil.wait_procs([child], timeout=WAIT_S)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_the_environment_shows_one_gpu() -> None:
    base = {"CUDA_VISIBLE_DEVICES": "0,1", "PYTHONPATH": "/somewhere"}
    assert engine_environment(base, Device("cpu"))["CUDA_VISIBLE_DEVICES"] == ""
    assert engine_environment(base, Device("auto"))["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert engine_environment(base, Device("cuda", "GPU-1"))["CUDA_VISIBLE_DEVICES"] == "GPU-1"
    assert engine_environment(base, Device("cpu"))["PYTHONPATH"].endswith(f"{os.pathsep}/somewhere")


def test_unknown_signals_have_a_number() -> None:
    assert "signal 250" in died(-250, ()).message
