"""The queue dock's presenter over a real queue, a real supervisor, and an engine process without a model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QColor, QImage, QUndoStack
from pytestqt.qtbot import QtBot

from core.jobs.engine.supervisor import Supervisor
from core.jobs.queue.queue import Queue
from core.jobs.queue.run import QueueRunner
from core.pose.files import save_sidecar
from core.pose.skeleton import PoseTrack
from core.types import MediaInput, Output, RenderRequest
from desktop.presenters.queue_presenter import QueuePresenter

FAKE_ENGINE = (sys.executable, str(Path(__file__).resolve().parent.parent / "fakes" / "engine.py"))
WAIT_MS = 20_000


class NoThumbnails(QObject):
    """Hands out one plain picture for every file."""

    ready = Signal(str, object, object)
    failed = Signal(str, str, str)

    def ask(self, path: Path, times_s: tuple[float, ...] = (), side: int = 160) -> None:
        """The same for all."""
        image = QImage(side, side, QImage.Format.Format_RGB32)
        image.fill(QColor("#7a6cc8" if path.suffix == ".png" else "#3a7f73"))
        self.ready.emit(str(path), times_s, [image])


class Dock:
    """A presenter with everything around it."""

    def __init__(
        self, qtbot: QtBot, folder: Path, engine: tuple[str, ...] = FAKE_ENGINE, **more: Any
    ) -> None:
        self.qtbot, self.folder, self.engine, self.more = qtbot, folder, engine, more
        self.reference, self.motion = folder / "a_girl.png", folder / "a_step.pose.json"
        if not self.reference.exists():
            Image.fromarray(np.full((64, 64, 3), (200, 120, 40), np.uint8)).save(self.reference)
            save_sidecar(_standing(), self.motion)
        self.stack = QUndoStack()
        self.refused: list[tuple[str, str]] = []
        self.thumbnails = NoThumbnails()
        self.presenter = self.new_presenter()

    def new_presenter(self) -> QueuePresenter:
        """One more; also what a restart of the app makes."""
        made = QueuePresenter(
            self.stack,
            self.thumbnails,  # type: ignore[arg-type]
            lambda: Queue(self.folder / "queue"),
            self.runner,
            **self.more,
        )
        made.refused.connect(lambda message, action: self.refused.append((message, action)))
        return made

    def runner(self, queue: Queue, hear: Callable[..., None], on_hold: Callable[..., None]) -> QueueRunner:
        """Real, with an engine process that has no model."""
        self.supervisor = Supervisor(command=self.engine)
        return _Runner(queue, self.supervisor, hear, on_hold=on_hold, slow_s=0.0)

    def request(self, name: str = "dance", prompt: str = "", **fields: Any) -> RenderRequest:
        """To ``name.mp4``; the prompt tells the engine how to behave."""
        return replace(
            RenderRequest(
                MediaInput(str(self.reference)),
                MediaInput(str(self.motion)),
                Output(str(self.folder / "results" / f"{name}.mp4")),
                prompt=prompt,
                device="cpu",
            ),
            **fields,
        )

    def enqueue(self, *requests: RenderRequest) -> list[str]:
        """Through the presenter; ids once they are in the queue."""
        got: list[list[str]] = []
        self.presenter.enqueue(requests, got.append)
        self.qtbot.waitUntil(lambda: bool(got), timeout=WAIT_MS)
        self.wait(lambda: all(self.presenter.model.row_of(one) is not None for one in got[0]))
        return got[0]

    def held(self) -> None:
        """Nothing starts."""
        self.presenter.open()
        self.presenter.actions.hold(True)
        self.wait(lambda: self.presenter.head.held)

    def state(self, job_id: str) -> str:
        """As the list shows it."""
        row = self.presenter.model.row_of(job_id)
        return "" if row is None else row.state

    def names(self) -> list[str]:
        """Of the rows, from the top."""
        return [row.name for row in self.presenter.model.rows]

    def wait(self, condition: Callable[[], bool]) -> None:
        """Until the list shows it."""
        self.qtbot.waitUntil(condition, timeout=WAIT_MS)

    def close(self) -> None:
        """As the app does."""
        self.presenter.close()


class _Runner(QueueRunner):
    """Ends its supervisor with it."""

    def run(self, until_empty: bool = True) -> Any:
        """As the runner."""
        try:
            return super().run(until_empty)
        finally:
            assert self._supervisor is not None
            self._supervisor.close()


def _standing() -> PoseTrack:
    keypoints = np.zeros((9, 1, 134, 2))
    keypoints[..., :18, 0] = 0.5
    keypoints[..., :18, 1] = np.linspace(0.1, 0.9, 18)
    scores = np.zeros((9, 1, 134))
    scores[..., :18] = 1.0
    return PoseTrack(keypoints, scores, 64, 64, 16.0)
