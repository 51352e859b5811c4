"""The queue opened once, and the thread on which its renders run; news of them become Qt signals."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal

from core.errors import EngineError, PirouetteError
from core.types import Note, Progress

if TYPE_CHECKING:
    from core.jobs.queue.queue import Queue
    from core.jobs.queue.run import QueueRunner
    from core.jobs.queue.waiting import Hold

_LOG = logging.getLogger(__name__)
# An engine that does not pause is killed by its supervisor after a second; checks before may take longer.
_PATIENCE_S: Final = 4.0
_LAST_PATIENCE_S: Final = 10.0

Hear = Callable[[str, object], None]
MakeQueue = Callable[[], "Queue"]
MakeRunner = Callable[["Queue", Hear, Callable[["Hold | None"], None]], "QueueRunner"]


def user_queue() -> Queue:
    """The user's own; imported and opened on the caller's thread."""
    from core.jobs.queue.queue import Queue

    return Queue()


def user_runner(queue: Queue, hear: Hear, on_hold: Callable[[Hold | None], None]) -> QueueRunner:
    """Renders in this app, with an engine process of its own."""
    from core.jobs.queue.run import QueueRunner
    from core.jobs.queue.waiting import gate_of

    gate = gate_of(queue, on_note=lambda text: hear("", Note(text)))
    return QueueRunner(
        queue, listener=hear, gate=gate, on_hold=on_hold, on_engine=lambda state: hear("", state)
    )


class QueueWorker(QObject):
    """Owns the queue and whoever works it.

    Args:
        make_queue: opens the queue; called once, on whichever thread asks first.
        make_runner: gets the queue, whom to tell news, and whom to tell why it waits.

    Signals:
        heard: (job id, ``RenderEvent`` or ``JobState``), every one but progress, as they come.
        progressed: there is progress to be taken; said once until ``take_progress``.
        held: a ``Hold``, or None where nothing is waited for.
        ended: the ``PirouetteError`` that ended the work; the queue stays readable, ``start`` tries again.
    """

    heard = Signal(str, object)
    progressed = Signal()
    held = Signal(object)
    ended = Signal(object)

    def __init__(
        self,
        make_queue: MakeQueue = user_queue,
        make_runner: MakeRunner = user_runner,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._make_queue, self._make_runner = make_queue, make_runner
        self._opening = threading.Lock()
        self._queue: Queue | None = None
        self._lock = threading.Lock()
        self._runner: QueueRunner | None = None
        self._thread: threading.Thread | None = None
        self._previews = True
        self._progress: tuple[str, Progress] | None = None
        self._closed = False

    def queue(self) -> Queue:
        """The queue, opened where it is not yet; not for the window's thread.

        Raises:
            DiskError: it cannot be opened.
        """
        with self._opening:
            if self._queue is None:
                if self._closed:
                    raise EngineError("The queue is closed.")
                self._queue = self._make_queue()
            return self._queue

    @property
    def is_running(self) -> bool:
        """Does the thread that renders live?"""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Work the queue until ``close``; nothing happens where that is being done."""
        if not self._closed and not self.is_running:
            self._thread = threading.Thread(target=self._work, name="queue-work")
            self._thread.start()

    def wake(self) -> None:
        """Something was changed: look now."""
        with self._lock:
            if self._runner is not None:
                self._runner.wake()

    def take_progress(self) -> tuple[str, Progress] | None:
        """The latest since this was last asked, with its job's id."""
        with self._lock:
            taken, self._progress = self._progress, None
            return taken

    def set_previews(self, on: bool) -> None:
        """Whether renders show how they come along; remembered until there is a runner."""
        with self._lock:
            self._previews = on
            _switch(self._runner, on)

    def close(self, pause_current: bool = True) -> None:
        """Stop and wait for it; a render that runs goes on when the queue is worked again.

        Args:
            pause_current: wait until its state is kept, a few seconds at most; else the engine is killed at
                once and it goes on from the last kept step.
        """
        with self._lock:
            self._closed = True
            runner = self._runner
        if runner is not None:
            runner.stop(pause_current=True)
            if not pause_current:
                runner.force_stop()
        self._join(runner)
        with self._opening:
            queue, self._queue = self._queue, None
        if queue is not None:
            _close(queue)

    def _join(self, runner: QueueRunner | None) -> None:
        if self._thread is None:
            return
        self._thread.join(_PATIENCE_S)
        if self._thread.is_alive() and runner is not None:
            runner.force_stop()
        self._thread.join(_LAST_PATIENCE_S)
        if self._thread.is_alive():
            _LOG.error("The queue's thread does not end.")

    def _work(self) -> None:
        """The thread that renders."""
        try:
            runner = self._make_runner(self.queue(), self._hear, self.held.emit)
            with self._lock:
                if self._closed:
                    return
                self._runner = runner
                _switch(runner, self._previews)
            runner.run(until_empty=False)
        except PirouetteError as error:
            self._report(error)
        except Exception as error:
            _LOG.exception("The queue is not worked any more")
            self._report(EngineError(f"Something unexpected went wrong: {error}."))
        finally:
            with self._lock:
                self._runner = None

    def _hear(self, job_id: str, news: object) -> None:
        """On the runner's thread; an engine may tell its progress more often than anybody can look."""
        if not isinstance(news, Progress):
            self.heard.emit(job_id, news)
            return
        with self._lock:
            waiting, self._progress = self._progress is not None, (job_id, news)
        if not waiting:
            self.progressed.emit()

    def _report(self, error: PirouetteError) -> None:
        if not self._closed:
            self.ended.emit(error)


def _switch(runner: QueueRunner | None, on: bool) -> None:
    """Runners that cannot show previews have no switch."""
    switch = getattr(runner, "set_previews", None)
    if switch is not None:
        switch(on)


def _close(queue: Queue) -> None:
    try:
        queue.close()
    except PirouetteError as error:
        _LOG.warning("The queue did not close in order: %s", error.sentence())
