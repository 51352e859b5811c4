"""The compiler for Triton: found, carried or missed.

Zig's test needs the ziglang wheel (100 MB), which is no test dependency: it runs where that is installed, or
with ``PYTHONPATH`` set to a folder made by ``pip install --target FOLDER ziglang``.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.engine.fast import compiler
from core.engine.fast.compiler import Compiler, ensure_compiler, find_compiler, header_folders
from core.engine.ops import triton_support

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Triton calls a compiler on Linux only")
needs_headers = pytest.mark.skipif(
    not any((place / "Python.h").is_file() for place in header_folders()), reason="Python.h is not installed"
)
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
needs_zig = pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None,
    reason="ziglang is not installed; see this file's first lines",
)
ROOT = Path(__file__).resolve().parents[4]


def bare(home: Path) -> dict[str, str]:
    """An environment with no program in it."""
    (home / "bin").mkdir(parents=True, exist_ok=True)
    return {"PATH": str(home / "bin"), "HOME": str(home)}


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_switch_has_one_name() -> None:
    assert compiler.NO_TRITON == triton_support.SWITCHED_OFF


@needs_headers
@needs_gcc
def test_gcc_of_the_path_is_used_as_it_is(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"]}
    assert find_compiler(tmp_path, environment) == Compiler(str(shutil.which("gcc")), "gcc")


@needs_headers
def test_without_a_compiler_triton_is_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "find_zig", lambda: None)
    environment = bare(tmp_path)
    found = ensure_compiler(tmp_path / "cache", environment)
    assert not found.works
    assert "ziglang" in found.problem
    assert environment[compiler.NO_TRITON] == "1"
    assert "CC" not in environment


def test_missing_headers_are_named(tmp_path: Path) -> None:
    found = find_compiler(tmp_path, dict(os.environ), headers=(tmp_path / "none",))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"python{version}-dev" in found.problem


@needs_headers
@needs_gcc
def test_a_compiler_that_fails_is_passed_over(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "CC": str(program(tmp_path / "mycc", "exit 3"))}
    found = ensure_compiler(tmp_path / "cache", environment)
    assert found.label == "gcc"
    assert environment["CC"] == found.program
    assert environment["TRITON_CACHE_DIR"] == str(tmp_path / "cache" / "triton")


@needs_headers
@needs_gcc
def test_headers_beside_us_are_told_by_a_script(tmp_path: Path) -> None:
    real = next(place for place in header_folders() if (place / "Python.h").is_file())
    elsewhere = (tmp_path / "not here", real)
    found = find_compiler(tmp_path / "it's", {"PATH": os.environ["PATH"]}, headers=elsewhere)
    assert found.works, found.problem
    script = Path(found.program)
    assert script.name == "cc-gcc"
    assert stat.S_IMODE(script.stat().st_mode) == 0o700
    assert stat.S_IMODE(script.parent.stat().st_mode) == 0o700
    (tmp_path / "x.c").write_text("#include <Python.h>\n", encoding="ascii")
    subprocess.run([script, "-c", tmp_path / "x.c", "-o", tmp_path / "x.o"], check=True, timeout=60)


@needs_headers
def test_what_worked_is_tried_again_only_when_it_changes(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    own = program(tmp_path / "owncc", f"echo x >> {calls}")
    environment = bare(tmp_path) | {"CC": str(own)}
    for _ in range(2):
        assert find_compiler(tmp_path / "c", environment).label == "owncc"
    assert calls.read_text(encoding="ascii") == "x\nx\n"  # a library, and an extension linked with it
    program(own, f"echo y >> {calls}; true")
    find_compiler(tmp_path / "c", environment)
    assert calls.read_text(encoding="ascii") == "x\nx\ny\ny\n"


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    headers = tmp_path / "headers"
    headers.mkdir()
    (headers / "Python.h").touch()
    assert "cannot be used" in find_compiler(tmp_path / "file" / "x", bare(tmp_path), (headers,)).problem


@pytest.mark.slow
@needs_headers
@needs_zig
def test_zig_compiles_what_triton_compiles_with_no_compiler_on_the_path(tmp_path: Path) -> None:
    environment = bare(tmp_path)
    found = ensure_compiler(tmp_path / "cache", environment)
    assert found.label == "zig (ziglang)", found.problem
    cache = str(tmp_path / "cache")
    code = f"from core.engine.fast.selfcheck import *; print(*check_kernels(Path({cache!r})), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": environment["PATH"], "HOME": str(tmp_path), "PYTHONPATH": os.environ["PYTHONPATH"]},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    steps = done.stdout.splitlines()
    assert len(steps) == 4, done.stdout + done.stderr[-2000:]
    assert "zig (ziglang)" in steps[1]
    assert all("works=True" in step for step in steps), done.stdout
    assert (tmp_path / "cache" / "compiler" / "zig").is_dir()
    assert not (tmp_path / ".cache").exists()
