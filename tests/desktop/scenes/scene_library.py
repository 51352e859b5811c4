"""Library, the veil over a window, and the two dialogues of a drop, in the states worth looking at."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QMimeData, QUrl
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication, QLabel, QVBoxLayout, QWidget

from core.catalogue.demo import demo_characters, demo_motions
from desktop.model.intake import PairsWanted
from desktop.views.diff_dialog import DiffDialog
from desktop.views.drop_veil import DropVeil
from desktop.views.library.library_view import LibraryView
from desktop.views.pairs_dialog import PairsDialog
from desktop.views.theme import role
from tests.desktop.library_parts import Parts, clip, make_parts, picture, settings_of, wait

WIDTH, HEIGHT = 250, 640
COLOURS = ((170, 70, 70), (70, 140, 90), (80, 90, 170), (160, 130, 60))


def first_start(folder: Path) -> QWidget:
    """The shipped characters and motions, two of them chosen."""
    del folder
    parts = make_parts()
    parts.document.change("", reference=demo_characters()[1], motion=demo_motions()[0])
    return _view(parts)


def own_files(folder: Path) -> QWidget:
    """The user's files: one is gone, one is no picture, names are long."""
    parts = make_parts()
    names = ("Anna at the sea, evening light, third try (edited) 0042.png", "portrait.png", "B.png")
    own = [picture(folder / "mine" / name, colour) for name, colour in zip(names, COLOURS, strict=False)]
    broken = folder / "mine" / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    gone = folder / "gone" / "holiday.jpg"
    parts.library.remember("reference", [own[0], gone, broken, *own[1:]])
    parts.library.remember("motion", [clip(folder / "mine" / "street dance 2024-05-12 18.30.22.mp4")])
    parts.document.change("", reference=own[0])
    parts.library.look_again()
    wait(lambda: any(item.missing for item in parts.library.references.items))
    view = _view(parts, wide=True)
    wait(lambda: any(item.trouble for item in parts.library.references.items))
    return view


def nothing_found(folder: Path) -> QWidget:
    """A search without a result in one of the lists."""
    del folder
    view = _view(make_parts())
    view.search.setText("groove")
    return view


def _view(parts: Parts, wide: bool = False) -> LibraryView:
    view = LibraryView(parts.library, parts.thumbnails, parts.intake)
    view.resize(WIDTH + (90 if wide else 0), HEIGHT)
    view.parts = parts  # type: ignore[attr-defined]  # lives as long as the view
    view.show()
    model = parts.library.references
    wait(lambda: any(item.shipped and item.path in model._images for item in model.items))
    wait(lambda: not parts.thumbnails._under_way)
    return view


def _urls(*paths: Path) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return data


def _veil(folder: Path, make: Callable[[Path], QMimeData]) -> QWidget:
    parts = make_parts()
    window = role(QWidget(), "panel")
    layout = QVBoxLayout(window)
    for name in ("Library", "Stage", "Timeline", "Queue"):
        layout.addWidget(role(QLabel(name), "title"))
    window.resize(1100, 700)
    window.parts = parts  # type: ignore[attr-defined]
    window.veil = DropVeil(window, parts.intake)  # type: ignore[attr-defined]
    window.show()
    data = make(folder)
    assert window.veil._begin(data)  # type: ignore[attr-defined]
    for _ in range(3):
        QApplication.processEvents()
    return window


def _result(folder: Path) -> QMimeData:
    return _urls(clip(folder / "Anna - dance.mp4", settings=settings_of()))


def veil_result(folder: Path) -> QWidget:
    """The veil has found out that a video is a result."""
    window = _veil(folder, _result)
    wait(lambda: window.veil.text.icon == "result")  # type: ignore[attr-defined]
    return window


def _image(folder: Path) -> QMimeData:
    del folder
    data = QMimeData()
    data.setImageData(QImage(8, 8, QImage.Format.Format_RGB32))
    return data


def _address(folder: Path) -> QMimeData:
    del folder
    data = QMimeData()
    data.setUrls([QUrl("https://example.org/dance.mp4")])
    return data


def _long_name(folder: Path) -> QMimeData:
    return _urls(clip(folder / "a very long name of a dance clip that somebody downloaded 0001.mp4"))


VEILS: dict[str, Callable[[Path], QMimeData]] = {
    "picture": lambda folder: _urls(folder / "Anna at the sea.png"),
    "motion": lambda folder: _urls(
        folder / "a very long name of a dance clip that somebody downloaded 0001.mp4"
    ),
    "keypoints": lambda folder: _urls(folder / "dance.pose.json"),
    "pairs": lambda folder: _urls(*(folder / name for name in ("a.png", "b.png", "c.jpg", "d.mp4", "e.mov"))),
    "queue": lambda folder: _urls(folder / "tonight.pirouette-queue"),
    "project": lambda folder: _urls(folder / "Studio.pirouette"),
    "image": _image,
    "wrong": lambda folder: _urls(folder / "notes.txt"),
    "wrong-picture": lambda folder: _urls(folder / "IMG_0001.HEIC"),
    "address": _address,
}


def pairs(folder: Path) -> QWidget:
    """Three pictures and four motions, some unticked."""
    parts = make_parts()
    names = ("Anna at the sea, third try (edited) 0042.png", "portrait.png", "B.png")
    references = tuple(
        picture(folder / "mine" / name, colour) for name, colour in zip(names, COLOURS, strict=False)
    )
    wanted = PairsWanted(references, tuple(demo_motions()))
    dialog = PairsDialog(wanted, parts.thumbnails, parts.intake, 95.0)
    dialog.parts = parts  # type: ignore[attr-defined]
    for row, column in ((0, 1), (2, 3)):
        dialog.pairs._set([(row, column)], False)
    dialog.show()
    wait(lambda: len(dialog.pairs._images) == 7)
    QApplication.processEvents()
    return dialog


def pairs_none(folder: Path) -> QWidget:
    """Nothing is ticked."""
    dialog = pairs(folder)
    assert isinstance(dialog, PairsDialog)
    dialog.pairs.set_all(False)
    return dialog


def settings(folder: Path) -> QWidget:
    """A result whose reference is missing."""
    parts = make_parts()
    found: list[object] = []
    parts.intake.settings_found.connect(found.append)
    clip(folder / "dance.mp4")
    parts.intake.take([clip(folder / "Anna - dance.mp4", settings=settings_of())])
    wait(lambda: bool(found))
    dialog = DiffDialog(found[0], parts.document, parts.intake)  # type: ignore[arg-type]
    dialog.parts = parts  # type: ignore[attr-defined]
    dialog.show()
    for _ in range(3):
        QApplication.processEvents()
    return dialog


SCENES: dict[str, Callable[[Path], QWidget]] = {
    "library-first-start": first_start,
    "library-own-files": own_files,
    "library-nothing-found": nothing_found,
    **{f"veil-{name}": partial(_veil, make=make) for name, make in VEILS.items()},
    "veil-result": veil_result,
    "pairs": pairs,
    "pairs-none": pairs_none,
    "result-settings": settings,
}
