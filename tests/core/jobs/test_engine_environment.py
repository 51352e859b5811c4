"""The engine in an environment of its own, of another Python too."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from core.errors import EngineError
from core.hardware import Device
from core.helper import ENGINE_MODULE, FROZEN_NAME, MODULE_FLAG
from core.jobs.engine.environment import PYTHON_VARIABLE, engine_command, engine_environment
from core.jobs.engine.supervisor import Supervisor
from core.types import Note, RenderEvent
from tests.fakes.misbehaving import PLAN, RESULT, engine, request


@pytest.fixture
def other_python(tmp_path: Path) -> Path:
    """An environment that shares our packages but is another one."""
    folder = tmp_path / "runtime"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    within = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
    (within / "ours.pth").write_text(sysconfig.get_path("purelib"))
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def test_the_engine_runs_from_another_python(other_python: Path, tmp_path: Path) -> None:
    notes: list[RenderEvent] = []
    with Supervisor(engine(f"emit(Note(sys.prefix))\n{RESULT}", str(other_python))) as supervisor:
        supervisor.render(request(tmp_path), PLAN, notes.append)
    prefix = next(event.text for event in notes if isinstance(event, Note))
    assert Path(prefix).resolve() == other_python.parents[1].resolve()
    assert prefix != sys.prefix


def test_the_user_names_another_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine_command({}) == (sys.executable, "-m", "core.engine.worker")
    monkeypatch.setenv(PYTHON_VARIABLE, str(tmp_path / "no-such-python"))
    with Supervisor() as supervisor, pytest.raises(EngineError, match="no-such-python"):
        supervisor.render(request(tmp_path), PLAN, lambda _: None)


def test_a_python_without_what_the_engine_needs_is_told(tmp_path: Path) -> None:
    bare = (sys.executable, "-S", "-m", "core.engine.worker")
    with (
        Supervisor(bare) as supervisor,
        pytest.raises(EngineError, match=r"does not start .*No module named"),
    ):
        supervisor.render(request(tmp_path), PLAN, lambda _: None)


def test_packages_of_this_python_are_not_forced_on_another(tmp_path: Path) -> None:
    """Installed, our folder is where this Python's torch lies too."""
    installed = tmp_path / "site-packages"
    assert engine_environment({}, Device("cpu"), tmp_path)["PYTHONPATH"] == str(tmp_path)
    assert "PYTHONPATH" not in engine_environment({}, Device("cpu"), installed)
    assert engine_environment({"PYTHONPATH": "x"}, Device("cpu"), installed)["PYTHONPATH"] == "x"


def test_in_a_bundle_the_engine_is_the_executable_beside_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "pirouette-desktop"))
    beside = str(tmp_path / FROZEN_NAME)
    assert engine_command({}) == (beside, MODULE_FLAG, ENGINE_MODULE)
    assert engine_command({PYTHON_VARIABLE: "/other/python"}) == ("/other/python", "-m", ENGINE_MODULE)
    assert "PYTHONPATH" not in engine_environment({}, Device("cpu"))
