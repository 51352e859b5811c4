"""The C compiler that Triton calls on Linux at run time, for users who have none.

Triton compiles two kinds of small Python extensions: one that talks to the driver, and a launcher for each
kernel signature (triton 3.6, runtime/build.py and backends/nvidia/driver.py). It takes ``CC``, or gcc or
clang from the path, and Python's headers from where ``sysconfig`` says. Here every candidate is tried on a
small extension first; the last is Zig's clang out of the ziglang wheel, behind a script in our cache, since
``CC`` is one program without arguments. Triton for Windows brings a compiler of its own.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.settings import resources

SYSTEM_COMPILERS: Final = ("gcc", "clang", "cc")
TRIAL_S: Final = 120.0  # the first call of Zig builds what it links against
NO_TRITON: Final = "PIROUETTE_NO_TRITON"
"""Set to 1, no Triton kernel is used in this process (``core.engine.ops.triton_support``)."""

_LOGGER = logging.getLogger(__name__)
_LIBRARY: Final = "int answer(void) { return 42; }\n"
_TRIAL: Final = """#include <Python.h>
int answer(void);
static struct PyModuleDef trial = {PyModuleDef_HEAD_INIT, "trial", 0, -1, 0};
PyMODINIT_FUNC PyInit_trial(void) { return answer() ? PyModule_Create(&trial) : 0; }
"""
_LONGEST_PROBLEM: Final = 200


@dataclass(frozen=True)
class Compiler:
    """What Triton compiles with.

    Attributes:
        program: what ``CC`` is set to; empty where there is none, or where none is needed.
        label: for people, such as ``gcc`` or ``zig (ziglang)``.
        problem: why there is none, with what to install; empty where all is well.
    """

    program: str = ""
    label: str = ""
    problem: str = ""

    @property
    def works(self) -> bool:
        """Whether Triton can compile."""
        return not self.problem


@dataclass(frozen=True)
class Candidate:
    """Something that may be a compiler.

    Attributes:
        label: for people.
        words: the command.
        variables: that it needs in its environment.
    """

    label: str
    words: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()


def ensure_compiler(cache: Path, environment: MutableMapping[str, str] = os.environ) -> Compiler:
    """Find a compiler that works and have Triton use it: called once a process, before any kernel.

    Sets ``CC`` and, where the user has not, ``TRITON_CACHE_DIR``; without a compiler ``NO_TRITON``. What has
    worked is noted and not tried again; else gcc takes a fraction of a second, Zig's first call some ten.

    Args:
        cache: folder for the script, Zig's cache and the note of what has worked.
        environment: of this process.
    """
    environment.setdefault("TRITON_CACHE_DIR", str(cache / "triton"))
    if sys.platform != "linux":
        return Compiler(label="that of Triton")
    compiler = find_compiler(cache / "compiler", environment)
    if compiler.works:
        environment["CC"] = compiler.program
    else:
        environment[NO_TRITON] = "1"
        _LOGGER.warning("Triton cannot be used: %s", compiler.problem)
    return compiler


def find_compiler(
    folder: Path, environment: Mapping[str, str] = os.environ, headers: Sequence[Path] = ()
) -> Compiler:
    """The first candidate that compiles an extension: ``CC``, then those of the path, then Zig.

    Args:
        folder: for scripts and the note; made where it is missing.
        environment: its ``CC`` and ``PATH`` are looked at.
        headers: folders that may hold ``Python.h``, the first being Triton's; by default ``header_folders``.
    """
    places = headers or header_folders()
    found = next((place for place in places if (place / "Python.h").is_file()), None)
    if found is None:
        return Compiler(problem=_no_headers())
    problems = []
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for candidate in candidates(environment, folder):
            program = _program(candidate, None if found == places[0] else found, folder)
            problem = _tried(program, found, folder)
            if not problem:
                return Compiler(program, candidate.label)
            problems.append(f"{candidate.label}: {problem}")
    except OSError as error:
        problems.append(f"{folder} cannot be used: {error.strerror or error}")
    said = "; ".join(problems) or "no C compiler was found"
    return Compiler(problem=f"{said}. Install ziglang 0.17 (pip), or gcc")


def candidates(environment: Mapping[str, str], folder: Path) -> Iterator[Candidate]:
    """Everything that may be a compiler here; Zig's caches lie in ``folder``."""
    path = environment.get("PATH", os.defpath)
    for name in (environment.get("CC"), *SYSTEM_COMPILERS):
        program = shutil.which(name, path=path) if name else None
        if name and program and Path(program).parent != folder:  # not our own script of a process before
            yield Candidate(Path(name).name, (program,))
    zig = find_zig()
    if zig is not None:
        caches = [(f"ZIG_{which}_CACHE_DIR", str(folder / "zig")) for which in ("GLOBAL", "LOCAL")]
        # What is compiled is kept, and a home on the network may be another processor's next time.
        yield Candidate("zig (ziglang)", (str(zig), "cc", "-mcpu=baseline", "-w"), tuple(caches))


def find_zig() -> Path | None:
    """The program in the ziglang wheel, or in a bundle."""
    spec = importlib.util.find_spec("ziglang")
    places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    places += [folder / "ziglang" for folder in _bundle_folders()]
    return next((place / "zig" for place in places if (place / "zig").is_file()), None)


def header_folders() -> tuple[Path, ...]:
    """Where ``Python.h`` may lie; the first is where Triton looks."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    told = sysconfig.get_config_var("INCLUDEPY")
    carried = [folder / "include" / name for folder in _bundle_folders()]
    return (_triton_headers(), *([Path(told)] if told else []), *carried)


def _triton_headers() -> Path:
    scheme = sysconfig.get_default_scheme()
    return Path(sysconfig.get_paths(scheme="posix_prefix" if scheme == "posix_local" else scheme)["include"])


def _bundle_folders() -> tuple[Path, ...]:
    """Where a bundle has its files, and package data."""
    inside = getattr(sys, "_MEIPASS", None)
    return (*([Path(inside)] if inside else []), resources())


def _no_headers() -> str:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return (
        f"Python's headers (Python.h) are not installed. Install python{version}-dev (Debian, Ubuntu) or "
        f"python{version}-devel (Fedora), or use a Python from python.org, uv or conda"
    )


def _program(candidate: Candidate, headers: Path | None, folder: Path) -> str:
    """One executable that stands for a command: itself, or a script where there is more to say."""
    if len(candidate.words) == 1 and headers is None:
        return candidate.words[0]
    exports = [f"export {name}={shlex.quote(value)}" for name, value in candidate.variables]
    include = [] if headers is None else [shlex.quote(f"-I{headers}")]
    words = ["exec", *map(shlex.quote, candidate.words), '"$@"', *include]
    name = f"cc-{candidate.label.split()[0]}"
    return str(_script(folder / name, "\n".join(["#!/bin/sh", *exports, " ".join(words)]) + "\n"))


def _script(path: Path, text: str) -> Path:
    """An executable file of this text that only its owner may use, complete or not there."""
    if not (path.is_file() and os.access(path, os.X_OK) and path.read_text(encoding="utf-8") == text):
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        part.write_text(text, encoding="utf-8")
        part.chmod(0o700)
        part.replace(path)
    return path


def _tried(program: str, headers: Path, folder: Path) -> str:
    """Why ``program`` does not compile an extension; empty where it does, also when noted from before."""
    note, key = folder / "works.json", _key(program, headers)
    if _noted(note) == key:
        return ""
    problem = _trial(program, headers)
    if not problem:
        part = note.with_suffix(f".{secrets.token_hex(4)}.part")
        part.write_text(json.dumps(key), encoding="utf-8")
        part.replace(note)
    return problem


def _key(program: str, headers: Path) -> list[str]:
    status = Path(program).stat()
    return [program, str(status.st_mtime_ns), str(status.st_size), str(headers), sys.version]


def _noted(note: Path) -> object:
    try:
        return json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _trial(program: str, headers: Path) -> str:
    """Compile a library, and an extension linked with it by file name, as Triton names libcuda."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "library.c").write_text(_LIBRARY, encoding="ascii")
        (place / "trial.c").write_text(_TRIAL, encoding="ascii")
        common = ["-O3", "-shared", "-fPIC", "-Wno-psabi", "-o"]
        linked = ["-l:libtrial.so.1", f"-L{place}", f"-I{headers}"]
        for command in (
            [program, str(place / "library.c"), *common, str(place / "libtrial.so.1")],
            [program, str(place / "trial.c"), *common, str(place / "trial.so"), *linked],
        ):
            problem = _failure(command)
            if problem:
                return problem
    return ""


def _failure(command: list[str]) -> str:
    """Why a command failed, in one line; empty where it did not."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=TRIAL_S, check=False, text=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)[:_LONGEST_PROBLEM]
    lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
    return "" if done.returncode == 0 else (lines or [f"exit code {done.returncode}"])[0][:_LONGEST_PROBLEM]
