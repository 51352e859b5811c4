"""One warm engine for many renders: reuse, idle end, crashes, back-off."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from core.errors import BadVideo, Cancelled, EngineDied, EngineError, Paused
from core.jobs.engine.process import EngineProcess
from core.jobs.engine.states import Busy, EngineState, Off, Starting, Waiting, Warm
from core.jobs.engine.supervisor import BACK_OFF_S, Supervisor
from core.media.disk import part_file
from core.types import Note, Progress, RenderEvent, RenderRequest, Result
from tests.fakes.clock import SetClock
from tests.fakes.misbehaving import PID, PLAN, RESULT, WAIT_S, engine, request

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
# The prompt is run: each render of one engine may behave otherwise.
OBEDIENT = f"{PID}\nexec(request.prompt)\n{RESULT}"
CRASH = "os.kill(os.getpid(), signal.SIGSEGV)"
BAD = "raise BadVideo('Bad clip.')"


class Watched:
    """A supervisor on a clock that the test moves, with the states it goes through."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = SetClock()
        self.log: list[str] = []
        self._states: list[EngineState] = []
        self._changed = threading.Condition()
        command = engine(OBEDIENT)
        self.supervisor = Supervisor(command, warm_s=300, clock=self.clock, on_state=self._hear, grace_s=20)

    def _hear(self, state: EngineState) -> None:
        with self._changed:
            self._states.append(state)
            self._changed.notify_all()

    def reach(self, kind: type[EngineState]) -> EngineState:
        """Wait until the engine stands like this."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._states and isinstance(self._states[-1], kind), WAIT_S)
            return self._states[-1]

    @property
    def kinds(self) -> list[str]:
        return [type(state).__name__ for state in self._states]

    def render(self, prompt: str = "", device: str = "cpu") -> int:
        """Render; the engine's process id."""
        events: list[RenderEvent] = []
        self.run(request(self.folder, device, prompt), events.append)
        return next(int(event.text) for event in events if isinstance(event, Note))

    def run(self, asked: RenderRequest, on_event: Callable[[RenderEvent], None] = lambda _: None) -> Result:
        return self.supervisor.render(asked, PLAN, on_event, on_log=self.log.append)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    yield made
    made.supervisor.close()
    assert made.supervisor.state == Off()


def test_an_engine_is_kept_warm_and_ended_when_idle_for_long(watched: Watched) -> None:
    first = watched.render()
    warm = watched.reach(Warm)
    assert watched.render() == first
    watched.reach(Warm)
    watched.clock.advance(299)
    assert watched.render() == first
    watched.reach(Warm)
    watched.clock.advance(300)
    watched.reach(Off)
    assert not psutil.pid_exists(first)
    assert watched.render() != first
    assert warm == Warm(0)
    assert watched.kinds[:5] == ["Starting", "Busy", "Warm", "Busy", "Warm"]


def test_another_device_gets_another_engine(watched: Watched) -> None:
    pids = [watched.render(device=device) for device in ("cpu", "cuda:GPU-1", "cuda:GPU-1", "cpu")]
    assert pids[1] == pids[2]
    assert len({pids[0], pids[1], pids[3]}) == 3
    assert not psutil.pid_exists(pids[0])


def test_another_environment_gets_another_engine(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    first = watched.render()
    monkeypatch.setenv("PIROUETTE_MINI_DIR", "elsewhere")
    assert watched.render() != first


def test_an_error_of_the_engine_keeps_it(watched: Watched) -> None:
    first = watched.render()
    with pytest.raises(BadVideo):
        watched.render(BAD)
    assert watched.render() == first


def test_lines_of_the_log_go_to_their_render(watched: Watched) -> None:
    logs: list[queue.SimpleQueue[str]] = [queue.SimpleQueue(), queue.SimpleQueue()]
    for number, log in enumerate(logs):
        asked = request(watched.folder, prompt=f"print({number}, flush=True)")
        watched.supervisor.render(asked, PLAN, lambda _: None, on_log=log.put)
        assert log.get(timeout=WAIT_S) == str(number)
    watched.supervisor.close()
    assert [log.empty() for log in logs] == [True, True]


@POSIX
def test_an_idle_engine_that_died_is_started_again_at_once(watched: Watched) -> None:
    first = watched.render()
    os.kill(first, signal.SIGKILL)
    assert watched.render() != first
    assert "Waiting" not in watched.kinds


@POSIX
def test_a_crash_says_where_and_removes_the_unfinished_file(watched: Watched) -> None:
    gone = part_file(watched.folder / "out.mp4", 2**22 + 1)
    mine = part_file(watched.folder / "out.mp4", os.getpid())
    for path in (gone, mine, watched.folder / ".out.x.part.mp4"):
        path.touch()
    begun = "Path(out).with_name(f'.out.{os.getpid()}.part.mp4').touch()"
    with pytest.raises(EngineDied, match="SIGSEGV, in <module>"):
        watched.render(f"{begun}; {CRASH}")
    assert sorted(path.name for path in watched.folder.iterdir()) == sorted([mine.name, ".out.x.part.mp4"])
    assert any("Fatal Python error" in line for line in watched.log)


@POSIX
def test_after_crashes_the_next_start_waits_longer_each_time(watched: Watched) -> None:
    with pytest.raises(EngineDied):
        watched.render(CRASH)
    for wait_s in BACK_OFF_S[:2]:
        thread = threading.Thread(target=lambda: _swallow(lambda: watched.render(CRASH)))
        thread.start()
        assert watched.reach(Waiting) == Waiting(watched.clock.now() + wait_s)
        watched.clock.advance(wait_s - 0.01)
        assert thread.is_alive()
        assert watched.supervisor.state == Waiting(watched.clock.now() + 0.01)
        watched.clock.advance(0.02)
        thread.join(WAIT_S)
        assert not thread.is_alive()
    watched.clock.advance(100)
    watched.render()
    with pytest.raises(EngineDied):
        watched.render(CRASH)
    watched.clock.advance(BACK_OFF_S[0])
    assert watched.render() > 0


def _swallow(work: Callable[[], object]) -> None:
    with suppress(EngineDied):
        work()


@POSIX
@pytest.mark.parametrize("stop", ["cancel", "pause", "force_stop", "close"])
def test_a_stop_ends_the_wait_after_a_crash(watched: Watched, stop: str) -> None:
    with pytest.raises(EngineDied):
        watched.render(CRASH)
    caught: list[BaseException] = []

    def render() -> None:
        try:
            watched.render()
        except Cancelled as error:
            caught.append(error)

    thread = threading.Thread(target=render)
    thread.start()
    watched.reach(Waiting)
    getattr(watched.supervisor, stop)()
    thread.join(WAIT_S)
    assert [type(error) for error in caught] == [Paused if stop == "pause" else Cancelled]


def test_one_render_at_a_time(watched: Watched) -> None:
    def again(event: RenderEvent) -> None:
        if isinstance(event, Note):
            with pytest.raises(EngineError, match="Another render"):
                watched.run(request(watched.folder))
            watched.supervisor.cancel()

    with pytest.raises(Cancelled):
        watched.run(request(watched.folder, prompt="while True: check()"), again)


def test_a_closed_supervisor_renders_nothing(watched: Watched) -> None:
    watched.supervisor.close()
    with pytest.raises(EngineError, match="closed"):
        watched.render()


def test_the_states_of_a_render(watched: Watched) -> None:
    seen: list[EngineState] = []
    watched.run(request(watched.folder, prompt="emit(Progress('decode')); emit(Progress('decode', 1))"))
    watched.reach(Warm)
    seen = list(watched._states)
    assert seen == [Starting(), Busy("start"), Busy("decode"), Warm(0)]


def test_an_idle_engine_unloads_and_stays(watched: Watched) -> None:
    first = watched.render()
    watched.reach(Warm)
    watched.supervisor.unload()
    assert watched.render() == first


def test_a_failure_of_the_listener_ends_the_engine_but_not_the_supervisor(watched: Watched) -> None:
    def broken(event: RenderEvent) -> None:
        if isinstance(event, Progress):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        watched.run(request(watched.folder, prompt="while True: check()"), broken)
    assert watched.render() > 0
    assert "Waiting" not in watched.kinds


def test_an_engine_that_cannot_be_ended_in_order_does_not_end_the_supervisor(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread alone answers those who wait for a render."""
    first = watched.render()
    finish = EngineProcess.finish

    def denied(engine: EngineProcess, grace_s: float) -> int:
        finish(engine, grace_s)
        raise PermissionError("Access is denied.")

    with monkeypatch.context() as patched:
        patched.setattr(EngineProcess, "finish", denied)
        watched.reach(Warm)
        watched.clock.advance(300)
        watched.reach(Off)
    assert watched.render() != first
