"""The engine and the app are killed at random moments: no job is lost, doubled or spoilt.

The short forms run always; under ``faults`` fifty kills of each.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from core.jobs.engine import supervisor as supervising
from core.jobs.engine.supervisor import Supervisor
from core.jobs.queue.job import MOST_RESUMES
from core.jobs.queue.queue import Queue
from core.types import JobState, Progress, RenderEvent, Running
from tests.fakes.queue_scene import Scene, undisturbed, verdict, work


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who kills that often does not want to wait after each crash."""
    monkeypatch.setattr(supervising, "BACK_OFF_S", (0.0,))


pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="kills by signal"),
    pytest.mark.usefixtures("tiny_mini"),
]
SOUND = {"lost": 0, "duplicate": 0, "corrupt": 0, "left": 0}
# Longer than any moment of a tiny render lasts, so that kills fall into all of it.
LONGEST_MOMENT_S = 0.15
WAIT_S = 120.0


@pytest.fixture
def scene(reference: Path, skeleton_video: Path, tmp_path: Path) -> Scene:
    return Scene(reference, skeleton_video, tmp_path / "results")


class Killer:
    """Kills the engine at a random event of a job, a moment later; not more often than a job survives."""

    def __init__(self, kills: int, seed: int) -> None:
        self._left = kills
        self._random = random.Random(seed)
        self._deaths: Counter[str] = Counter()
        self._countdown = self._next()
        self._threads: list[threading.Thread] = []
        self.moments: Counter[str] = Counter()

    def __call__(self, job_id: str, news: RenderEvent | JobState) -> None:
        """Listens to the queue."""
        if self._left == 0 or (isinstance(news, JobState) and not isinstance(news, Running)):
            return
        self._countdown -= 1
        if self._countdown > 0 or self._deaths[job_id] >= MOST_RESUMES:
            return
        engines = psutil.Process().children()
        if not engines:
            return
        self._countdown = self._next()
        self._left -= 1
        self._deaths[job_id] += 1
        self.moments[news.phase if isinstance(news, Progress) else type(news).__name__] += 1
        self._threads.append(threading.Timer(self._random.uniform(0, LONGEST_MOMENT_S), _kill, (engines[0],)))
        self._threads[-1].start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _next(self) -> int:
        return self._random.randint(1, 30)


def _kill(engine: psutil.Process) -> None:
    try:
        engine.kill()
    except psutil.NoSuchProcess:
        return  # an earlier kill was enough


def kill_engines(scene: Scene, tmp_path: Path, jobs: int, kills: int, seed: int) -> None:
    supervisor = Supervisor()
    expected = undisturbed(scene, tmp_path / "quiet", jobs, supervisor)
    queue = Queue()
    killer = Killer(kills, seed)
    began_s = time.monotonic()
    try:
        scene.add(queue, jobs)
        work(queue, killer, supervisor)
        killer.join()
        found = verdict(scene, queue, expected, jobs)
    finally:
        supervisor.close()
        queue.close()
    took_s = time.monotonic() - began_s
    print(f"\n{jobs} jobs, {sum(killer.moments.values())} kills of the engine in {took_s:.0f} s: {found}")
    print(f"killed after: {dict(killer.moments)}")
    assert sum(killer.moments.values()) == kills
    assert found == SOUND


def test_a_kill_of_the_engine_costs_nothing(scene: Scene, tmp_path: Path) -> None:
    kill_engines(scene, tmp_path, jobs=2, kills=1, seed=27)


@pytest.mark.faults
def test_fifty_kills_of_the_engine_cost_nothing(scene: Scene, tmp_path: Path) -> None:
    kill_engines(scene, tmp_path, jobs=36, kills=50, seed=2)


def start_app() -> subprocess.Popen[str]:
    """``pirouette queue run`` as a user has it, its progress read by us."""
    command = (sys.executable, "-m", "core.cli", "queue", "run")
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def kill_apps(scene: Scene, tmp_path: Path, jobs: int, kills: int, seed: int) -> None:
    expected = undisturbed(scene, tmp_path / "quiet", jobs)
    queue = Queue()
    draw = random.Random(seed)
    moments: Counter[str] = Counter()
    began_s = time.monotonic()
    try:
        scene.add(queue, jobs)
        while sum(moments.values()) < kills:
            moments[_run_and_kill(draw, queue)] += 1
        with start_app() as app:
            assert app.stderr is not None
            rest = app.stderr.read()
        found = verdict(scene, queue, expected, jobs)
    finally:
        queue.close()
    took_s = time.monotonic() - began_s
    print(f"\n{jobs} jobs, {sum(moments.values())} kills of the app in {took_s:.0f} s: {found}")
    print(f"killed after: {dict(moments)}")
    assert app.returncode == 0, rest
    assert found == SOUND


def _run_and_kill(draw: random.Random, queue: Queue) -> str:
    """Start, wait for a random line of its progress and a moment, kill; the engine must die with it.

    A job that was interrupted as often as it may be is let end before.
    """
    running = queue.rows({"running", "interrupted"})
    spare = any(queue.get(row.id).deaths + (row.state == "running") >= MOST_RESUMES for row in running)
    with start_app() as app:
        assert app.stderr is not None
        line = ""
        while spare and not line.rstrip().endswith(": done"):
            line = app.stderr.readline()
        for _ in range(draw.randint(1, 12)):
            line = app.stderr.readline() or line
        threading.Event().wait(draw.uniform(0, LONGEST_MOMENT_S))
        engines = psutil.Process(app.pid).children(recursive=True) if app.poll() is None else []
        app.kill()
    gone, alive = psutil.wait_procs(engines, timeout=WAIT_S)
    assert not alive, f"{len(gone)} of {len(engines)} engines died with the app"
    assert queue.count()
    return line.strip() or "nothing"


def test_a_kill_of_the_app_costs_nothing(scene: Scene, tmp_path: Path) -> None:
    kill_apps(scene, tmp_path, jobs=1, kills=1, seed=17)


@pytest.mark.faults
def test_fifty_kills_of_the_app_cost_nothing(scene: Scene, tmp_path: Path) -> None:
    kill_apps(scene, tmp_path, jobs=60, kills=50, seed=4)
