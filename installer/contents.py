"""What goes into a bundle and what stays out, for ``pirouette.spec``."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import kernel_parts

ROOT: Final = Path(__file__).resolve().parent.parent
Entry = tuple[str, str, str]

# Tools of development and packages that ours ask for only where they are there.
NOWHERE: Final = (
    "pytest", "_pytest", "pytestqt", "hypothesis", "mypy", "ruff", "importlinter", "grimp", "onnx", "Xlib",
    "PyInstaller", "pip", "setuptools", "wheel", "tkinter", "IPython", "matplotlib", "pandas", "scipy",
    "tensorboard", "torch.utils.tensorboard", "torchvision", "torchaudio", "tensorflow", "jax",
    "flax", "diffusers", "accelerate", "core.training", "tests",
)  # fmt: skip
# Of the window and of the command line: torch lives in the engine's executable.
WITHOUT_TORCH: Final = (
    "torch", "transformers", "tokenizers", "sentencepiece", "ftfy", "sympy",
    "gguf", "safetensors.torch", "triton", "core.engine", "core.evaluation",
)  # fmt: skip
WITHOUT_WINDOW: Final = ("PySide6", "shiboken6", "desktop")
# Where packages keep one package for each network that they know.
_MANY: Final = ("transformers.models",)
_LIST_UNUSED: Final = """
import importlib, pkgutil, sys
for name in {needed}:
    importlib.import_module(name)
for package in {many}:
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        name = package + "." + module.name
        if module.ispkg and name not in sys.modules:
            print(name)
"""

_PLUGINS: Final = {
    "platforms": ("xcb", "wayland", "offscreen", "windows", "cocoa"),
    "imageformats": ("svg", "jpeg", "webp", "gif", "ico", "icns"),
    "iconengines": ("svgicon",),
    "platformthemes": ("xdgdesktopportal",),
    "platforminputcontexts": ("compose", "ibus"),
    "styles": ("modernwindows", "mac"),
    "xcbglintegrations": (),
    "wayland-shell-integration": ("xdg-shell",),
    "wayland-decoration-client": ("adwaita", "bradient"),
    "wayland-graphics-integration-client": ("qt-plugin-wayland-egl",),
}
_QT_LIBRARIES: Final = (
    "Qml", "Quick", "Pdf", "VirtualKeyboard", "EglFS", "EglFs", "Sql", "Designer", "PrintSupport", "Test",
    "Help", "WaylandCompositor", "WaylandEglCompositor", "Lottie", "UiTools", "Labs",
)  # fmt: skip
_TORCH: Final = ("torch/test/", "torch/include/", "torch/bin/", "torch/share/", "torch/_inductor/codegen/")
_TORCH_NEEDS: Final = "torch/bin/torch_shm_manager"  # not found, torch cannot be imported
_TORCH_TESTS: Final = (
    "libtorchbind_test",
    "libjitbackend_test",
    "libbackend_with_compiler",
    "libaoti_custom",
)
_LITERT: Final = ("ai_edge_litert/vendors/", "ai_edge_litert/tools/")  # compilers for chips of phones
# What a wheel notes of the machine it was installed on.
_OF_THIS_MACHINE: Final = ("direct_url.json", "RECORD", "INSTALLER", "REQUESTED")


def needed() -> tuple[str, ...]:
    """Modules that renders import late or by name."""
    return tuple(runpy.run_path(str(ROOT / "installer" / "entries" / "pirouette_engine.py"))["NEEDED"])


def unused(modules: Sequence[str], packages: Sequence[str] = _MANY) -> list[str]:
    """Networks that importing ``modules`` does not load: hundreds of packages.

    Args:
        modules: all that are needed, by their full names.
        packages: those whose packages are looked at.
    """
    code = _LIST_UNUSED.format(needed=tuple(modules), many=tuple(packages))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def resources() -> list[tuple[str, str]]:
    """Files of ``resources`` with their folders in the bundle."""
    files = (
        path
        for path in (ROOT / "resources").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    )
    return [(str(path), str(path.parent.relative_to(ROOT))) for path in sorted(files)]


def kept(entries: Iterable[Entry]) -> list[Entry]:
    """Those of PyInstaller's (place, source, kind) that a bundle needs."""
    return [entry for entry in entries if _is_needed(entry[0].replace("\\", "/"))]


def _is_needed(place: str) -> bool:
    name = place.rpartition("/")[2]
    if place == _TORCH_NEEDS:
        return True
    wanted = kernel_parts.decided(place)
    if wanted is not None:
        return wanted
    if place.startswith((*_TORCH, *_LITERT)) or name.endswith((".a", ".lib", ".h", ".hpp", ".cuh", ".cmake")):
        return False
    if ".dist-info/" in place and name in _OF_THIS_MACHINE:
        return False
    if name.startswith(_TORCH_TESTS):
        return False
    return _is_needed_of_qt(place, name)


def _is_needed_of_qt(place: str, name: str) -> bool:
    if "/plugins/" in place and place.startswith("PySide6"):
        folder = place.split("/plugins/")[1].split("/")[0]
        return any(kept in name for kept in _PLUGINS.get(folder, ()))
    if "/translations/" in place and place.startswith("PySide6"):
        return name.startswith("qtbase_")
    if "/qml/" in place and place.startswith("PySide6"):
        return False
    stem = name.removeprefix("lib").removeprefix("Qt6").removeprefix("Qt")
    is_library = name.startswith(("libQt6", "Qt6", "Qt")) or place.startswith("PySide6/Qt")
    return not (is_library and stem.startswith(_QT_LIBRARIES))


def executable(name: str) -> str:
    """A file's name on this system."""
    return f"{name}.exe" if sys.platform == "win32" else name
