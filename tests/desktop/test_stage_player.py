"""The stage with the real player: real files, decoded on threads, on a clock moved by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot
from stage_parts import StillPose

from core.media.write import write_video
from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.playback import Playback
from desktop.presenters.sources import Sources
from desktop.presenters.stage import Stage
from desktop.views.stage.stage_view import StageView

FRAMES = 16


@dataclass
class Player:
    """All real but the pose and the time."""

    document: Document
    playback: Playback
    stage: Stage
    view: StageView
    now_s: list[float]

    def grey(self) -> int:
        """Of the picture in the middle of the canvas, 0 to 255."""
        image = self.view.canvas.grab().toImage()
        return image.pixelColor(image.width() // 2, image.height() // 2).lightness()


@pytest.fixture
def player(qtbot: QtBot, tmp_path: Path) -> Iterator[Player]:
    now_s = [0.0]
    background = Background("documents")
    document, playback = Document(background), Playback(lambda: now_s[0])
    sources = Sources(proxy_folder=tmp_path / "proxies")
    stage = Stage(document, playback, sources, StillPose())
    view = StageView(stage, playback)
    view.resize(400, 400)
    qtbot.addWidget(view)
    with qtbot.waitExposed(view):
        view.show()
    yield Player(document, playback, stage, view, now_s)
    view.close()
    stage.close()
    playback.close()
    sources.close()
    background.close()


def staircase(path: Path, backwards: bool = False) -> Path:
    """Frame n is grey of 10 n, or the other way round."""
    order = range(FRAMES)[::-1] if backwards else range(FRAMES)
    write_video(path, (np.full((96, 64, 3), 10 * number, np.uint8) for number in order))
    return path


def is_step(grey: int, number: int) -> bool:
    return abs(grey - 10 * number) < 5


def test_steps_show_the_very_frame(player: Player, qtbot: QtBot, tmp_path: Path) -> None:
    player.document.change("Motion", motion=staircase(tmp_path / "clip.mp4"))
    qtbot.waitUntil(lambda: player.document.facts.clip is not None)
    player.playback.set_duration(1.0)
    player.playback.set_range(0.0, 1.0)
    for number in (1, 2, 3):
        qtbot.mouseClick(player.view.transport.on, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda number=number: is_step(player.grey(), number))
    qtbot.mouseClick(player.view.transport.end, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: is_step(player.grey(), FRAMES - 1))
    assert player.view.transport.time.text() == "frame 16 of 16 · 0.94 s"


def test_a_result_plays_from_where_its_motion_was_trimmed(
    player: Player, qtbot: QtBot, tmp_path: Path
) -> None:
    player.stage.show_result(staircase(tmp_path / "result.mp4"), 2.0, "Result")
    qtbot.waitUntil(lambda: player.playback.playing)
    assert player.playback.range_s == (2.0, 3.0)
    qtbot.waitUntil(lambda: is_step(player.grey(), 0))
    player.now_s[0] += 8.5 / 16
    qtbot.waitUntil(lambda: is_step(player.grey(), 8))
    player.now_s[0] += 8 / 16
    qtbot.waitUntil(lambda: is_step(player.grey(), 0))


def test_both_halves_of_a_wipe_show_the_same_moment(player: Player, qtbot: QtBot, tmp_path: Path) -> None:
    player.stage.show_result(staircase(tmp_path / "one.mp4", backwards=True), 0.0, "One")
    player.stage.show_result(staircase(tmp_path / "two.mp4"), 0.0, "Two")
    qtbot.waitUntil(lambda: player.playback.playing)
    player.playback.pause()
    qtbot.keyClick(player.view.canvas, Qt.Key.Key_6)
    player.playback.seek(3 / 16)
    player.stage.set_wipe(1.0)
    qtbot.waitUntil(lambda: is_step(player.grey(), 3))
    player.stage.set_wipe(0.0)
    qtbot.waitUntil(lambda: is_step(player.grey(), FRAMES - 1 - 3))
