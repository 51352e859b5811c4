"""First run, Models and the status bar in the states worth looking at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtWidgets import QApplication, QWidget

from core.catalogue.store.choices import Choices, write_choices
from core.hardware.meter import Reading
from desktop.model.transfers import Transfer, TransferFile, TransferTrouble, to_data
from desktop.presenters.download_work import write_kept
from desktop.views.first_run import FirstRunDialog
from desktop.views.models.downloads_panel import DownloadRow
from desktop.views.models.models_dialog import ModelsDialog
from desktop.views.status_bar import StatusBar
from tests.core.catalogue.machines import GIB
from tests.desktop.setup_parts import Parts, card, computer, make_parts, shipped_store
from tests.fakes.small_store import put

_MODEL = "steadydancer-14b-fp8"


def status_idle(_folder: Path) -> QWidget:
    """One GPU, nothing to download."""
    parts = make_parts(computer(card("NVIDIA GeForce RTX 4090", 24)))
    return _bar(parts)


def status_downloading(folder: Path) -> QWidget:
    """A download that was interrupted, full memory, a long name, in the smallest window."""
    write_kept(folder / "data" / "downloads.json", to_data((_interrupted(),)))
    parts = make_parts(computer(card("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", 96, (12, 0))))
    parts.meter.reading = Reading(62 * GIB, 64 * GIB, 93 * GIB, 96 * GIB)
    parts.downloads.start()
    parts.wait(lambda: parts.downloads.shown)
    bar = _bar(parts, 1000)
    bar.show_engine("rendering", "steadydancer-14b-fp8")
    return bar


def status_no_gpu(_folder: Path) -> QWidget:
    """A laptop."""
    return _bar(make_parts(computer(ram_gib=16)))


def first_run_fits(_folder: Path) -> QWidget:
    """A card with room for an 8-bit checkpoint."""
    return _first_run(make_parts(computer(card("NVIDIA GeForce RTX 4090", 24))))


def first_run_tight(_folder: Path) -> QWidget:
    """Too little memory, two GPUs, offline, with the reasons open."""
    write_choices(Choices(offline=True))
    small = (card("NVIDIA GeForce GTX 1660 Ti", 6, (7, 5)), card("Tesla K80", 11, (3, 7), 2))
    dialog = _first_run(make_parts(computer(*small, ram_gib=16)))
    dialog.gpu.why.setChecked(True)
    return dialog


def first_run_no_gpu(_folder: Path) -> QWidget:
    """A laptop."""
    return _first_run(make_parts(computer(ram_gib=16)))


def first_run_full_drive(folder: Path) -> QWidget:
    """Too little room, and a folder with a long name."""
    far = (
        folder / "a drive with a long name that goes on and on" / "and another folder" / "models of Pirouette"
    )
    parts = make_parts(computer(card("NVIDIA H200", 140, (9, 0)), ram_gib=512))
    dialog = _first_run(parts)
    shown = parts.first_run.card
    assert shown is not None
    parts.first_run._card = replace(shown, folder=far, free_bytes=12 * 10**9)
    dialog.show_card()
    return dialog


def models_all(_folder: Path) -> QWidget:
    """Some files here, some half here; nothing is chosen."""
    parts = make_parts(computer(card("NVIDIA GeForce RTX 4090", 24)))
    _install()
    return _models(parts)


def models_one(folder: Path) -> QWidget:
    """A checkpoint that is here in part, a paused and a failed download."""
    trouble = TransferTrouble(
        "MCG-NJU/SteadyDancer-14B can be downloaded only by people who have accepted its licence.",
        "Accept the licence and set a token.",
        "token",
        "https://huggingface.co/MCG-NJU/SteadyDancer-14B",
    )
    write_kept(folder / "data" / "downloads.json", to_data((_interrupted(), _second())))
    parts = make_parts(computer(card("NVIDIA GeForce RTX 4090", 24)))
    _install()
    parts.downloads.start()
    parts.wait(lambda: parts.downloads.shown)
    first, second = parts.downloads.transfers
    files = tuple(
        TransferFile(f"a: {name}", "transformer-fp8", name, size, done)
        for name, size, done in (("one.safetensors", 16 * 10**9, 4 * 10**9), ("two.json", 61_800, 0))
    )
    first = replace(first, done_bytes=4 * 10**9)
    parts.downloads._transfers = (
        replace(first, files=files),
        replace(second, state="failed", trouble=trouble),
    )
    dialog = _models(parts, _MODEL)
    rows = dialog.downloads.findChildren(DownloadRow)
    rows[0].fold.setChecked(True)
    QApplication.processEvents()
    return dialog


def models_nothing(_folder: Path) -> QWidget:
    """A search that finds nothing, in the smallest dialog, while something is told."""
    parts = make_parts(computer(ram_gib=16))
    dialog = _models(parts)
    dialog.resize(860, 560)
    dialog.search.setText("there is no such file")
    parts.models.told.emit("One file is damaged or incomplete.", "“Repair” fetches it again.", "caution")
    QApplication.processEvents()
    return dialog


def _models(parts: Parts, wanted: str = "") -> ModelsDialog:
    dialog = ModelsDialog(parts.models, wanted)
    dialog.parts = parts  # type: ignore[attr-defined]  # lives as long as the dialog
    parts.machine.start()
    parts.wait(lambda: parts.machine.machine)
    dialog.show()
    parts.wait(lambda: parts.models.shelf)
    QApplication.processEvents()
    return dialog


def _install() -> None:
    """Small files under the names of the catalogue count by name; these have the sizes that it states."""
    store = shipped_store()
    for asset in ("umt5-fp8", "vae-bf16", "clip-fp16"):
        put(store, asset)


def _second() -> Transfer:
    return Transfer(
        "2", "SteadyDancer 14B, 32-bit", ("steadydancer-14b-fp32",), "paused", ("transformer-fp32",)
    )


def _first_run(parts: Parts) -> FirstRunDialog:
    dialog = FirstRunDialog(parts.first_run)
    dialog.parts = parts  # type: ignore[attr-defined]  # lives as long as the dialog
    parts.machine.start()
    dialog.show()
    parts.wait(lambda: parts.first_run.card)
    QApplication.processEvents()
    return dialog


def _interrupted() -> Transfer:
    return Transfer(
        "1", "SteadyDancer 14B, fp8", (_MODEL,), "paused", ("transformer-fp8",), total_bytes=25 * 10**9
    )


def _bar(parts: Parts, width: int = 1400) -> StatusBar:
    bar = StatusBar(parts.machine, parts.downloads)
    bar.resize(width, 30)
    bar.parts = parts  # type: ignore[attr-defined]  # lives as long as the bar
    bar.show()
    parts.machine.start()
    parts.wait(lambda: parts.machine.reading)
    QApplication.processEvents()
    return bar


SCENES: dict[str, Callable[[Path], QWidget]] = {
    "first_run_fits": first_run_fits,
    "first_run_tight": first_run_tight,
    "first_run_no_gpu": first_run_no_gpu,
    "first_run_full_drive": first_run_full_drive,
    "models_all": models_all,
    "models_one": models_one,
    "models_nothing": models_nothing,
    "status_idle": status_idle,
    "status_downloading": status_downloading,
    "status_no_gpu": status_no_gpu,
}
