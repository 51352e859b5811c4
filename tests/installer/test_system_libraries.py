"""Which packages are asked for, and what is said when they cannot be installed."""

from __future__ import annotations

import sys
import venv
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "installer"))

import make_venv
import system_libraries as libraries


def test_nothing_missing_where_everything_loads() -> None:
    assert libraries.missing_packages(libraries.NEEDED, has=lambda _: True) == []


def test_each_package_is_named_once() -> None:
    missing = libraries.missing_packages(
        libraries.NEEDED, has=lambda name: "glib" not in name and "gth" not in name
    )
    assert missing == ["libglib2.0-0"]


def test_the_loader_is_really_asked() -> None:
    assert libraries.missing_packages({"libnosuchthing.so.9": "nosuchthing"}) == ["nosuchthing"]


def test_screen_libraries_only_with_a_screen() -> None:
    assert "libxcb-cursor.so.0" not in libraries.wanted({})
    assert "libxcb-cursor.so.0" in libraries.wanted({"DISPLAY": ":0"})
    assert "libxcb-cursor.so.0" in libraries.wanted({"WAYLAND_DISPLAY": "wayland-0"})


def test_tests_bring_a_screen_of_their_own() -> None:
    assert "libxcb-cursor.so.0" in libraries.wanted({}, for_tests=True)
    assert libraries.missing_programs(True, has=lambda _: None) == ["xvfb"]
    assert libraries.missing_programs(True, has=lambda name: f"/usr/bin/{name}") == []
    assert libraries.missing_programs(False, has=lambda _: None) == []


def test_one_line_to_type() -> None:
    assert (
        libraries.line_to_type(["libgl1", "libegl1"], has_apt=True)
        == "sudo apt-get install -y libgl1 libegl1"
    )
    assert "libgl1 libegl1" in libraries.line_to_type(["libgl1", "libegl1"], has_apt=False)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems bring these libraries along")
def test_missing_without_apt_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(libraries, "wanted", lambda *_: {"libnosuchthing.so.9": "nosuchthing"})
    monkeypatch.setattr(libraries, "installer_prefix", lambda: None)
    assert libraries.main() == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "nosuchthing" in lines[0]


def test_constraints_only_without_a_gpu() -> None:
    python = Path("python")
    assert "constraints/cpu.txt" in make_venv.pip_command(python, nvidia=False, terminal=False)
    assert "constraints/cpu.txt" not in make_venv.pip_command(python, nvidia=True, terminal=False)


def test_a_broken_environment_is_made_anew(tmp_path: Path) -> None:
    assert not make_venv.usable(tmp_path)


def test_packages_are_compiled_but_what_is_hardly_imported(tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=False, symlinks=sys.platform != "win32")
    (packages,) = [path for path in tmp_path.rglob("site-packages") if not path.is_symlink()]
    for name in ("torch/nn", "networkx/algorithms", "transformers/models/bert", "torch/testing"):
        (packages / name).mkdir(parents=True)
        (packages / name / "module.py").write_text("NUMBER = 1\n", encoding="utf-8")
    make_venv.compile_packages(make_venv.interpreter(tmp_path))
    compiled = [path.relative_to(packages).as_posix() for path in packages.rglob("*.pyc")]
    assert len(compiled) == 1
    assert compiled[0].startswith("torch/nn/")
