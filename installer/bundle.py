"""Builds the bundle ``dist/Pirouette``, a folder that runs where no Python is: ``make installer``."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

import kernel_parts

ROOT: Final = Path(__file__).resolve().parent.parent
DIST: Final = ROOT / "dist"
BUNDLE: Final = DIST / "Pirouette"
_WORK: Final = ROOT / "build" / "installer"
_SPEC: Final = Path(__file__).with_name("pirouette.spec")
_SHOWN_PARTS: Final = 16


def main() -> int:
    """Build, and print the size by part; the exit code."""
    trouble = missing()
    if trouble:
        say(trouble)
        return 1
    begun_s = time.monotonic()
    command = [
        sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level=WARN",
        f"--distpath={DIST}", f"--workpath={_WORK}", str(_SPEC),
    ]  # fmt: skip
    code = subprocess.run(command, cwd=ROOT).returncode
    if code == 0:
        strip(BUNDLE)
        say(f"{BUNDLE} in {time.monotonic() - begun_s:.0f} s")
        say(sizes(BUNDLE))
    return code


def missing() -> str:
    """What a build needs and is not there, with the way to get it; empty where nothing is."""
    if importlib.util.find_spec("PyInstaller") is None:
        return "PyInstaller is not installed: run  .venv/bin/pip install -e '.[installer]'"
    if sys.platform == "linux" and shutil.which("objdump") is None:
        return "PyInstaller needs objdump, which is not here: run  sudo apt-get install binutils"
    return kernel_parts.missing()


def strip(bundle: Path) -> None:
    """Leave out what a debugger reads of Triton's library: more than half of 400 MB."""
    tool = shutil.which("strip")
    for library in (bundle / "_internal" / "triton" / "_C").glob("libtriton.so"):
        if tool is not None:
            subprocess.run([tool, "--strip-debug", str(library)], check=True)


def sizes(bundle: Path) -> str:
    """A table of the largest parts, in MB (10^6 bytes)."""
    parts: Counter[str] = Counter()
    for path in bundle.rglob("*"):
        if path.is_file() and not path.is_symlink():
            parts[part_of(path.relative_to(bundle))] += path.stat().st_size
    lines = [f"{size / 1e6:8.1f} MB  {part}" for part, size in parts.most_common(_SHOWN_PARTS)]
    rest = sum(size for _, size in parts.most_common()[_SHOWN_PARTS:])
    return "\n".join([*lines, f"{rest / 1e6:8.1f} MB  the rest", f"{parts.total() / 1e6:8.1f} MB  in all"])


def part_of(path: Path) -> str:
    """The package that a file of a bundle belongs to."""
    inside = path.parts[1:] if path.parts[0] == "_internal" else path.parts
    if len(inside) > 1:
        return inside[0].removesuffix(".libs").split(".dist-info")[0]
    return "libraries of the system" if ".so" in path.name else inside[0]


def say(text: str) -> None:
    """On standard output, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
