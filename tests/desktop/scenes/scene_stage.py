"""The stage in the states worth seeing, with the real player and real poses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication, QWidget

from core.media.write import write_video
from core.settings import resources
from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.playback import Playback
from desktop.presenters.pose import Pose
from desktop.presenters.sources import Sources
from desktop.presenters.stage import Stage
from desktop.views.stage.stage_view import StageView

_LIMIT_S = 30.0
_SIZE = (640, 480)
_WIDE = (1100, 620)
_MOTION = "Wave.pose.json"


class _Bench:
    """A stage with all that it needs."""

    def __init__(self, folder: Path, size: tuple[int, int] = _SIZE) -> None:
        self.folder = folder
        self.background = Background("documents", threads=2)
        self.document = Document(self.background)
        self.playback, self.sources = Playback(), Sources(proxy_folder=folder / "proxies")
        self.pose = Pose(self.document, self.background)
        self.stage = Stage(self.document, self.playback, self.sources, self.pose)
        self.view = StageView(self.stage, self.playback)
        self.view.resize(*size)
        self.view.show()
        # Whoever looks closes the widget alone.
        self.view.destroyed.connect(lambda: self.close())
        QApplication.processEvents()

    def wait(self, ready: Callable[[], bool]) -> None:
        until_s = time.monotonic() + _LIMIT_S
        while not ready():
            assert time.monotonic() < until_s, f"The scene did not come about: {self.stage.panes()}"
            QApplication.processEvents()
        QApplication.processEvents()

    def choose(self, name: str = "Ada", film: bool = True) -> None:
        picture = resources() / "demo" / "characters" / f"{name}.png"
        motion = resources() / "demo" / "motions" / _MOTION
        clip = _clip(self.folder / "Living room, second take.mp4", "Bruno") if film else motion
        self.document.change("Inputs", reference=picture, motion=clip, keypoints=motion if film else None)
        self.wait(lambda: self.document.facts.clip is not None and self.document.facts.picture is not None)
        self.playback.set_duration(self.document.facts.clip.duration_s)  # type: ignore[union-attr]
        self.playback.set_range(0.0, 33 / 16)
        self.playback.seek(1.0)

    def finish(self, name: str, character: str) -> None:
        path = _clip(self.folder / f"{name}.mp4", character)
        self.stage.show_result(path, 0.0, name)
        self.wait(lambda: bool(self.stage.shown and self.stage.shown.duration_s))
        self.playback.pause()
        self.playback.seek(1.0)

    def pictures(self) -> bool:
        """Are all panes painted?"""
        panes = self.stage.panes()
        return bool(panes) and all(len(pane.layers) > (pane.title == "Skeleton") for pane in panes)

    def close(self) -> None:
        self.stage.close()
        self.pose.close()
        self.playback.close()
        self.sources.close()
        self.background.close()


def _clip(path: Path, character: str) -> Path:
    picture = Image.open(resources() / "demo" / "characters" / f"{character}.png").convert("RGB")
    still = np.asarray(picture)

    def frames() -> Iterator[NDArray[np.uint8]]:
        for number in range(33):
            yield np.roll(still, number - 16, axis=1)

    write_video(path, frames())
    return path


def empty(folder: Path) -> QWidget:
    """Nothing is chosen."""
    return _Bench(folder).view


def picture_alone(folder: Path) -> QWidget:
    """The motion is still missing."""
    bench = _Bench(folder)
    bench.document.change("Picture", reference=resources() / "demo" / "characters" / "Chiyo.png")
    bench.wait(bench.pictures)
    return bench.view


def skeleton(folder: Path) -> QWidget:
    """The fitted skeleton over the dimmed picture."""
    bench = _Bench(folder)
    bench.choose(film=False)
    bench.stage.set_mode("skeleton")
    bench.wait(bench.pictures)
    return bench.view


def preview(folder: Path) -> QWidget:
    """A render samples."""
    bench = _Bench(folder)
    bench.choose()
    image = QImage(str(resources() / "demo" / "characters" / "Ada.png")).scaledToWidth(40)
    bench.stage.show_preview("job", [image], 16, 0.0, "Live preview, step 3 of 8")
    bench.wait(bench.pictures)
    return bench.view


def side_by_side(folder: Path) -> QWidget:
    """Driving clip, skeleton and result."""
    bench = _Bench(folder, _WIDE)
    bench.choose()
    bench.finish("Ada, Wave, seed 481516", "Ada")
    bench.stage.set_mode("side_by_side")
    bench.wait(bench.pictures)
    return bench.view


def wipe(folder: Path) -> QWidget:
    """Two results with long names, zoomed in; the line has the focus."""
    bench = _Bench(folder)
    bench.choose()
    bench.finish("Ada, Wave, seed 481516, quality, 20 steps, dense attention", "Ada")
    bench.finish("Freya, Wave, seed 2342, turbo", "Freya")
    bench.stage.set_mode("wipe")
    bench.stage.set_wipe(0.45)
    bench.wait(bench.pictures)
    bench.view.canvas.zoom_by(1.6)
    bench.view.canvas.handle.setFocus()
    return bench.view


def vanished(folder: Path) -> QWidget:
    """A result's file is gone, and a mode was refused."""
    bench = _Bench(folder)
    bench.choose()
    bench.finish("Ada, Wave", "Ada")
    bench.wait(bench.pictures)
    (folder / "Ada, Wave.mp4").unlink()
    bench.stage.set_result(folder / "Ada, Wave.mp4")
    bench.wait(lambda: bench.stage.shown is not None and bench.stage.shown.trouble is not None)
    bench.view.mode_actions["wipe"].trigger()
    return bench.view


SCENES: dict[str, Callable[[Path], QWidget]] = {
    "stage-empty": empty,
    "stage-picture-alone": picture_alone,
    "stage-skeleton": skeleton,
    "stage-preview": preview,
    "stage-side-by-side": side_by_side,
    "stage-wipe": wipe,
    "stage-vanished": vanished,
}
