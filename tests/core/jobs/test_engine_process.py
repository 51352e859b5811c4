"""The real engine process with a real (random) model: a cancel in each phase, then a whole render."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.catalogue.entries import MINI_DIR_VARIABLE
from core.catalogue.planner import plan
from core.hardware import Device
from core.jobs.engine.environment import engine_command, engine_environment
from core.protocol import (
    cancel_message,
    check_hello,
    hello,
    read_event,
    read_message,
    render_message,
    write_message,
)
from core.types import (
    Failure,
    MediaInput,
    Output,
    Overrides,
    Progress,
    RenderEvent,
    RenderRequest,
    Result,
    Size,
)

# Phases that look for a cancel; writing ends with the renaming, after which there is nothing to stop.
PHASES = ("start", "load", "pose", "encode", "sample", "decode")


class Engine:
    """The engine's pipes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self._in, self._out = process, process.stdin, process.stdout
        write_message(self._in, hello())
        check_hello(read_message(self._out))

    def render(self, request: RenderRequest, cancel_in: str | None = None) -> Result | Failure:
        """Render and cancel at the first sign of a phase."""
        write_message(self._in, render_message(request, plan(request, 40)))
        while True:
            event = self._event()
            if isinstance(event, Result | Failure):
                return event
            if isinstance(event, Progress) and event.phase == cancel_in:
                write_message(self._in, cancel_message())
                cancel_in = None

    def _event(self) -> RenderEvent:
        while True:
            message = read_message(self._out)
            assert message is not None
            if message["type"] == "event":
                return read_event(message)


@pytest.fixture
def engine(full_mini: Path) -> Iterator[Engine]:
    environment = engine_environment(os.environ, Device("cpu"))
    environment |= {MINI_DIR_VARIABLE: str(full_mini), "OMP_NUM_THREADS": "1"}
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(
        engine_command(), stdin=pipe, stdout=pipe, stderr=nowhere, env=environment
    ) as process:
        yield Engine(process)
    assert process.returncode == 0


@pytest.fixture
def full_mini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A random embedded model of the shipped size, so that every phase takes longer than a message."""
    from core.engine.models.mini import write_random_mini

    write_random_mini(tmp_path / "mini", seed=1, size="full")
    monkeypatch.setenv(MINI_DIR_VARIABLE, str(tmp_path / "mini"))
    return tmp_path / "mini"


def test_a_cancel_in_each_phase(engine: Engine, reference: Path, long_motion: Path, out: Path) -> None:
    request = RenderRequest(
        MediaInput(str(reference)),
        MediaInput(str(long_motion)),
        Output(str(out / "result.mp4")),
        size=Size(96, 96),
        overrides=Overrides(steps=1),
        device="cpu",
    )
    for phase in PHASES:
        steps = 50 if phase == "sample" else 1
        last = engine.render(replace(request, overrides=Overrides(steps=steps)), cancel_in=phase)
        assert isinstance(last, Failure), f"the render was not cancelled in {phase}"
        assert last.exit_code == 130, last.error
        assert list(out.iterdir()) == []
    last = engine.render(request)
    assert isinstance(last, Result)
    assert last.frames == 33
    assert [path.name for path in out.iterdir()] == ["result.mp4"]
