"""The queue dock in the states worth seeing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image
from PySide6.QtGui import QUndoStack
from PySide6.QtWidgets import QApplication, QWidget

from core.errors import OutOfMemory
from core.jobs.queue.job import Proposal
from core.jobs.queue.queue import Queue
from core.types import (
    Done,
    Failed,
    Failure,
    Interrupted,
    MediaInput,
    Memory,
    Output,
    Paused,
    Plan,
    Progress,
    RenderRequest,
    Result,
    Running,
    Sampling,
    Size,
)
from desktop.presenters.queue_presenter import QueuePresenter
from desktop.presenters.thumbnails import Thumbnails
from desktop.views.queue.queue_view import QueueView

_LIMIT_S = 15.0
_LOG = "loading the model\nsampling step 1 of 8\nCUDA error: out of memory\n"
_WIDE = (1180, 420)
_NARROW = (560, 520)


def _request(folder: Path, number: int, name: str) -> RenderRequest:
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    reference, motion = pictures / f"{number}.png", pictures / f"m{number}.png"
    colour = ((number * 53) % 200 + 40, (number * 91) % 180 + 50, (number * 37) % 160 + 80)
    Image.linear_gradient("L").convert("RGB").resize((96, 160)).save(motion)
    Image.new("RGB", (120, 160), colour).save(reference)
    return RenderRequest(
        MediaInput(str(reference)),
        MediaInput(str(motion)),
        Output(str(folder / "results" / f"{name}.mp4")),
        preset="turbo",
        device="cpu",
    )


def _plan(time_s: float) -> Plan:
    return Plan("mini", Sampling(8), Size(576, 1024), 81, time_s=time_s)


def _shortage() -> Failed:
    error = OutOfMemory(
        "The GPU ran out of memory while sampling.",
        value="23.6 GB needed",
        limit="22.1 GB free",
        action="Retry it lighter, or close other programs that use the GPU.",
    )
    return Failed(Failure(error.to_json(), error.exit_code))


def _fill(queue: Queue, folder: Path) -> str:
    """A queue as after an evening's work; the id of the job that failed."""
    names = ["anna - walzer - 7", "Queen of the night, second try with the long red coat - street - 12"]
    names += [
        f"mira - {move} - {seed}" for seed, move in enumerate(("side_step", "turn", "wave", "jump", "bow"))
    ]
    jobs = queue.add(
        [_request(folder, number, name) for number, name in enumerate(names)],
        names,
        plans=[_plan(95 + 41 * number) for number in range(len(names))],
    )
    ways = tuple(
        Proposal(replace(_plan(140)), (text,), keeps)
        for text, keeps in (
            ("Keep 12 of 40 blocks on the GPU, stream the others.", True),
            ("49 frames instead of 81.", False),
        )
    )
    with queue.open_lease() as lease:
        for number, state in enumerate(
            (
                Done(Result(jobs[0].request.output.path, 81, 16.0, 576, 1024, 8, 7, {}, Memory(1), {})),
                _shortage(),
                Interrupted(1, 3, "The engine was killed by the system."),
                Paused(5),
            )
        ):
            queue.run_next(jobs[number].id)
            assert queue.claim(lease) is not None
            folder_of_job = queue.job_folder(jobs[number].id)
            folder_of_job.mkdir(parents=True)
            (folder_of_job / "engine.log").write_text(_LOG)
            proposals = ways if isinstance(state, Failed) else ()
            queue.update(lease, jobs[number].id, kept_step=getattr(state, "step", 0), proposals=proposals)
            queue.update(lease, jobs[number].id, state=state)
            if isinstance(state, Interrupted):
                queue.move(jobs[number].id, None)
    return jobs[1].id


class _Watching:
    """A dock whose second process renders: real rows that run, without a model."""

    def __init__(self, folder: Path, fill: Callable[[Queue, Path], str] | None, runs: bool = False) -> None:
        self._closed = False
        self.other = Queue(folder / "queue")
        self.failed = fill(self.other, folder) if fill is not None else ""
        if runs:
            lease = self.other.open_lease()
            job = self.other.claim(lease)
            assert job is not None
            self.other.update(lease, job.id, state=Running(Progress("sample", 3, 8)))
        self.stack, self.thumbnails = QUndoStack(), Thumbnails()
        self.presenter = QueuePresenter(self.stack, self.thumbnails, lambda: Queue(folder / "queue"))
        self.view = QueueView(self.presenter, self.thumbnails)
        self.view.destroyed.connect(self.close)
        self.view._scene = self  # type: ignore[attr-defined]

    def shown(self, size: tuple[int, int], until: Callable[[], bool]) -> QWidget:
        """The widget, once its work is shown."""
        self.view.resize(*size)
        self.view.show()
        self.presenter.open()
        end_s = time.monotonic() + _LIMIT_S
        while not until() and time.monotonic() < end_s:
            QApplication.processEvents()
        settled_s = time.monotonic() + 1.0
        while time.monotonic() < settled_s:
            QApplication.processEvents()
        return self.view

    def close(self) -> None:
        """Threads, helper and databases; once."""
        if self._closed:
            return
        self._closed = True
        self.presenter.close()
        self.thumbnails.close()
        self.other.close()


def _rows(scene: _Watching) -> Callable[[], bool]:
    """All rows are there, and the pictures of those that are seen."""

    def shown() -> bool:
        rows = scene.presenter.model.rows
        pictures = scene.presenter.thumbnails
        return len(rows) >= 7 and all(pictures.image(row.reference) is not None for row in rows)

    return shown


def busy(folder: Path) -> QWidget:
    """One renders, others wait, have ended, failed."""
    scene = _Watching(folder, _fill, runs=True)
    return scene.shown(_WIDE, _rows(scene))


def narrow(folder: Path) -> QWidget:
    """The same in a small window."""
    scene = _Watching(folder, _fill, runs=True)
    return scene.shown(_NARROW, _rows(scene))


def failed(folder: Path) -> QWidget:
    """A failed render, folded out."""
    scene = _Watching(folder, _fill)
    scene.shown(_WIDE, _rows(scene))
    scene.view.list.select([scene.failed])
    scene.view.list.unfold_asked.emit(scene.failed)
    return scene.shown(_WIDE, lambda: bool(scene.view.list.unfolded))


def held(folder: Path) -> QWidget:
    """Nothing is rendered until the user says so."""
    scene = _Watching(folder, _fill)
    scene.shown(_WIDE, _rows(scene))
    scene.presenter.actions.hold(True)
    return scene.shown(_WIDE, lambda: scene.presenter.head.held)


def empty(folder: Path) -> QWidget:
    """Nothing is queued."""
    scene = _Watching(folder, None)
    return scene.shown((1180, 260), lambda: not scene.presenter.head.loading)


SCENES: dict[str, Callable[[Path], QWidget]] = {
    "queue_busy": busy,
    "queue_narrow": narrow,
    "queue_failed": failed,
    "queue_held": held,
    "queue_empty": empty,
}
