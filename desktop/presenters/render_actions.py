"""From the draft to queued renders: the Render button, pairs of many files, and changing a job that waits."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from PySide6.QtCore import QObject, Signal

from core.errors import PirouetteError
from core.jobs.queue.names import result_name
from core.settings import places
from core.types import MediaInput, RenderRequest
from desktop.model.draft import Draft, from_request, to_request
from desktop.presenters.document import Document

LARGEST_SEED: Final = 2**31 - 1


class Edited(Protocol):
    """What is needed of a ``core.jobs.queue.job.Job``."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def request(self) -> RenderRequest: ...


class Queueing(Protocol):
    """What is needed of the queue's presenter."""

    def enqueue(
        self,
        requests: Sequence[RenderRequest],
        then: Callable[[list[str]], None] | None = None,
        failed: Callable[[PirouetteError], None] | None = None,
    ) -> None: ...

    def update(
        self,
        job_id: str,
        request: RenderRequest,
        then: Callable[[], None] | None = None,
        failed: Callable[[PirouetteError], None] | None = None,
    ) -> None: ...


class RenderActions(QObject):
    """Queues what the window shows.

    Args:
        document: holds the draft.
        queue: takes the renders.
        new_seed: a random seed for renders whose seed is not locked.

    Signals:
        queued: list of job ids.
        busy_changed: a request is being checked before it is queued.
        editing_changed: name of the job that the draft is of, None for a new one.
        failed: (message, action): nothing was queued.
    """

    queued = Signal(object)
    busy_changed = Signal(bool)
    editing_changed = Signal(object)
    failed = Signal(str, str)

    def __init__(
        self,
        document: Document,
        queue: Queueing,
        new_seed: Callable[[], int] = lambda: secrets.randbelow(LARGEST_SEED),
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._document, self._queue, self._new_seed = document, queue, new_seed
        self._busy = False
        self._next: list[Sequence[tuple[Path, Path]]] = []
        self._editing: Edited | None = None
        self._before_editing: Draft | None = None
        self._edited_from = 0
        document.undo_stack.indexChanged.connect(self._on_undo)

    @property
    def busy(self) -> bool:
        """Is a request being checked?"""
        return self._busy

    @property
    def editing(self) -> Edited | None:
        """The job that the draft is of."""
        return self._editing

    @property
    def own_draft(self) -> Draft:
        """The user's own, also while that of a job is shown."""
        return self._document.draft if self._before_editing is None else self._before_editing

    def render(self) -> None:
        """Queue a render of the draft; ignored while the last one is still being checked."""
        if self._busy:
            return
        draft = self._with_seed()
        try:
            request = to_request(draft, Path())
        except PirouetteError as error:
            self.failed.emit(error.statement(), error.action)
            return
        self._enqueue([_named(request, draft.seed)])

    def render_pairs(self, pairs: Sequence[tuple[Path, Path]]) -> None:
        """Queue one render for each (reference, motion), with the other settings of the draft."""
        if not pairs:
            return
        if self._busy:  # somebody chose them: they come as soon as the check before is over
            self._next.append(pairs)
            return
        base = self._with_seed()
        requests = []
        for reference, motion in pairs:
            own = replace(base, reference=reference, motion=motion)
            own = own if reference == base.reference else replace(own, reference_keypoints=None)
            if motion != base.motion:
                own = replace(own, keypoints=None, sound_from=None, motion_kind="auto")
            requests.append(_named(to_request(own, Path()), own.seed))
        self._enqueue(requests)

    def edit(self, job: Edited) -> None:
        """Show a job's settings, to be changed; what was there comes back with ``leave``."""
        if self._editing is None:
            self._before_editing = self._document.draft
        self._editing, self._edited_from = None, self._document.undo_stack.index()
        self._document.set_draft(self.tr("Edit ‘{name}’").format(name=job.name), from_request(job.request))
        self._editing = job
        self.editing_changed.emit(job.name)

    def update(self) -> None:
        """Give the job the settings that are shown now."""
        job = self._editing
        if job is None or self._busy:
            return
        try:
            request = to_request(self._document.draft, Path(job.request.output.path))
        except PirouetteError as error:
            self.failed.emit(error.statement(), error.action)
            return
        request = replace(request, output=replace(request.output, overwrite=job.request.output.overwrite))
        self._set_busy(True)
        self._queue.update(job.id, _pinned_as(job.request, request), self._on_updated, self._on_failed)

    def leave(self) -> None:
        """Stop editing: the job stays as it was, and so does the draft of before."""
        if self._editing is None:
            return
        before = self.own_draft
        self.forget()
        self._document.set_draft(self.tr("Leave editing"), before)

    def forget(self) -> None:
        """The draft is not the job's any more: another project was opened, or the editing was undone."""
        if self._editing is not None:
            self._editing = self._before_editing = None
            self.editing_changed.emit(None)

    def _on_undo(self, index: int) -> None:
        """Undone as far as before the job's settings came."""
        if index <= self._edited_from:
            self.forget()

    def _with_seed(self) -> Draft:
        """The draft, with another seed unless it is locked; the window shows the one that is used."""
        draft = self._document.draft
        if not draft.seed_locked:
            draft = replace(draft, seed=self._new_seed())
            self._document.show(draft)
        return draft

    def _enqueue(self, requests: list[RenderRequest]) -> None:
        self._set_busy(True)
        self._queue.enqueue(requests, self._on_queued, self._on_failed)

    def _on_queued(self, job_ids: list[str]) -> None:
        self._set_busy(False)
        self.queued.emit(job_ids)
        self._go_on()

    def _on_updated(self) -> None:
        self._set_busy(False)
        self.leave()
        self._go_on()

    def _on_failed(self, error: PirouetteError) -> None:
        self._set_busy(False)
        self.failed.emit(error.statement(), error.action)
        self._go_on()

    def _go_on(self) -> None:
        if self._next:
            self.render_pairs(self._next.pop(0))

    def _set_busy(self, busy: bool) -> None:
        self._busy = busy
        self.busy_changed.emit(busy)


def _named(request: RenderRequest, seed: int) -> RenderRequest:
    """With an output in the results folder; the queue makes its name a free one."""
    name = result_name(Path(request.reference.path), Path(request.motion.path), seed)
    return replace(request, output=replace(request.output, path=str(places().results / name)))


def _pinned_as(before: RenderRequest, after: RenderRequest) -> RenderRequest:
    """Inputs that stay the same file stay pinned by their content."""

    def pin(old: MediaInput | None, new: MediaInput | None) -> MediaInput | None:
        return old if old is not None and new is not None and old.path == new.path else new

    reference, motion = pin(before.reference, after.reference), pin(before.motion, after.motion)
    assert reference is not None and motion is not None  # noqa: PT018
    return replace(
        after,
        reference=reference,
        motion=motion,
        keypoints=pin(before.keypoints, after.keypoints),
        reference_keypoints=pin(before.reference_keypoints, after.reference_keypoints),
        sound_from=pin(before.sound_from, after.sound_from),
    )
