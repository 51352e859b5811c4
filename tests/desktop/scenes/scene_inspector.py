"""The inspector in the states worth looking at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image
from PySide6.QtWidgets import QApplication, QWidget

from core.catalogue.load import load_catalogue
from core.catalogue.store import Store
from core.types import Size
from desktop.views.inspector.inspector_view import InspectorView
from tests.core.catalogue.machines import machine
from tests.desktop.inspector_parts import DEMO_MOTION, PLAIN, Parts, make_parts, named

WIDTH, HEIGHT, NARROW = 330, 700, 280


def empty(folder: Path) -> QWidget:
    """Before anything is chosen."""
    parts = make_parts(folder, machine(0, 16))
    parts.wait(lambda: parts.inspector.offers is not None)
    return _view(parts)


def embedded(folder: Path) -> QWidget:
    """A demo character on the embedded model."""
    parts = _chosen(folder, 0, 16)
    parts.wait(lambda: parts.inspector.estimate.state == "ready")
    return _view(parts)


def caution(folder: Path) -> QWidget:
    """A photo on the embedded model, on a narrow panel."""
    parts = make_parts(folder, machine(0, 16))
    parts.choose(_photo(folder), DEMO_MOTION)
    parts.wait(lambda: bool(parts.inspector.estimate.caution))
    return _view(parts, NARROW)


def large_card(folder: Path) -> QWidget:
    """The 14B model on a card that has room for it, with its reasons."""
    parts = _chosen(folder, 24, 64)
    parts.wait(lambda: parts.inspector.offers is not None)
    parts.install()
    parts.inspector.choose_model(PLAIN)
    parts.wait(lambda: parts.inspector.estimate.vram_total_bytes is not None and _is_14b(parts))
    parts.wait(lambda: parts.inspector.estimate.state == "ready")
    view = _view(parts)
    view.estimate.set_open(True)
    return view


def files_missing(folder: Path) -> QWidget:
    """The 14B model without its files."""
    parts = _chosen(folder, 24, 64, Store(folder / "models", load_catalogue()))
    parts.wait(lambda: parts.inspector.offers is not None)
    parts.inspector.choose_model(PLAIN)
    parts.wait(lambda: parts.inspector.estimate.state == "files")
    return _view(parts)


def too_large(folder: Path) -> QWidget:
    """The 14B model on a small card, while a queued job is edited."""
    parts = _chosen(folder, 5, 48, Store(folder / "models", load_catalogue()))
    parts.wait(lambda: parts.inspector.offers is not None)
    parts.inspector.choose_model(PLAIN)
    parts.inspector.put("size", Size(1280, 720))
    parts.wait(lambda: parts.inspector.estimate.state == "large")
    parts.inspector.set_editing("a long name of a job that somebody wants to change")
    return _view(parts)


def advanced(folder: Path) -> QWidget:
    """The open fold with settings that are wrong, that are overridden and that cannot be changed."""
    parts = _chosen(folder, 24, 64, Store(folder / "models", load_catalogue()))
    parts.wait(lambda: parts.inspector.offers is not None)
    parts.inspector.choose_model(PLAIN)
    parts.inspector.put("steps", 500)
    parts.inspector.put("guidance_scale", 3.5)
    lora = folder / "a-style-with-a-rather-long-name-rank64-bf16.safetensors"
    lora.write_bytes((2).to_bytes(8, "little") + b"{}")
    parts.inspector.add_loras([lora])
    parts.wait(lambda: "steps" in parts.inspector.problems)
    view = _view(parts, height=2300)
    view.advanced.set_open(True)
    return view


def speed(folder: Path) -> QWidget:
    """Sparse attention and a cache, with what counts beside them and the plan's reasons."""
    parts = _chosen(folder, 24, 64, Store(folder / "models", load_catalogue()))
    parts.wait(lambda: parts.inspector.offers is not None)
    parts.inspector.choose_model(PLAIN)
    parts.inspector.put("preset", "quality")
    for name, value in (("attention", "sparse"), ("sla_topk", 0.15), ("caching", "teacache")):
        parts.inspector.put(name, value)
    parts.wait(lambda: parts.inspector.estimate.plan is not None and _is_14b(parts))
    parts.wait(lambda: getattr(parts.inspector.estimate.plan, "caching", "") == "teacache")
    view = _view(parts, height=2300)
    view.advanced.set_open(True)
    view.estimate.why.setChecked(True)
    QApplication.processEvents()
    view.scroll_area.verticalScrollBar().setValue(view.scroll_area.verticalScrollBar().maximum())
    return view


def _is_14b(parts: Parts) -> bool:
    plan = parts.inspector.estimate.plan
    return plan is not None and plan.model != "mini"


def _chosen(folder: Path, vram_gib: float, ram_gib: float, store: Store | None = None) -> Parts:
    described = machine(vram_gib, ram_gib)
    described = named(described, "NVIDIA GeForce RTX 4090") if vram_gib else described
    parts = make_parts(folder, described, store)
    parts.choose()
    return parts


def _photo(folder: Path) -> Path:
    path = folder / "a photo.png"
    Image.new("RGB", (720, 1280), (200, 120, 40)).save(path)
    return path


def _view(parts: Parts, width: int = WIDTH, height: int = HEIGHT) -> InspectorView:
    view = InspectorView(parts.inspector)
    view.resize(width, height)
    view.parts = parts  # type: ignore[attr-defined]  # lives as long as the view
    view.show()
    QApplication.processEvents()
    return view


SCENES: dict[str, Callable[[Path], QWidget]] = {
    "inspector-empty": empty,
    "inspector-embedded": embedded,
    "inspector-caution": caution,
    "inspector-large-card": large_card,
    "inspector-files-missing": files_missing,
    "inspector-too-large": too_large,
    "inspector-advanced": advanced,
    "inspector-speed": speed,
}
