"""What a person does with queued renders: each change runs on a thread, and most can be undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoCommand, QUndoStack
from shiboken6 import isValid

from core.errors import BadInput, BadSetting, PirouetteError
from core.settings import places
from core.types import RenderRequest
from desktop.presenters import queue_works
from desktop.presenters.background import Background
from desktop.presenters.queue_details import InputName
from desktop.presenters.queue_steps import (
    Added,
    CancelWaiting,
    Edit,
    Move,
    QueueStep,
    Remove,
    Rename,
    RunNext,
    before_job,
    one_down,
    one_up,
)
from desktop.presenters.queue_words import Action
from desktop.presenters.queue_worker import QueueWorker
from desktop.presenters.queue_works import COLLECT, duplicates, each, lighter, with_input

if TYPE_CHECKING:
    from core.jobs.queue.adding import Prepare
    from core.jobs.queue.queue import Queue

# What is undone by its opposite, or not at all.
_PLAIN: Final[Mapping[Action, Callable[[Queue, str], object]]] = {
    "pause": queue_works.pause,
    "resume": queue_works.resume,
    "retry": queue_works.retry,
    "force_stop": queue_works.force_stop,
}
Then = Callable[[], None]
IfFailed = Callable[[PirouetteError], None]


class QueueActions(QObject):
    """Changes the queue.

    Args:
        undo_stack: shared with the rest of the window.
        worker: has the queue.
        changes: a single thread, so that changes happen in the order in which they are asked for.
        checks: another one, for what takes long.
        prepare: checks and plans a request; None takes the real check.

    Signals:
        changed: something was changed; look again.
        refused: message, action.
        checking: (how many are checked, of how many) before they are queued; (0, 0) once that is over.
        edit_asked, show_asked: a ``Job`` to be loaded into the window, or whose result is to be played.
        reveal_asked: path of a video.
        noted: what is to be known of the renders that were queued, a list of sentences.
    """

    changed = Signal()
    refused = Signal(str, str)
    checking = Signal(int, int)
    edit_asked = Signal(object)
    show_asked = Signal(object)
    reveal_asked = Signal(str)
    noted = Signal(object)

    def __init__(
        self,
        undo_stack: QUndoStack,
        worker: QueueWorker,
        changes: Background,
        checks: Background,
        prepare: Prepare | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._stack, self._worker = undo_stack, worker
        self._changes, self._checks = changes, checks
        self._prepare = prepare
        self._closed = False

    def close(self) -> None:
        """Checks that are under way stop at the next render."""
        self._closed = True

    def do(self, action: Action, job_ids: Sequence[str], states: Sequence[str]) -> None:
        """Carry out what a menu, a button or a key asks for.

        Args:
            states: of the jobs, as they are shown; the queue itself refuses what they do not allow any more.
        """
        if not job_ids:
            return
        ids = list(job_ids)
        match action:
            case "play" | "reveal":
                self._show(action, ids[0])
            case "edit":
                self._fetch(ids[0], self.edit_asked.emit)
            case "cancel":
                self._cancel(ids, states)
            case "pause" | "resume" | "retry" | "force_stop":
                self._plain(each(_PLAIN[action], ids))
            case "retry_lighter":
                self.retry_lighter(ids[0], 0)
            case _:
                self._step_for(action, ids)

    def move(self, job_ids: Sequence[str], before: str | None) -> None:
        """Put waiting jobs before another one; None: behind all."""
        self._run(Move(job_ids, before_job(before)), self.tr("Move in queue"))

    def rename(self, job_id: str, name: str) -> None:
        """Call a job something else."""
        self._run(Rename(job_id, name), self.tr("Rename render"))

    def retry_lighter(self, job_id: str, proposal: int) -> None:
        """Queue one of a failed job's proposals as a new job; proposals count from 0."""

        step = Added(lambda queue: lighter(queue, job_id, proposal))
        self._run(step, self.tr("Retry lighter"))

    def clear_finished(self) -> None:
        """Take all that have ended off the list; videos stay."""
        self._remove(None, self.tr("Clear finished"))

    def update(
        self, job_id: str, request: RenderRequest, then: Then | None = None, failed: IfFailed | None = None
    ) -> None:
        """Give a job another request; one that has failed or was cancelled is queued again with it."""
        self._edit(job_id, lambda _: request, then, failed)

    def replace_input(self, job_id: str, name: InputName, path: Path) -> None:
        """Give a failed job another file, and queue it again."""

        self._edit(job_id, lambda request: with_input(request, name, path), None, None)

    def enqueue(
        self,
        requests: Sequence[RenderRequest],
        then: Callable[[list[str]], None] | None = None,
        failed: IfFailed | None = None,
    ) -> None:
        """Check and queue renders, all or none, under names that are free.

        Args:
            then: gets the ids.
            failed: gets the error of the first that cannot be rendered; else it is said by ``refused``.
        """

        def added() -> tuple[list[str], list[str]]:
            from core.jobs.queue.adding import add_checked

            found = self._worker.queue()
            jobs, notes = add_checked(found, list(requests), self._on_checked, **self._prepared())
            return [job.id for job in jobs], notes

        def done(result: tuple[list[str], list[str]]) -> None:
            ids, notes = result
            self.checking.emit(0, 0)
            self._moved_on()
            if notes:
                self.noted.emit(notes)
            if then is not None:
                then(ids)

        self._checks.run(added, done, lambda error: self._not_checked(error, failed))

    def import_file(self, path: Path) -> None:
        """Queue what a queue file has; what cannot run here fails when it is its turn, and is told now."""
        told: list[str] = []

        def make(queue: Queue) -> list[str]:
            from core.jobs.queue.adding import add_imported

            jobs, problems = add_imported(queue, path, places().results, self._on_checked, **self._prepared())
            told.extend(f"{jobs[number].name}: {error.sentence()}" for number, error in problems.items())
            return [job.id for job in jobs]

        def done() -> None:
            if told:
                self.noted.emit(told)

        step = Added(make)
        self.checking.emit(1, 1)
        self._run(
            step, self.tr("Import queue"), self._checks, done, lambda error: self._not_checked(error, None)
        )

    def export_file(self, path: Path, job_ids: Sequence[str] = ()) -> None:
        """Write jobs with their inputs into one file; all that have not ended where none are named."""

        def written() -> int:
            queue = self._worker.queue()
            jobs = [queue.get(job_id) for job_id in job_ids or queue_works.unfinished(queue)]
            queue_works.export(jobs, path)
            return len(jobs)

        def done(count: int) -> None:
            self.noted.emit(
                [self.tr("{count} renders were written to {name}.").format(count=count, name=path.name)]
            )

        self._checks.run(written, done, self._refuse)

    def hold(self, on: bool) -> None:
        """Start no further render, or go on; what "Stop now" has paused goes on, too."""

        self._plain(lambda queue: queue_works.hold(queue, on))

    def stop_now(self) -> None:
        """Pause what runs and start nothing further, until ``hold(False)``."""

        self._plain(queue_works.stop_now)

    def set_schedule(self, **fields: Any) -> None:
        """When renders may start: fields of ``core.jobs.queue.schedule.Schedule``, the others by default."""

        def work(queue: Queue) -> None:
            from core.jobs.queue.schedule import Schedule
            from core.jobs.queue.waiting import save_schedule

            save_schedule(queue, Schedule(**fields))

        self._plain(work)

    def _step_for(self, action: Action, ids: list[str]) -> None:
        match action:
            case "remove":
                self._remove(ids, self.tr("Remove from queue"))
            case "duplicate":
                self._run(Added(lambda queue: duplicates(queue, ids)), self.tr("Duplicate render"))
            case "run_next":
                self._run(RunNext(ids), self.tr("Run next"))
            case "move_up":
                self._run(Move(ids, one_up), self.tr("Move up"))
            case "move_down":
                self._run(Move(ids, one_down), self.tr("Move down"))
            case _:
                raise ValueError(f"{action} is no change of the queue.")

    def _cancel(self, ids: list[str], states: Sequence[str]) -> None:
        """A running one keeps its state for a retry; those that wait come back by undo."""
        running = [job_id for job_id, state in zip(ids, states, strict=True) if state == "running"]
        waiting = [job_id for job_id in ids if job_id not in running]
        if running:
            self._plain(each(queue_works.cancel_running, running))
        if waiting:
            self._run(CancelWaiting(waiting), self.tr("Cancel render"))

    def _remove(self, ids: list[str] | None, text: str) -> None:
        self._run(Remove(ids), text)
        self._changes.run(lambda: self._worker.queue().set_setting(COLLECT, True), lambda _: None)

    def _edit(
        self,
        job_id: str,
        change: Callable[[RenderRequest], RenderRequest],
        then: Then | None,
        failed: IfFailed | None,
    ) -> None:
        def made(queue: Queue) -> Any:
            from core.jobs.queue.adding import changed_request

            return changed_request(queue, change(queue.get(job_id).request), **self._prepared())

        def failing(error: PirouetteError) -> None:
            self._not_checked(error, failed)

        self.checking.emit(1, 1)
        self._run(Edit(job_id, made, again=True), self.tr("Edit render"), self._checks, then, failing)

    def _show(self, action: Action, job_id: str) -> None:
        def found() -> Any:
            job = self._worker.queue().get(job_id)
            if not Path(job.request.output.path).is_file():
                raise BadInput(
                    self.tr("The video of “{name}” is not there any more.").format(name=job.name),
                    action=self.tr("It was {path}. Duplicate the render to make it again.").format(
                        path=job.request.output.path
                    ),
                )
            return job

        def shown(job: Any) -> None:
            if action == "play":
                self.show_asked.emit(job)
            else:
                self.reveal_asked.emit(job.request.output.path)

        self._changes.run(found, shown, self._refuse)

    def _fetch(self, job_id: str, then: Callable[[Any], None]) -> None:
        self._changes.run(lambda: self._worker.queue().get(job_id), then, self._refuse)

    def _plain(self, work: Callable[[Queue], object]) -> None:
        def failed(error: PirouetteError) -> None:
            self._refuse(error)
            self._moved_on()  # some of several jobs may have been changed

        self._changes.run(lambda: work(self._worker.queue()), lambda _: self._moved_on(), failed)

    def _run(
        self,
        step: QueueStep,
        text: str,
        thread: Background | None = None,
        then: Then | None = None,
        failed: IfFailed | None = None,
    ) -> None:
        """Do it, and put it on the stack once it is done."""

        def done(_: None) -> None:
            self.checking.emit(0, 0)
            self._stack.push(_Command(self, step, text))
            self._moved_on()
            if then is not None:
                then()

        (thread or self._changes).run(lambda: step.do(self._worker.queue()), done, failed or self._refuse)

    def again(self, step: QueueStep, undo: bool, gone: Callable[[], None]) -> None:
        """Undo or redo a step; ``gone`` is called where that is not possible any more."""

        def work() -> None:
            queue = self._worker.queue()
            if undo:
                step.undo(queue)
            else:
                step.do(queue)

        def failed(error: PirouetteError) -> None:
            gone()
            self._refuse(error)
            self._moved_on()

        self._changes.run(work, lambda _: self._moved_on(), failed)

    def _moved_on(self) -> None:
        self._worker.wake()
        self.changed.emit()

    def _on_checked(self, number: int, count: int) -> None:
        """On the thread that checks."""
        if self._closed:
            raise BadSetting("The app is closed.")
        self.checking.emit(number, count)

    def _not_checked(self, error: PirouetteError, failed: IfFailed | None) -> None:
        self.checking.emit(0, 0)
        (failed or self._refuse)(error)

    def _refuse(self, error: PirouetteError) -> None:
        self.refused.emit(error.statement(), error.action)

    def _prepared(self) -> dict[str, Prepare]:
        return {} if self._prepare is None else {"prepare": self._prepare}


class _Command(QUndoCommand):
    """A step that is done already when it comes onto the stack."""

    def __init__(self, actions: QueueActions, step: QueueStep, text: str) -> None:
        super().__init__(text)
        self._actions, self._step = actions, step
        self._first = True

    def redo(self) -> None:
        """The first one is what a push does."""
        if self._first:
            self._first = False
            return
        self._actions.again(self._step, False, self._give_up)

    def undo(self) -> None:
        """On a thread; shows once it is done."""
        self._actions.again(self._step, True, self._give_up)

    def _give_up(self) -> None:
        """The jobs have moved on: the stack drops it when it comes by, if it has not been dropped already."""
        if isValid(self):
            self.setObsolete(True)
