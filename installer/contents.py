"""What goes into a bundle and what stays out, for ``pirouette.spec``."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
Entry = tuple[str, str, str]

# Tools of development and packages that ours ask for only where they are there.
NOWHERE: Final = (
    "pytest", "_pytest", "pytestqt", "hypothesis", "mypy", "ruff", "importlinter", "grimp", "onnx", "Xlib",
    "PyInstaller", "pip", "setuptools", "wheel", "tkinter", "IPython", "matplotlib", "pandas", "scipy",
    "tensorboard", "torch.utils.tensorboard", "triton", "torchvision", "torchaudio", "tensorflow", "jax",
    "flax", "core.training", "tests",
)  # fmt: skip
# Of the window and of the command line: torch lives in the engine's executable.
WITHOUT_TORCH: Final = (
    "torch", "diffusers", "transformers", "accelerate", "tokenizers", "sentencepiece", "ftfy", "sympy",
    "gguf", "safetensors.torch", "core.engine", "core.evaluation",
)  # fmt: skip
WITHOUT_WINDOW: Final = ("PySide6", "shiboken6", "desktop")
_KEPT_MODELS: Final = {"auto", "clip", "t5", "umt5"}
_UNUSED_OF_DIFFUSERS: Final = ("diffusers.pipelines", "diffusers.modular_pipelines")

_QT: Final = "PySide6/Qt/"
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
_TORCH_TESTS: Final = (
    "libtorchbind_test",
    "libjitbackend_test",
    "libbackend_with_compiler",
    "libaoti_custom",
)
_LITERT: Final = ("ai_edge_litert/vendors/", "ai_edge_litert/tools/")  # compilers for chips of phones
# What a wheel notes of the machine it was installed on.
_OF_THIS_MACHINE: Final = ("direct_url.json", "RECORD", "INSTALLER", "REQUESTED")


def unused_of_transformers() -> list[str]:
    """Networks that no catalogue entry names: two hundred packages."""
    import transformers

    folder = Path(transformers.__file__).parent / "models"
    names = {module.name for module in pkgutil.iter_modules([str(folder)]) if module.ispkg}
    return [f"transformers.models.{name}" for name in sorted(names - _KEPT_MODELS)]


def unused_of_diffusers() -> list[str]:
    """Pipelines: we have one of our own."""
    return list(_UNUSED_OF_DIFFUSERS)


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
