"""``pirouette queue run`` with the real engine process and the tiny model, and what Ctrl-C does to it."""

from __future__ import annotations

import errno
import io
import json
import os
import queue as inboxes
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest

from core.cli import queue_run
from core.cli.main import main
from core.cli.signals import CtrlC, terminated_like_ctrl_c, told_of_ctrl_c
from core.errors import Cancelled
from core.jobs.queue.job import kept_step, name_of
from core.jobs.queue.queue import Queue
from core.jobs.queue.run import Summary
from core.jobs.queue.waiting import Hold
from core.media.probe import probe_video
from core.types import Cancelled as CancelledState
from core.types import Note, Progress, Running

pytestmark = pytest.mark.usefixtures("tiny_mini")
# As many as there may be: a signal must arrive before a tiny render is done.
STEPS = 100
# So often that a signal falls into every part of the loop that hears it.
ROUNDS = 50


@pytest.fixture
def files(reference: Path, motion: Path) -> list[str]:
    # No catalogue is read and nobody is looked for in the picture: that takes most of a check's time.
    quick = ["--device", "cpu", "--align", "off", "--pose-engine", "offline"]
    return ["--reference", str(reference), "--motion", str(motion), *quick]


def add(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["queue", "add", *arguments, "--json"]) == 0
    job: dict[str, Any] = json.loads(capsys.readouterr().out)["jobs"][0]
    return job


def state_of(job_id: str) -> tuple[str, int]:
    with Queue() as queue:
        state = queue.get(job_id).state
        return name_of(state), kept_step(state)


def test_a_held_or_empty_queue_is_left_at_once(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["queue", "run"]) == 0
    assert capsys.readouterr().err == "Nothing to render.\n"
    job = add(capsys, *files)
    assert main(["queue", "hold"]) == 0
    assert main(["queue", "run"]) == 0
    assert "The queue is held: `pirouette queue hold --off`" in capsys.readouterr().err
    assert state_of(job["id"]) == ("queued", 0)
    assert main(["queue", "run", "--device", "gpu", "--json"]) == 2


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_ctrl_c_keeps_what_is_done_and_another_run_goes_on_there_one_line_of_json_a_job(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    job = add(capsys, *files, "--steps", str(STEPS))
    bad = damaged(add(capsys, *files, "--seed", "2")["id"])
    # A terminal is told every step, so that the moment can be decided.
    screen, terminal = os.openpty()
    with started("queue", "run", "--json", stderr=terminal) as process, os.fdopen(screen, "rb", 0) as shown:
        os.close(terminal)
        read_until(shown, rb"sampling .* [2-9]/%d" % STEPS)
        process.send_signal(signal.SIGINT)
        rest = read_until(shown, None)
        assert process.stdout is not None
        told = process.stdout.read()
    assert process.returncode == 130
    assert json.loads(told)["error"]["type"] == "Cancelled"
    assert "Pausing" in rest
    assert "Traceback" not in rest
    state, step = state_of(job["id"])
    assert state == "queued"
    assert 0 < step < STEPS
    assert f"kept at step {step}" in rest
    assert not list(Path(job["output"]).parent.glob("*"))
    assert state_of(bad) == ("queued", 0)
    assert main(["queue", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runner"] is None
    assert main(["queue", "run", "--json"]) == 1
    shown_now = capsys.readouterr()
    done, failed = map(json.loads, shown_now.out.splitlines())
    assert (done["id"], done["state"]) == (job["id"], "done")
    assert (done["result"]["output"], done["result"]["size"]) == (job["output"], "64x64")
    assert done["result"]["forwards"] == STEPS
    assert probe_video(Path(job["output"])).frame_count == 5
    assert (failed["id"], failed["state"], failed["exit_code"]) == (bad, "failed", 2)
    assert failed["error"]["type"] == "BadInput"
    assert shown_now.err.count("draws the demo's kind of characters") == 1
    assert shown_now.err.splitlines()[-1] == "1 done, 1 failed."


def damaged(job_id: str) -> str:
    """A job whose picture is not any more what was queued."""
    with Queue() as queue:
        request = queue.get(job_id).request
        other = Path(request.reference.path).with_name("other.png")
        other.write_bytes(b"not what was queued")
        queue.edit(job_id, replace(request, reference=replace(request.reference, path=str(other))))
    return job_id


def started(*arguments: str, stderr: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "core.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        # A shell starts background jobs with Ctrl-C ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def read_until(shown: IO[bytes], pattern: bytes | None) -> str:
    """What a terminal shows until something is seen, or until its other end is closed."""
    seen = b""
    while pattern is None or not re.search(pattern, seen):
        try:
            part = shown.read(4096)
        except OSError:  # Linux says so when nobody holds the other end
            part = b""
        if not part:
            assert pattern is None, seen
            break
        seen += part
    return seen.decode()


class Asked:
    """What a runner is asked."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def stop(self, pause_current: bool = True) -> None:
        self.calls.append(f"stop {pause_current}")

    def force_stop(self) -> None:
        self.calls.append("force")


class Inbox:
    """News as they come; an exception is raised instead."""

    def __init__(self, *news: Any) -> None:
        self._news: Iterator[Any] = iter(news)

    def get(self, timeout: float) -> Any:
        assert timeout < 1
        news = next(self._news)
        if isinstance(news, inboxes.Empty):
            raise news
        return news


def follow(*news: Any) -> tuple[Any, list[str]]:
    asked = Asked()
    with Queue() as queue:
        screen = queue_run._Screen(queue, as_json=False)
        return queue_run._follow(asked, Inbox(*news), screen), asked.calls  # type: ignore[arg-type]


def test_the_first_ctrl_c_pauses_the_second_kills(capsys: pytest.CaptureFixture[str]) -> None:
    end, calls = follow(inboxes.Empty(), CtrlC(), CtrlC(), Summary(reason="stopped"))
    assert isinstance(end, Cancelled)
    assert calls == ["stop True", "force"]
    assert "once more kills the engine" in capsys.readouterr().err


def test_reasons_to_wait_are_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    idle = [Hold("gpu", f"Waits ({left} min to go).", 5) for left in (3, 2)]
    end, calls = follow(*idle, None, idle[1], ("", Note("A note.")), Summary())
    assert (end, calls) == (Summary(), [])
    assert capsys.readouterr().err.splitlines() == [
        "Waits (3 min to go).",
        "Waits (2 min to go).",
        "Note: A note.",
    ]


def test_it_waits_for_another_process_only_when_told_to(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_run, "_LOOK_S", 0.0)
    others = iter(["process 7", "process 7", "process 7", None])
    monkeypatch.setattr(Queue, "other_runner", lambda *_: next(others))
    assert main(["queue", "run"]) == 2
    assert "The queue is worked by process 7 already" in capsys.readouterr().err
    assert main(["queue", "run", "--wait"]) == 0
    assert capsys.readouterr().err.splitlines() == ["Waits for process 7 ...", "Nothing to render."]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal")
def test_a_closed_terminal_is_like_ctrl_c_unless_it_is_to_be_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminated_like_ctrl_c():
            os.kill(os.getpid(), signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with pytest.raises(KeyboardInterrupt), terminated_like_ctrl_c():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """What runs behind a shell's ``&`` begins with Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Busy(Asked):
    """A runner with news without end, in the midst of which somebody presses Ctrl-C."""

    def __init__(self, inbox: inboxes.SimpleQueue[Any]) -> None:
        super().__init__()
        self._inbox = inbox
        self._asked = threading.Event()

    def run(self, until_empty: bool) -> Summary:
        assert until_empty
        for count in range(20):
            self._inbox.put(("", Note(str(count))))
        os.kill(os.getpid(), signal.SIGINT)
        while not self._asked.wait(0.001):
            self._inbox.put(None)
        return Summary(reason="stopped")

    def stop(self, pause_current: bool = True) -> None:
        super().stop(pause_current)
        self._asked.set()

    def force_stop(self) -> None:
        super().force_stop()
        self._asked.set()


@pytest.mark.usefixtures("hears_ctrl_c")
@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_ctrl_c_pauses_whatever_is_being_done_just_then() -> None:
    with Queue() as queue:
        for _ in range(ROUNDS):
            inbox: inboxes.SimpleQueue[Any] = inboxes.SimpleQueue()
            runner = Busy(inbox)
            end = queue_run._supervised(runner, inbox, queue_run._Screen(queue, False), False)  # type: ignore[arg-type]
            assert isinstance(end, Cancelled)
            assert runner.calls == ["stop True", "force"]  # the latter does nothing once all has ended


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_what_is_told_to_be_ignored_tells_nothing_and_handlers_come_back() -> None:
    told: list[CtrlC] = []
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with told_of_ctrl_c(told.append):
            for kind, count in ((signal.SIGHUP, 0), (signal.SIGINT, 1), (signal.SIGTERM, 2)):
                signal.raise_signal(kind)
                assert len(told) == count
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGTERM) == before[signal.SIGTERM]
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def test_progress_of_each_job_has_its_title(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    job = add(capsys, *files, "--name", "mine")
    news = [(job["id"], Running(Progress("start"))), (job["id"], Progress("load")), Summary()]
    follow(*news)
    assert capsys.readouterr().err.splitlines() == [f"mine ({job['id'][:8]})", "loading the model"]


def test_a_job_that_is_removed_meanwhile_stops_no_other(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    job = add(capsys, *files, "--name", "mine")["id"]
    with Queue() as queue:
        screen = queue_run._Screen(queue, as_json=True)
        screen.show((job, Running(Progress("start"))))
        queue.remove([job])
        screen.show((job, CancelledState()))
        screen.show(("0" * 32, CancelledState()))
    shown = capsys.readouterr()
    assert [json.loads(line)["name"] for line in shown.out.splitlines()] == ["mine", "a removed job"]
    assert f"mine ({job[:8]}): cancelled" in shown.err


class Gone(io.StringIO):
    """A terminal that was closed."""

    def write(self, _text: str) -> int:
        raise OSError(errno.EIO, "Input/output error")


def test_a_closed_terminal_takes_no_words_and_yet_everything_is_left_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", Gone())
    monkeypatch.setattr(sys, "stdout", Gone())
    news = [("", Note("A note.")), ("0" * 32, CancelledState()), CtrlC(), CtrlC()]
    end, calls = follow(*news, Summary(reason="stopped"))
    assert isinstance(end, Cancelled)
    assert calls == ["stop True", "force"]


@pytest.mark.skipif(os.name != "posix", reason="closes a terminal")
def test_a_render_whose_terminal_is_closed_keeps_its_state(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    import pty  # not there on Windows

    job = add(capsys, *files, "--steps", str(STEPS))
    pid, screen = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests run under nohup
        os.execv(sys.executable, [sys.executable, "-m", "core.cli", "queue", "run"])
    with os.fdopen(screen, "rb", 0) as shown:
        read_until(shown, rb"sampling .* [2-9]/%d" % STEPS)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    state, step = state_of(job["id"])
    assert state == "queued"
    assert 0 < step < STEPS


def test_another_process_on_perhaps_another_device_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Queue, "other_runner", lambda *_: "process 7")
    assert main(["queue", "run", "--device", "cpu"]) == 0
    assert capsys.readouterr().err.splitlines()[0].startswith("Process 7 works the queue, too;")
