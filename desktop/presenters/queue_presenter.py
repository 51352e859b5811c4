"""The queue dock: what the queue is, how its renders come along, and whom that concerns."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QUndoStack

from core.errors import PirouetteError
from core.types import Done, Failed, Note, Preview, RenderRequest, Running
from desktop.presenters.background import Background
from desktop.presenters.queue_actions import QueueActions
from desktop.presenters.queue_clocks import Clocks, learned_times
from desktop.presenters.queue_details import Details, details_of
from desktop.presenters.queue_head import Head, HeadLines, Overall
from desktop.presenters.queue_lookout import Group, Look, Wanted, look
from desktop.presenters.queue_model import QueueModel
from desktop.presenters.queue_pictures import LivePreview, RowThumbnails, read_frames
from desktop.presenters.queue_words import QueueWords
from desktop.presenters.queue_worker import MakeQueue, MakeRunner, QueueWorker, user_queue, user_runner
from desktop.presenters.queue_works import drop_unused_inputs

if TYPE_CHECKING:
    from core.jobs.queue.adding import Prepare
    from desktop.presenters.thumbnails import Thumbnails

_LOG = logging.getLogger(__name__)
_POLL_MS: Final = 500
_TICK_MS: Final = 1000
# Progress is drawn this often at most.
_DRAW_EVERY_S: Final = 0.1
_MOST_DETAILS: Final = 64
# What the engine's states mean for memory, by their names: their module is heavy to import.
_ENGINE_STATES: Final = {
    "Off": "unloaded",
    "Starting": "unloaded",
    "Waiting": "unloaded",
    "Warm": "loaded",
    "Busy": "rendering",
}
_JOB_STATES: Final = ("Queued", "Paused", "Interrupted", "Done", "Failed", "Cancelled")


class QueuePresenter(QObject):
    """Binds the dock to the persistent queue; everything that reads or writes it runs on threads.

    Args:
        undo_stack: of the window; edits of the queue go onto it.
        thumbnails: small pictures of the rows' files.
        make_queue, make_runner: see ``QueueWorker``.
        prepare: checks and plans a request; None takes the real check.
        clock: seconds of a steady clock; now: the wall clock here.

    Signals:
        current_changed: id of the job that this app renders, or None.
        progress_changed: ``Overall``.
        engine_changed: whether its process has a model in memory: unloaded, loaded or rendering.
        preview: job id, ``LivePreview``: the clip as it looks so far.
        finished, failed: job id and ``Job``, once the video is on disk or the render is given up.
        edit_asked, show_asked: a ``Job`` to be loaded into the window, or whose result is to be played.
        reveal_asked: path of a video to be shown in its folder.
        refused: message, action.
        noted: sentences about renders that were queued.
        head_changed: ``Head``.
        details_changed: ``Details`` that were asked for.
        thumbnails_changed: one has come; draw again.
    """

    current_changed = Signal(object)
    progress_changed = Signal(object)
    engine_changed = Signal(str)
    preview = Signal(str, object)
    finished = Signal(str, object)
    failed = Signal(str, object)
    edit_asked = Signal(object)
    show_asked = Signal(object)
    reveal_asked = Signal(str)
    refused = Signal(str, str)
    noted = Signal(object)
    head_changed = Signal(object)
    details_changed = Signal(object)
    thumbnails_changed = Signal()

    def __init__(
        self,
        undo_stack: QUndoStack,
        thumbnails: Thumbnails,
        make_queue: MakeQueue = user_queue,
        make_runner: MakeRunner = user_runner,
        prepare: Prepare | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._clock, self._now = clock, now
        self._worker = QueueWorker(make_queue, make_runner, self)
        self._lists = Background("queue-list", parent=self)
        self._checks = Background("queue-check", parent=self)
        self._pictures = Background("queue-preview", parent=self)
        self.words = QueueWords(parent=self)
        self.model = QueueModel(self.words, now, self)
        self.actions = QueueActions(undo_stack, self._worker, self._lists, self._checks, prepare, self)
        self.thumbnails = RowThumbnails(thumbnails, self)
        self._clocks = Clocks(clock)
        self._lines = HeadLines(self.words, self._clocks, now, self)
        self._wanted = Wanted()
        self._seen: int | None = None
        self._looking = self._again = self._opened = self._stale = self._visible = self._closed = False
        self._latest: Look | None = None
        self._current: str | None = None
        self._hold: Any = None
        self._head = Head()
        self._overall = Overall()
        self._told: tuple[str, ...] = ()
        self._details: OrderedDict[str, Details] = OrderedDict()
        self._drawn_s = -_DRAW_EVERY_S
        self._timers()
        self._connect()

    @property
    def head(self) -> Head:
        """What stands over the list."""
        return self._head

    @property
    def overall(self) -> Overall:
        """How the work stands."""
        return self._overall

    @property
    def current(self) -> str | None:
        """The job that this app renders."""
        return self._current

    @property
    def listed(self) -> bool:
        """Has the list been read at least once?"""
        return self._latest is not None

    def open(self) -> None:
        """Read the first rows, then all; renders nothing yet."""
        if not self._opened:
            self._opened = True
            self._look(page=self._wanted.is_all)
            self.set_visible(self._visible)

    def start(self) -> None:
        """Read the queue and work it; for after the first paint, since it imports much (on threads)."""
        self.open()
        self._worker.start()
        self._checks.run(lambda: drop_unused_inputs(self._worker.queue()), lambda _: None)

    def close(self, pause_current: bool = True) -> None:
        """Stop what runs, in a few seconds at most; it goes on when the app is started again.

        Args:
            pause_current: keep the state first; else the engine is killed and the last kept step counts.
        """
        if self._closed:
            return
        self._closed = True
        for timer in (self._poll, self._tick, self._draw):
            timer.stop()
        self.actions.close()
        self._pictures.close()
        self._checks.close()
        self._lists.close()
        self._worker.close(pause_current)

    def enqueue(
        self,
        requests: Sequence[RenderRequest],
        then: Callable[[list[str]], None] | None = None,
        failed: Callable[[PirouetteError], None] | None = None,
    ) -> None:
        """See ``QueueActions.enqueue``."""
        self.actions.enqueue(requests, then, failed)

    def update(
        self,
        job_id: str,
        request: RenderRequest,
        then: Callable[[], None] | None = None,
        failed: Callable[[PirouetteError], None] | None = None,
    ) -> None:
        """See ``QueueActions.update``."""
        self.actions.update(job_id, request, then, failed)

    def set_previews(self, on: bool) -> None:
        """Whether the engine makes previews; off while nobody could see them."""
        self._worker.set_previews(on)

    def set_visible(self, on: bool) -> None:
        """While the list is seen, changes by other processes show, too."""
        self._visible = on
        if on and self._opened:
            self._poll.start()
            self._look()
        else:
            self._poll.stop()

    def show_only(self, group: Group, search: str = "") -> None:
        """Filter the list."""
        wanted = Wanted(group, search.strip())
        if wanted != self._wanted:
            self._wanted, self._seen, self._stale = wanted, None, True
            self._look()

    def try_again(self) -> None:
        """After a trouble: read the queue and work it once more."""
        self._set_head(trouble=None)
        self._seen = None
        self._look()
        self._worker.start()

    def dismiss_note(self) -> None:
        """The note has been read."""
        self._set_head(note="")

    def ask_details(self, job_id: str) -> None:
        """``details_changed`` tells; at once where they are known already."""
        known = self._details.get(job_id)
        if known is not None:
            self.details_changed.emit(known)
            return
        self._lists.run(
            lambda: details_of(self._worker.queue(), job_id), self._on_details, self._on_details_failed
        )

    def details(self, job_id: str) -> Details | None:
        """What is known of a job by now."""
        return self._details.get(job_id)

    def _timers(self) -> None:
        self._poll = QTimer(self)
        self._poll.setInterval(_POLL_MS)
        self._poll.timeout.connect(self._look)
        self._tick = QTimer(self)
        self._tick.setInterval(_TICK_MS)
        self._tick.timeout.connect(self._on_tick)
        self._draw = QTimer(self)
        self._draw.setSingleShot(True)
        self._draw.timeout.connect(self._draw_progress)

    def _connect(self) -> None:
        self._worker.heard.connect(self._on_news)
        self._worker.progressed.connect(self._on_progressed)
        self._worker.held.connect(self._on_hold)
        self._worker.ended.connect(self._on_trouble)
        self.model.rename_asked.connect(self.actions.rename)
        self.model.move_asked.connect(self.actions.move)
        actions = self.actions
        actions.changed.connect(self._look)
        actions.refused.connect(self.refused)
        actions.noted.connect(self.noted)
        actions.edit_asked.connect(self.edit_asked)
        actions.show_asked.connect(self.show_asked)
        actions.reveal_asked.connect(self.reveal_asked)
        actions.checking.connect(self._on_checking)
        self.thumbnails.changed.connect(self.thumbnails_changed)

    def _look(self, page: bool = False) -> None:
        """One look at a time: each one says how the list becomes what it finds."""
        if self._closed or not self._opened:
            return
        if self._looking:
            self._again = True
            return
        self._looking, self._stale = True, False
        base, wanted, seen = tuple(self.model.rows), self._wanted, self._seen
        self._lists.run(
            lambda: look(self._worker.queue(), base, wanted, seen, page), self._on_look, self._on_look_failed
        )

    def _on_look(self, found: Look | None) -> None:
        self._looking = False
        if found is not None:
            self._latest = found
            self._seen = None if found.page or self._stale else found.changes
            for job_id in self._clocks.follow(found.running, found.others, dict(found.wishes)):
                self.model.set_live(job_id, None)
            self._forget_details(found)
            for job_id in self._clocks.ids:
                self.model.set_live(job_id, self._clocks.live(job_id))
            self.model.take(found)
            self._tick.start()
            self._say_all()
        if self._again or (found is not None and found.page):
            self._again = False
            self._look()

    def _on_look_failed(self, error: PirouetteError) -> None:
        self._looking = False
        self._poll.stop()
        self._on_trouble(error)

    def _on_news(self, job_id: str, news: object) -> None:
        match news:
            case Running():
                self._begin(job_id)
            case Preview():
                self._load_preview(job_id, news)
            case Note(text) if not job_id:
                self._set_head(note=text)
            case state if type(state).__name__ in _ENGINE_STATES:
                self.engine_changed.emit(_ENGINE_STATES[type(state).__name__])
            case state if type(state).__name__ in _JOB_STATES:
                self._end(job_id, state)

    def _begin(self, job_id: str) -> None:
        row = self.model.row_of(job_id)
        self._clocks.begin(job_id, None if row is None else row.time_s)
        self._set_current(job_id)
        self._lists.run(
            lambda: learned_times(self._worker.queue(), job_id), lambda times: self._expect(job_id, times)
        )
        self._look()

    def _expect(self, job_id: str, times: Any) -> None:
        if times is not None:
            self._clocks.expect(job_id, times)
            self._draw_progress()

    def _end(self, job_id: str, state: object) -> None:
        if job_id == self._current:
            self._set_current(None)
        self._clocks.drop(job_id)
        self.model.set_live(job_id, None)
        tell = (
            self.finished if isinstance(state, Done) else self.failed if isinstance(state, Failed) else None
        )
        if tell is not None:
            self._lists.run(lambda: self._worker.queue().get(job_id), lambda job: tell.emit(job_id, job))
        self._look()

    def _set_current(self, job_id: str | None) -> None:
        if job_id != self._current:
            self._current = job_id
            self.current_changed.emit(job_id)

    def _on_progressed(self) -> None:
        """Drawn now, or when the last drawing is long enough ago."""
        wait_s = self._drawn_s + _DRAW_EVERY_S - self._clock()
        if wait_s <= 0:
            self._draw_progress()
        elif not self._draw.isActive():
            self._draw.start(max(round(wait_s * 1000), 1))

    def _draw_progress(self) -> None:
        self._drawn_s = self._clock()
        taken = self._worker.take_progress()
        if taken is not None and taken[0] == self._current:
            self._clocks.hear(*taken)
        for job_id in self._clocks.ids:
            self.model.set_live(job_id, self._clocks.live(job_id))
        self._say_overall()

    def _on_tick(self) -> None:
        """The time that is left gets less by itself."""
        if self._clocks.ids:
            self._draw_progress()
        self.model.refresh_times()
        self._say_all()
        if not self._clocks.ids and not self._overall.waiting:
            self._tick.stop()

    def _on_hold(self, hold: Any) -> None:
        self._hold = hold
        self._say_all()

    def _on_trouble(self, error: PirouetteError) -> None:
        self._set_head(trouble=(error.statement(), error.action), loading=False)

    def _on_checking(self, number: int, count: int) -> None:
        if not count:
            words = ""
        elif count == 1:
            words = self.tr("Checking the render …")
        else:
            words = self.tr("Checking render {number} of {count} …").format(number=number, count=count)
        self._set_head(checking=words)

    def _on_details(self, details: Details) -> None:
        self._details[details.id] = details
        while len(self._details) > _MOST_DETAILS:
            self._details.popitem(last=False)
        self.details_changed.emit(details)

    def _on_details_failed(self, error: PirouetteError) -> None:
        self.refused.emit(error.statement(), error.action)

    def _forget_details(self, found: Look) -> None:
        for number in found.renewed:
            self._details.pop(found.rows[number].id, None)

    def _load_preview(self, job_id: str, event: Preview) -> None:
        """Off this thread; the engine may have made a newer one and dropped this file already."""

        text = self.tr("Step {step} of {steps}").format(step=event.step, steps=event.steps)

        def made() -> LivePreview:
            start_s = self._worker.queue().get(job_id).request.trim.start_s
            images = read_frames(Path(event.path))
            return LivePreview(images, event.fps, start_s, text if event.steps else "")

        def show(found: LivePreview) -> None:
            if found.images and job_id == self._current:
                self.preview.emit(job_id, found)

        self._pictures.run(made, show, latest="preview")

    def _say_all(self) -> None:
        found = self._latest
        if found is None:
            return
        self.model.set_start(self._lines.start_of_next(found, self._hold))
        self._say_overall()
        note = self._head.note if found.notes == self._told else " ".join(found.notes)
        self._told = found.notes
        filtered = not self._wanted.is_all
        self._set_head(note=note, filtered=filtered, **self._lines.fields(found, self._overall, self._hold))

    def _say_overall(self) -> None:
        overall = self._lines.overall(self._latest, self._current, self._hold, self.model.row_of)
        if overall != self._overall:
            self._overall = overall
            self.progress_changed.emit(overall)
            self._set_head(ahead=self._lines.ahead(overall))

    def _set_head(self, **fields: Any) -> None:
        head = replace(self._head, **fields)
        if head != self._head:
            self._head = head
            self.head_changed.emit(head)
