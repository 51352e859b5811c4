"""One render at a time: from the choices to a request, through preflight and planner to the engine."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from PySide6.QtCore import QObject, Signal

from core.errors import Cancelled, DiskError, PirouetteError
from core.jobs.preflight import Checked
from core.jobs.queue.names import free_output, result_name
from core.jobs.remember import run_and_remember
from core.settings import places
from core.types import MediaInput, Note, Output, Plan, Progress, RenderEvent, RenderRequest, Result
from desktop.presenters.progress import Estimate, fraction_done
from desktop.presenters.states import Choices, Done, Failed, Idle, Rendering, RenderState

Clock = Callable[[], float]
_LOG = logging.getLogger(__name__)


class Runner(Protocol):
    """What the presenter needs of ``core.jobs.runner.Runner``."""

    def run(self, request: RenderRequest, plan: Plan, on_event: Callable[[RenderEvent], None]) -> Result: ...

    def cancel(self) -> None: ...


Prepare = Callable[[RenderRequest], Checked]


def output_path(choices: Choices, folder: Path) -> Path:
    """A free name in the results folder that says what went in: ``mira - side_step - 7.mp4``."""
    return free_output(folder / result_name(choices.reference, choices.motion, choices.seed))


def build_request(choices: Choices, folder: Path) -> RenderRequest:
    """Everything the engine must know, from what the window shows."""
    return RenderRequest(
        reference=MediaInput(str(choices.reference)),
        motion=MediaInput(str(choices.motion)),
        output=Output(str(output_path(choices, folder))),
        preset=choices.preset,
        frames=choices.frames,
        seed=choices.seed,
        prompt=choices.prompt,
    )


def _make_folder(folder: Path) -> None:
    """The results folder, which does not exist before the first render."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(
            f"The folder for results, {folder}, cannot be made: {error.strerror}.",
            value=folder,
            action="Free the place or set PIROUETTE_HOME to a folder that can be written.",
        ) from error


class RenderPresenter(QObject):
    """Runs renders on a background thread and tells the window how they stand.

    Args:
        prepare: checks a request and plans it (``core.jobs.preflight.check``).
        make_runner: one new engine runner a render.
        clock: seconds of a steady clock.

    Signals:
        state_changed: a ``RenderState``, always on the window's thread.
    """

    state_changed = Signal(object)
    _progressed = Signal(object)
    _ended = Signal(object)

    def __init__(
        self,
        prepare: Prepare,
        make_runner: Callable[[], Runner],
        clock: Clock = time.monotonic,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._prepare = prepare
        self._make_runner = make_runner
        self._clock = clock
        self._state: RenderState = Idle()
        self._thread: threading.Thread | None = None
        self._runner: Runner | None = None
        self._estimate = Estimate(0.0)
        self._progressed.connect(self._on_progress)
        self._ended.connect(self._on_end)

    @property
    def state(self) -> RenderState:
        """How the render stands now."""
        return self._state

    def start(self, choices: Choices) -> None:
        """Begin a render; ignored while one runs."""
        if self._thread is not None:
            return
        self._estimate = Estimate(self._clock())
        self._runner = self._make_runner()
        request = build_request(choices, places().results)
        self._thread = threading.Thread(target=self._work, args=(self._runner, request), name="render")
        self._set(Rendering())
        self._thread.start()

    def cancel(self) -> None:
        """Ask the engine to stop; the state becomes ``Idle`` once it has."""
        if self._runner is None or not isinstance(self._state, Rendering):
            return
        self._set(replace(self._state, stopping=True))
        self._runner.cancel()

    def close(self) -> None:
        """Cancel and wait: after this no thread of ours is left."""
        self.cancel()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _work(self, runner: Runner, request: RenderRequest) -> None:
        """On the background thread: everything ends in exactly one ``_ended``."""
        began_s = self._clock()
        notes: list[str] = []
        try:
            _make_folder(Path(request.output.path).parent)
            checked = self._prepare(request)
            result = run_and_remember(
                runner.run, checked.request, checked.plan, lambda event: self._on_event(event, notes)
            )
            told = tuple(dict.fromkeys((*checked.notes, *notes, *result.notes)))
            took_s = self._clock() - began_s
            self._ended.emit(Done(Path(result.output), result.frames, result.fps, took_s, told))
        except Cancelled:
            self._ended.emit(Idle(cancelled=True))
        except PirouetteError as error:
            self._ended.emit(Failed(error.statement(), error.action))
        except Exception as error:
            _LOG.exception("A render failed unexpectedly")
            self._ended.emit(Failed(f"Something unexpected went wrong: {error}"))

    def _on_event(self, event: RenderEvent, notes: list[str]) -> None:
        """On the background thread. Results and failures come as return value and exception."""
        match event:
            case Progress():
                self._progressed.emit(event)
            case Note(text=text):
                notes.append(text)

    def _on_progress(self, progress: Progress) -> None:
        if not isinstance(self._state, Rendering):
            return
        remaining_s = self._estimate.remaining_s(progress, self._clock())
        fraction = max(self._state.fraction, fraction_done(progress))
        self._set(Rendering(progress.phase, fraction, remaining_s, self._state.stopping))

    def _on_end(self, state: RenderState) -> None:
        if self._thread is not None:
            self._thread.join()
        self._thread = self._runner = None
        self._set(state)

    def _set(self, state: RenderState) -> None:
        self._state = state
        self.state_changed.emit(state)
