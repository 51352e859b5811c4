"""Where torch and Qt may be loaded, seen in fresh interpreters."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import core

HEAVY = ("torch", "diffusers", "transformers", "triton", "accelerate")
LIGHT = ("desktop", "desktop.main", "core.jobs", "core.catalogue", "core.pose", "core.media", "core.cli")
# Imported with all their modules.
PACKAGES = ("core.jobs", "core.catalogue", "core.pose", "core.media", "core.cli")

IMPORT_ALL = """
import importlib, pkgutil, sys
for name in {names!r}:
    module = importlib.import_module(name)
    folders = module.__path__ if name in {packages!r} else []
    for found in pkgutil.walk_packages(folders, name + "."):
        importlib.import_module(found.name)
loaded = sorted(set({heavy!r}) & set(sys.modules))
assert not loaded, loaded
"""

WITHOUT_QT = """
import importlib, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("PySide6", "shiboken6"):
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocked())
for name in {names!r}:
    importlib.import_module(name)
"""


def run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", LIGHT)
def test_no_torch(name: str) -> None:
    run(IMPORT_ALL.format(names=[name], packages=PACKAGES, heavy=HEAVY))


def test_every_core_module_imports_without_qt() -> None:
    names = [found.name for found in pkgutil.walk_packages(core.__path__, "core.")]
    assert len(names) > 40
    run(WITHOUT_QT.format(names=[name for name in names if not name.endswith("__main__")]))
