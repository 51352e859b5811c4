"""What one presenter's news means to the others: the rules that hold the window together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from core.types import Result
from desktop.model.draft import Draft, selection_of
from desktop.model.facts import Facts
from desktop.model.project import ResultFile
from desktop.presenters.parts import Parts
from desktop.presenters.queue_head import Overall
from desktop.presenters.stage_results import ResultItem


class Conductor(QObject):
    """Connects the parts; holds no state of its own but what is being previewed.

    Signals:
        told: (message, action, kind) for the window's message bar; kind is error, caution, note or good.
    """

    told = Signal(str, str, str)

    def __init__(self, parts: Parts, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._parts = parts
        self._previewed = ""
        self._wanted_mode = ""
        parts.document.draft_changed.connect(self._on_draft)
        parts.document.facts_changed.connect(self._on_facts)
        self._connect_queue()
        self._connect_projects()
        self._connect_models()
        self._connect_troubles()

    def _connect_queue(self) -> None:
        parts, queue = self._parts, self._parts.queue
        queue.finished.connect(self._on_finished)
        queue.failed.connect(self._on_failed)
        queue.preview.connect(self._on_preview)
        queue.current_changed.connect(self._on_current)
        queue.progress_changed.connect(self._on_progress)
        queue.edit_asked.connect(parts.actions.edit)
        queue.show_asked.connect(self._on_show)
        parts.intake.queue_wanted.connect(parts.actions.render_pairs)
        parts.actions.editing_changed.connect(parts.inspector.set_editing)

    def _connect_projects(self) -> None:
        parts = self._parts
        parts.projects.keep_own(lambda: parts.actions.own_draft)
        parts.projects.keep_too(self._results, self._view)
        parts.projects.results_restored.connect(self._restore_results)
        parts.projects.view_restored.connect(self._restore_view)
        parts.stage.choices_changed.connect(self._on_choices)

    def _connect_models(self) -> None:
        parts = self._parts
        parts.downloads.store_changed.connect(parts.inspector.models_changed)
        parts.pose.changed.connect(self._on_pose)
        parts.actions.busy_changed.connect(self._on_checking)

    def _connect_troubles(self) -> None:
        parts = self._parts
        for refused in (
            parts.projects.failed,
            parts.actions.failed,
            parts.intake.refused,
            parts.library.refused,
            parts.queue.refused,
        ):
            refused.connect(self._on_refused)
        parts.intake.told.connect(lambda text: self.told.emit(text, "", "good"))
        parts.stage.refused.connect(lambda text: self.told.emit(text, "", "caution"))
        parts.queue.noted.connect(lambda notes: self.told.emit(" ".join(notes), "", "note"))

    def _results(self) -> tuple[ResultFile, ...]:
        return tuple(ResultFile(one.path, one.name, one.start_s) for one in self._parts.stage.results)

    def _view(self) -> dict[str, str | float]:
        return {"mode": self._parts.stage.mode}

    def _restore_results(self, results: Sequence[ResultFile]) -> None:
        """Another project is open: nothing of the one before stays."""
        self._parts.actions.forget()
        self._parts.timeline.clear_result()
        items = [ResultItem(one.path, one.name, one.start_s) for one in results]
        self._parts.stage.set_results(items)

    def _restore_view(self, view: Mapping[str, str | float]) -> None:
        """The mode comes back once what it shows has been opened."""
        mode = str(view.get("mode", ""))
        self._wanted_mode = mode if mode in self._parts.stage.reasons() else ""
        self._on_choices()

    def _on_choices(self) -> None:
        stage, wanted = self._parts.stage, self._wanted_mode
        if wanted and not stage.reasons()[wanted]:  # type: ignore[index]
            self._wanted_mode = ""
            stage.set_mode(wanted)  # type: ignore[arg-type]
        self._parts.projects.touch()

    def _on_draft(self, draft: Draft) -> None:
        clip = self._parts.document.facts.clip
        if clip is not None and clip.path == draft.motion:
            self._parts.playback.set_range(*selection_of(draft, clip.duration_s))

    def _on_facts(self, facts: Facts) -> None:
        clip = facts.clip
        self._parts.playback.set_duration(0.0 if clip is None else clip.duration_s)
        self._on_draft(self._parts.document.draft)

    def _on_pose(self) -> None:
        trouble = self._parts.pose.trouble
        self._parts.inspector.set_hindrance("pose", "" if trouble is None else trouble.message)

    def _on_checking(self, busy: bool) -> None:
        self._parts.inspector.set_hindrance(
            "checking", self.tr("The render is being checked.") if busy else ""
        )

    def _on_refused(self, message: str, action: str) -> None:
        self.told.emit(message, action, "error")

    def _on_current(self, job_id: str | None) -> None:
        """Poses are not looked for beside a render; what was previewed has ended."""
        self._parts.pose.set_allowed(job_id is None)
        if self._previewed and job_id != self._previewed:
            self._parts.stage.end_preview(self._previewed, frozen=True)
            self._parts.timeline.clear_result()
            self._previewed = ""

    def _on_progress(self, overall: Overall) -> None:
        """The result's track fills as far as the render is, once there are pictures of it."""
        if self._previewed and overall.fraction is not None:
            timeline, track = self._parts.timeline, self._parts.timeline.result
            timeline.show_result_progress(int(overall.fraction * track.frames), track.frames, track.start_s)

    def _on_preview(self, job_id: str, shown: Any) -> None:
        self._previewed = job_id
        images: Sequence[QImage] = shown.images
        self._parts.stage.show_preview(job_id, images, shown.fps, shown.start_s, shown.text)
        self._parts.timeline.show_result_frames(images, shown.start_s)

    def _on_finished(self, job_id: str, job: Any) -> None:
        self._parts.stage.end_preview(job_id)
        self._previewed = ""
        result = job.state.result
        start_s = job.request.trim.start_s
        self._parts.stage.show_result(Path(result.output), start_s, job.name)
        self._parts.timeline.show_result(Path(result.output), start_s, result.frames, job.name)

    def _on_failed(self, job_id: str, _job: Any) -> None:
        self._parts.stage.end_preview(job_id, frozen=True)

    def _on_show(self, job: Any) -> None:
        """Somebody wants to see this one now."""
        result = getattr(job.state, "result", None)
        if isinstance(result, Result):
            path, start_s = Path(result.output), job.request.trim.start_s
            self._parts.stage.show_result(path, start_s, job.name, asked=True)
            self._parts.timeline.show_result(path, start_s, result.frames, job.name)
