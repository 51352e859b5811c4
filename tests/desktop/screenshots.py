"""Pictures of every screen: ``make screenshots``; light and dark, at 100 % and 200 %.

Each scene is built by its own function in ``scenes/`` from real parts, in a process and a home of its own, so
that one cannot disturb another. ``--only WORD`` makes those whose name has the word; ``--docs`` also writes
the small ones that the README shows.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
OUT: Final = ROOT / "screenshots"
SCENES: Final = Path(__file__).resolve().parent / "scenes"
THEMES: Final = ("light", "dark")
SCALES: Final = (1, 2)
LONGEST_S: Final = 180
# Scene -> file in docs, theme.
IN_DOCS: Final = {
    "window_result": ("window.png", "dark"),
    "pose_check": ("pose-check.png", "light"),
    "window_queue": ("queue.png", "light"),
}


def scene_names() -> dict[str, str]:
    """Name of each scene -> the module that has it."""
    found = {}
    for path in sorted(SCENES.glob("scene_*.py")):
        for name in importlib.import_module(f"scenes.{path.stem}").SCENES:
            assert name not in found, f"Two scenes are called {name}."
            found[name] = path.stem
    return found


def make(module: str, name: str, theme: str, out: Path) -> None:
    """One picture, in this process."""
    from PySide6.QtWidgets import QApplication, QWidget

    from desktop.app import make_application
    from desktop.views.window_commands import apply_theme

    application = QApplication.instance() or make_application()
    apply_theme(theme)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["PIROUETTE_HOME"] = scratch
        build: Callable[[Path], QWidget] = importlib.import_module(f"scenes.{module}").SCENES[name]
        widget = build(Path(scratch))
        widget.show()
        for _ in range(5):
            QApplication.processEvents()
        out.parent.mkdir(parents=True, exist_ok=True)
        assert widget.grab().save(str(out)), out
        assert application is not None
        sys.stdout.flush()
        os._exit(0)  # what a scene left open must not keep it from ending


def make_all(jobs: Sequence[tuple[str, str, str, int]]) -> list[str]:
    """Every picture in a process of its own, two at a time; names of those that failed."""

    def one(job: tuple[str, str, str, int]) -> str:
        module, name, theme, scale = job
        out = OUT / f"{name}-{theme}-{scale}00.png"
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "QT_SCALE_FACTOR": str(scale)}
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(ROOT), str(SCENES.parent), str(ROOT / "tests" / "fakes")]
        )
        command = [sys.executable, __file__, "--make", module, name, theme, str(out)]
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            return f"{name} {theme} {scale}: took too long"
        if done.returncode:
            return f"{name} {theme} {scale}: {done.stderr.strip().splitlines()[-1:]}"
        print(out.relative_to(ROOT), flush=True)
        return ""

    with ThreadPoolExecutor(2) as pool:
        return [failed for failed in pool.map(one, jobs) if failed]


def copy_for_docs(names: Collection[str]) -> None:
    """Small ones of these scenes, half as wide as the window, with a palette: some 40 KB each."""
    from PIL import Image

    for name, (file, theme) in IN_DOCS.items():
        if name not in names:
            continue
        source = OUT / f"{name}-{theme}-200.png"
        with Image.open(source) as picture:
            width = 1200
            small = picture.convert("RGB").resize((width, round(picture.height * width / picture.width)))
            small.quantize(192).save(ROOT / "docs" / file, optimize=True)


def main() -> int:
    """0 where every picture was made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--make", nargs=4, metavar=("MODULE", "NAME", "THEME", "OUT"), help=argparse.SUPPRESS)
    parser.add_argument("--only", default="", help="scenes whose name has this word")
    parser.add_argument("--docs", action="store_true", help="also write the pictures of the README")
    options = parser.parse_args()
    if options.make:
        module, name, theme, out = options.make
        make(module, name, theme, Path(out))
    names = {name: module for name, module in scene_names().items() if options.only in name}
    jobs = [
        (module, name, theme, scale) for name, module in names.items() for theme in THEMES for scale in SCALES
    ]
    failed = make_all(jobs)
    for line in failed:
        print(f"FAILED {line}", file=sys.stderr)
    if options.docs and not failed:
        copy_for_docs(names)
    return int(bool(failed))


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(SCENES.parent), str(ROOT / "tests" / "fakes")]
    sys.exit(main())
