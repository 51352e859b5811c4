"""What the engine's kernels need in a bundle: Triton with its sources, a C compiler, Python's headers.

Triton reads its own and our kernels' source on the user's machine, and on Linux compiles small C files there
(``core.engine.fast.compiler``). So a bundle has them whether or not the machine that builds it has a GPU.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

COMPILER: Final = "ziglang"
# Kept as files: the source is read by inspect, and hashed by Triton and by ``kernels_version``.
AS_SOURCE: Final = {"triton": "py", "core.engine.ops": "py"}
# Of Triton: its profiler, what tests it, examples.
_UNUSED_MODULES: Final = ("triton.profiler", "triton._filecheck", "triton._internal_testing")
_UNUSED_FILES: Final = (
    "triton/_C/libproton",
    "triton/instrumentation/",
    "triton/plugins/",
    "triton/FileCheck",
    "triton/backends/nvidia/lib/cupti/",
    "triton/backends/nvidia/bin/nvdisasm",
    "triton/backends/amd/include/",
    "triton/backends/amd/lib/",
)
# Of Zig: what C for this system's glibc is compiled with, out of twenty thousand files.
_ZIG: Final = ("zig", "LICENSE", "__init__.py")
_ZIG_LIBRARY: Final = ("include", "std", "compiler_rt", "c", "libunwind")
_ZIG_LIBC: Final = ("glibc",)
_ZIG_HEADERS: Final = ("generic-glibc", "-linux-gnu", "-linux-any")


def is_installed(name: str) -> bool:
    """Whether a package is in the environment that builds."""
    return importlib.util.find_spec(name) is not None


def missing() -> str:
    """What the kernels need on Linux and the environment does not have; empty where nothing is."""
    if sys.platform != "linux" or not is_installed("triton"):
        return ""
    if not is_installed(COMPILER):
        return "ziglang is not installed: run  .venv/bin/pip install -e '.[installer]'"
    if not (_include() / "Python.h").is_file():
        return f"Python's headers are not in {_include()}: run  sudo apt-get install python3-dev"
    return ""


def is_used(module: str) -> bool:
    """Whether a module of Triton's is wanted."""
    return not module.startswith(_UNUSED_MODULES)


def distribution() -> str:
    """What brought Triton: ``triton``, on Windows ``triton-windows``. Its entry points name the backends."""
    return importlib.metadata.packages_distributions()["triton"][0]


def decided(place: str) -> bool | None:
    """Whether a file stays, by its place in the bundle; None for what is none of the kernels'."""
    if place.startswith(_UNUSED_FILES):
        return False
    return True if place.startswith((f"{COMPILER}/", "include/python", "triton/")) else None


def carried() -> list[tuple[str, str]]:
    """Files for the C compiler with their folders in the bundle; none but on Linux."""
    return [*_compiler(), *_headers()] if sys.platform == "linux" and is_installed("triton") else []


def _compiler() -> Iterator[tuple[str, str]]:
    spec = importlib.util.find_spec(COMPILER)
    assert spec is not None, "see missing"
    assert spec.origin is not None
    root = Path(spec.origin).parent
    for path in sorted(root.rglob("*")):
        place = path.relative_to(root)
        if path.is_file() and is_of_compiler(place.as_posix()):
            yield str(path), (COMPILER / place.parent).as_posix()


def is_of_compiler(place: str) -> bool:
    """Whether Zig needs a file, by its place in the wheel, to compile a Python extension here."""
    parts = place.split("/")
    if parts[0] != "lib":
        return place in _ZIG
    if len(parts) == 2:
        return True
    if parts[1] != "libc":
        return parts[1] in _ZIG_LIBRARY
    return parts[2] in _ZIG_LIBC or (parts[2] == "include" and parts[3].endswith(_ZIG_HEADERS))


def _headers() -> Iterator[tuple[str, str]]:
    """Python's, where a frozen ``sysconfig`` and ``header_folders`` look for them.

    Debian's ``pyconfig.h`` only names another, in a folder of the processor's beside it.
    """
    root = _include()
    inside = f"include/{root.name}"
    for path in sorted(root.rglob("*.h")):
        yield str(path), f"{inside}/{path.parent.relative_to(root).as_posix()}"
    triplet = sysconfig.get_config_var("MULTIARCH")
    other = root.parent / str(triplet) / root.name / "pyconfig.h"
    if other.is_file():
        yield str(other), f"{inside}/{triplet}/{root.name}"


def _include() -> Path:
    return Path(sysconfig.get_config_var("INCLUDEPY"))
