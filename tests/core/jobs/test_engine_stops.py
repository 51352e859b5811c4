"""Pause, cancel and force stop in every phase, with engines that listen and engines that do not."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from core.errors import Cancelled, DiskError, Paused
from core.jobs.engine.rendering import Rendering
from core.jobs.engine.states import EngineState, Starting
from core.jobs.engine.supervisor import Supervisor
from core.types import Kept, Note, RenderEvent
from tests.fakes.misbehaving import HANG, HOLD_GIL, PLAN, POLITE, RESULT, engine, request

SHORT_S = 0.3
LONG_S = 20.0
STOPS: dict[str, Callable[[Rendering], None]] = {
    "pause": Rendering.pause,
    "cancel": Rendering.cancel,
    "force_stop": Rendering.force_stop,
}
KEEPS = "emit(Kept(3, 4))\nemit(Note('busy'))\n"
MUTE = (sys.executable, "-c", "import time; time.sleep(1000)")


class Scene:
    """A supervisor whose engine is stopped at a sign."""

    def __init__(self, command: tuple[str, ...], patience_s: float, folder: Path) -> None:
        self.rendering: Rendering | None = None
        self.stop: Callable[[Rendering], None] | None = None
        self.supervisor = Supervisor(command, grace_s=patience_s, pause_s=patience_s, on_state=self._on_state)
        self._folder = folder

    def _on_state(self, state: EngineState) -> None:
        if isinstance(state, Starting) and self.stop is not None and self.rendering is not None:
            self.stop(self.rendering)

    def run(self, stop: Callable[[Rendering], None], on_start: bool = False) -> object:
        self.rendering = rendering = self.supervisor.rendering(request(self._folder), PLAN)
        self.stop = stop if on_start else None
        return rendering.run(lambda event: stop(rendering) if isinstance(event, Note) else None)


Make = Callable[[tuple[str, ...], float], Scene]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Scene] = []

    def build(command: tuple[str, ...], patience_s: float) -> Scene:
        made.append(Scene(command, patience_s, tmp_path))
        return made[-1]

    yield build
    for scene in made:
        scene.supervisor.close()


def is_gone(pid: int | None) -> bool:
    return pid is not None and not psutil.pid_exists(pid)


@pytest.mark.parametrize("stop", STOPS)
def test_while_the_engine_starts(make: Make, stop: str) -> None:
    scene = make(MUTE, SHORT_S)
    with pytest.raises(Cancelled) as caught:
        scene.run(STOPS[stop], on_start=True)
    assert type(caught.value) is (Paused if stop == "pause" else Cancelled)
    assert scene.rendering is not None
    assert is_gone(scene.rendering.engine_pid)


@pytest.mark.parametrize(
    ("stop", "body"),
    [("pause", HANG), ("cancel", HANG), ("force_stop", HANG), ("pause", HOLD_GIL), ("cancel", HOLD_GIL)],
)
def test_an_engine_that_does_not_listen_is_killed(make: Make, stop: str, body: str) -> None:
    scene = make(engine(f"{KEEPS}\n{body}"), SHORT_S)
    with pytest.raises(Cancelled) as caught:
        scene.run(STOPS[stop])
    assert (type(caught.value), caught.value.value) == ((Paused, 3) if stop == "pause" else (Cancelled, None))
    assert scene.rendering is not None
    assert is_gone(scene.rendering.engine_pid)


def test_a_log_that_fails_does_not_keep_an_engine_from_its_end(make: Make, tmp_path: Path) -> None:
    def broken(line: str) -> None:
        raise ValueError(line)

    scene = make(engine(f"{KEEPS}\n{HANG}"), SHORT_S)
    rendering = scene.supervisor.rendering(request(tmp_path), PLAN, on_log=broken)
    with pytest.raises(Paused) as caught:
        rendering.run(lambda event: rendering.pause() if isinstance(event, Note) else None)
    assert caught.value.value == 3
    assert is_gone(rendering.engine_pid)


def test_a_cancelled_engine_that_listens_stays_warm(make: Make) -> None:
    scene = make(engine(POLITE), LONG_S)
    pids = set()
    for _ in range(2):
        with pytest.raises(Cancelled):
            scene.run(Rendering.cancel)
        assert scene.rendering is not None
        pids.add(scene.rendering.engine_pid)
    assert len(pids) == 1


def test_a_pause_ends_the_engine_with_the_step_that_it_told(make: Make) -> None:
    body = KEEPS + "try:\n    while True: check()\nexcept Paused: raise Paused(value=4)"
    scene = make(engine(body), LONG_S)
    began_s = time.monotonic()
    with pytest.raises(Paused) as caught:
        scene.run(Rendering.pause)
    assert time.monotonic() - began_s < LONG_S / 2  # it is not waited for
    assert caught.value.value == 4
    assert scene.rendering is not None
    assert is_gone(scene.rendering.engine_pid)


def test_a_pause_that_could_not_keep_the_state_says_so(make: Make) -> None:
    body = KEEPS + "try:\n    while True: check()\nexcept Paused: raise DiskError('The drive is full.')"
    with pytest.raises(DiskError, match="full"):
        make(engine(body), LONG_S).run(Rendering.pause)


def test_a_force_stop_ends_a_cancel_that_takes_long(make: Make) -> None:
    scene = make(engine(HANG), 1000.0)

    def stop(rendering: Rendering) -> None:
        rendering.cancel()
        rendering.force_stop()

    with pytest.raises(Cancelled):
        scene.run(stop)


@pytest.mark.parametrize("stop", ["pause", "cancel"])
def test_a_result_that_comes_with_the_stop_wins(make: Make, stop: str) -> None:
    """Its file is on disk already."""
    body = "emit(Note('busy'))\ntry:\n    while True: check()\nexcept Cancelled: pass\n" + RESULT
    scene = make(engine(body), LONG_S)
    assert getattr(scene.run(STOPS[stop]), "seed", None) == 11
    assert scene.rendering is not None
    assert is_gone(scene.rendering.engine_pid) == (stop == "pause")


@pytest.mark.parametrize("stop", STOPS)
def test_a_stop_before_the_start_starts_nothing(make: Make, tmp_path: Path, stop: str) -> None:
    rendering = make(engine(RESULT), LONG_S).supervisor.rendering(request(tmp_path), PLAN)
    STOPS[stop](rendering)
    with pytest.raises(Cancelled):
        rendering.run(lambda _: None)
    assert rendering.engine_pid is None


def test_a_stop_without_a_render_stops_nothing(make: Make, tmp_path: Path) -> None:
    scene = make(engine(RESULT), LONG_S)
    for stop in ("pause", "cancel", "force_stop"):
        getattr(scene.supervisor, stop)()
    assert scene.supervisor.render(request(tmp_path), PLAN, lambda _: None).seed == 11


def test_kept_steps_are_told_to_the_listener_too(make: Make, tmp_path: Path) -> None:
    events: list[RenderEvent] = []
    make(engine(f"emit(Kept(2, 4))\n{RESULT}"), LONG_S).supervisor.render(
        request(tmp_path), PLAN, events.append
    )
    assert Kept(2, 4) in events
