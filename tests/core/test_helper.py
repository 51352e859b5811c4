"""How helper processes are started, from source and from a bundle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.helper import FROZEN_NAME, MODULE_FLAG, helper_command, helper_environment
from core.protocol import PARENT_VARIABLE


def test_from_source_our_own_python_runs_the_module() -> None:
    assert helper_command("core.errors") == (sys.executable, "-m", "core.errors")


def test_in_a_bundle_the_executable_beside_ours_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "pirouette-desktop"))
    assert helper_command("core.errors") == (str(tmp_path / FROZEN_NAME), MODULE_FLAG, "core.errors")


def test_a_helper_finds_our_package_from_any_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        helper_command("core.errors"),
        env=helper_environment(),
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_helper_knows_whose_it_is_and_sees_no_gpu() -> None:
    environment = helper_environment({"PATH": "here", "PYTHONPATH": "other"}, Path("/our/place"))
    assert environment["PYTHONPATH"].endswith("other")
    assert environment["PYTHONPATH"].startswith(str(Path("/our/place")))
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert environment[PARENT_VARIABLE].isdigit()


def test_a_bundle_needs_no_way_to_our_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert "PYTHONPATH" not in helper_environment({"PATH": "here"})
