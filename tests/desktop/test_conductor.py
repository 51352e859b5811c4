"""What the queue's news mean for the timeline."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot
from whole_app import opened_app

from core.types import FPS
from desktop.presenters.queue_head import Overall
from desktop.presenters.queue_pictures import LivePreview


def test_the_result_track_fills_while_a_render_runs_and_empties_when_it_is_cancelled(
    qtbot: QtBot, picture: Path, motion: Path
) -> None:
    with opened_app(start=False) as app:
        parts, track = app.parts, app.parts.timeline.result
        parts.document.change("Inputs", reference=picture, motion=motion)
        qtbot.waitUntil(lambda: parts.timeline.taken.frames > 1)
        image = QImage(8, 8, QImage.Format.Format_RGB32)
        image.fill(0)
        parts.queue.current_changed.emit("a")
        parts.queue.progress_changed.emit(Overall(0.3, "sample"))
        assert track.done == track.frames == 0
        parts.queue.preview.emit("a", LivePreview([image] * 2, float(FPS), 0.0, ""))
        parts.queue.progress_changed.emit(Overall(0.5, "sample"))
        assert track.done == track.frames // 2 > 0
        parts.queue.current_changed.emit(None)
        assert track.frames == 0
        parts.queue.progress_changed.emit(Overall())
        assert track.frames == 0
