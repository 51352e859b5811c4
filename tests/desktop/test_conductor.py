"""What the queue's news mean for the timeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot
from whole_app import opened_app

from core.jobs.queue.job import Job
from core.media.write import write_video
from core.types import FPS, Done, MediaInput, Memory, Output, RenderRequest, Result
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


def test_a_finished_row_that_is_played_fills_the_track_and_a_later_failure_leaves_it(
    qtbot: QtBot, picture: Path, motion: Path, tmp_path: Path
) -> None:
    video = write_result(tmp_path / "done.mp4")
    with opened_app(start=False) as app:
        parts, track = app.parts, app.parts.timeline.result
        parts.document.change("Inputs", reference=picture, motion=motion)
        qtbot.waitUntil(lambda: parts.document.facts.clip is not None)
        parts.queue.show_asked.emit(finished_job(picture, motion, video))
        assert track.done == track.frames == 9
        assert parts.stage.shown is not None
        assert parts.stage.shown.path == video
        parts.queue.failed.emit("another", None)
        assert track.done == track.frames == 9


def write_result(path: Path) -> Path:
    """Nine frames."""
    write_video(path, [np.full((64, 64, 3), 90, np.uint8)] * 9)
    return path


def finished_job(picture: Path, motion: Path, video: Path) -> Job:
    """A row that is done."""
    request = RenderRequest(MediaInput(str(picture)), MediaInput(str(motion)), Output(str(video)))
    result = Result(str(video), 9, FPS, 64, 64, 8, 0, {}, Memory(1), {})
    return Job("a" * 32, "Done", request, Done(result))
